"""How ``taskmedic run`` shows output: never waiting for a reader, never losing an error of stdout."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from taskmedic.domain.dispatch import NodeResult
from taskmedic.domain.nodes import Node
from taskmedic_cli import run_output
from taskmedic_cli.commands.run import _cut_short
from taskmedic_cli.run_output import JsonView, LiveView, ManyView, View

MORE_THAN_A_PIPE_HOLDS = b"0123456789abcde\n" * 100_000  # 1.6 MB; beyond what is kept in memory, too
NEEDS_DEV_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def stdout_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Sets stdout for the views alone: pytest has plans of its own for ``sys.stdout``."""
    return lambda stream: monkeypatch.setattr(run_output, "sys", SimpleNamespace(stdout=stream))


@pytest.fixture
def pipe(stdout_is: Callable[[Any], None]) -> Iterator[tuple[IO[bytes], IO[str]]]:
    """A pipe: the end to read from, and the other, which is stdout."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as writer:
        stdout_is(writer)
        yield reader, writer


@pytest.fixture
def full(stdout_is: Callable[[Any], None]) -> Iterator[None]:
    """Stdout on a device without room."""
    with Path("/dev/full").open("w") as device:
        stdout_is(device)
        yield


def told(view: View, *names: str, output: bytes = b"", exit_code: int = 0) -> None:
    """These nodes are done, each with this output."""
    for name in names:
        view.output_for(Node(name, {})).write(output)
        view.add(NodeResult(name, "exited", exit_code=exit_code, bytes=len(output)))


@NEEDS_DEV_FULL
@pytest.mark.usefixtures("full")
def test_that_stdout_takes_no_more_is_told_once() -> None:
    # Each time is a cancellation, and a second one cuts off the ending of sessions that the first began.
    view = LiveView()
    calls: list[str] = []
    view.when_unwritable = lambda: calls.append("end")
    sink = view.output_for(Node("a/app", {}))

    with view:
        for _ in range(10):
            sink.write(b"x\n")

    assert calls == ["end"]


def test_a_reader_that_pauses_holds_nothing_up_and_gets_everything(pipe: tuple[IO[bytes], IO[str]]) -> None:
    view = ManyView(2)
    view.__enter__()

    told(view, "a/app", "b/app", output=MORE_THAN_A_PIPE_HOLDS)  # comes back although nobody reads

    leaving = threading.Thread(target=view.__exit__, args=(None, None, None))
    leaving.start()
    expected = b"".join(
        b"==> %s/app: exit 0 <==\n%s" % (name, MORE_THAN_A_PIPE_HOLDS) for name in (b"a", b"b")
    )
    assert pipe[0].read(len(expected)) == expected
    leaving.join()
    assert view.write_error is None


@pytest.mark.parametrize("make", [LiveView, lambda: ManyView(2), lambda: JsonView(2)])
def test_a_reader_that_leaves_ends_the_commands_and_is_no_failure_of_its_own(
    pipe: tuple[IO[bytes], IO[str]], make: Callable[[], View]
) -> None:
    view = make()
    ended = threading.Event()
    view.when_unwritable = ended.set
    pipe[0].close()

    with view:
        told(view, "a/app", output=b"hello\n")
        if not isinstance(view, JsonView):  # its array is written at the end
            assert ended.wait(10)
        told(view, "b/app", output=b"hello\n")

    assert isinstance(view.write_error, BrokenPipeError)
    assert _cut_short(view, 2, interrupted=False) == ""
    assert _cut_short(view, 3, interrupted=True) == "nobody reads the output any more,"


@NEEDS_DEV_FULL
@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("make", [LiveView, lambda: ManyView(1), lambda: JsonView(1)])
def test_output_that_cannot_be_written_is_a_failure_that_says_why(make: Callable[[], View]) -> None:
    view = make()
    ended = threading.Event()
    view.when_unwritable = ended.set

    with view:
        told(view, "a/app", output=b"hello\n")

    assert ended.is_set()
    assert _cut_short(view, 1, interrupted=False) == "the output cannot be written (No space left on device),"


def test_a_stdout_that_was_closed_from_the_start_is_such_a_failure(stdout_is: Callable[[Any], None]) -> None:
    stdout_is(None)

    with LiveView() as view:
        told(view, "a/app", output=b"hello\n")

    assert _cut_short(view, 1, interrupted=False) == "the output cannot be written (Bad file descriptor),"


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[IO[bytes], IO[str]]) -> None:
    os.set_blocking(pipe[1].fileno(), False)
    view = LiveView()
    view.__enter__()
    told(view, "a/app", output=MORE_THAN_A_PIPE_HOLDS)

    assert pipe[0].read(len(MORE_THAN_A_PIPE_HOLDS)) == MORE_THAN_A_PIPE_HOLDS
    view.__exit__(None, None, None)
    assert view.write_error is None


def test_json_is_one_array(pipe: tuple[IO[bytes], IO[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with JsonView(2) as view:
        told(view, "a/app", "b/app", output=b"h\xffi\n", exit_code=3)
    pipe[1].close()

    rows = json.loads(pipe[0].read())
    assert [(row["node"], row["stdout"], row["truncated"]) for row in rows] == [
        ("a/app", "h\N{REPLACEMENT CHARACTER}i\n", False),
        ("b/app", "h\N{REPLACEMENT CHARACTER}i\n", False),
    ]
    assert capsys.readouterr().err == "1/2 a/app: exit 3\n2/2 b/app: exit 3\n"
