"""Shows what commands write and how they end: results on stdout, progress on stderr."""

from __future__ import annotations

import errno
import os
import queue
import select
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import IO, Any, Protocol, Self

from taskmedic.domain.dispatch import NOT_STARTED, NodeResult
from taskmedic.domain.nodes import Node
from taskmedic_cli.common import console
from taskmedic_cli.terminal import json_text, say

IN_MEMORY_BYTES = 1024 * 1024  # of a node's output; more goes to a temporary file
JSON_BYTES = 10 * 1024 * 1024  # of a node's output in --json
PIECE_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes one node's output."""

    def write(self, data: bytes, /) -> object: ...

    def finish(self) -> dict[str, str] | None: ...


class View:
    """Collects results. Used as a context: leaving it lets all output out.

    A thread of its own does all writing, since the event loop must not wait for a slow reader: it answers
    the agents of all containers, which give a session up that is silent.
    """

    def __init__(self) -> None:
        self.results: list[NodeResult] = []
        # Why stdout took no more; what came after it was dropped.
        self.write_error: OSError | None = None
        # Called once, from the writing thread, when stdout takes no more, as with `| head` or a full disk.
        self.when_unwritable: Callable[[], object] = lambda: None
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        # A daemon, so that Ctrl-C ends the program while a reader stalls.
        self._writer = threading.Thread(target=self._work, name="stdout", daemon=True)

    def output_for(self, node: Node) -> Sink:
        """Where the node's output goes."""
        raise NotImplementedError

    def add(self, result: NodeResult) -> None:
        """A node is done."""
        self.results.append(result)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._writer.join()

    def _later(self, job: Callable[..., object], *arguments: Any) -> None:
        """Has the writing thread do ``job``, after all that it was given before."""
        self._jobs.put(partial(job, *arguments))

    def _out(self, data: bytes) -> None:
        """Writes to stdout, unless that has failed before: output has an end, but no gap."""
        if self.write_error:
            raise self.write_error
        write_out(data)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                if self.write_error is None:  # what is still queued meets the same error
                    self.write_error = error
                    self.when_unwritable()


class LiveView(View):
    """One node: its output as it comes."""

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        for result in self.results:
            if not result.succeeded:
                say(f"taskmedic: {result.node}: {ending(result)}", err=True)

    def output_for(self, node: Node) -> Sink:  # noqa: ARG002 - there is only one
        return _Pieces(partial(self._later, self._out))


class _Pieces:
    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write

    def finish(self) -> dict[str, str] | None:
        return None


class _Spool:
    """Output kept until its node is done."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def finish(self) -> dict[str, str] | None:
        return None


class _Spooled(View):
    """Many nodes: their output is kept apart until each is done."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total
        self._spools: dict[str, _Spool] = {}
        self._progress = console(stderr=True)
        self._status = self._progress.status("") if self._progress.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        self._later(self._show)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        try:
            super().__exit__(*raised)
        finally:
            if self._status:
                self._status.stop()

    def output_for(self, node: Node) -> Sink:
        self._spools[node.name] = _Spool()
        self._later(self._show)
        return self._spools[node.name]

    def add(self, result: NodeResult) -> None:
        super().add(result)
        spool = self._spools.pop(result.node, None) or _Spool()
        spool.file.seek(0)
        self._later(self._tell, result, len(self.results), spool.file)

    def done(self, result: NodeResult, file: IO[bytes]) -> None:
        """A node is done; ``file`` holds its output, from the start."""
        raise NotImplementedError

    def _tell(self, result: NodeResult, place: int, file: IO[bytes]) -> None:
        if self._status:
            self._status.stop()  # off the line where the output is going to stand
        with file:
            self.done(result, file)
        if not self._status or not result.succeeded:
            say(f"{place}/{self._total} {result.node}: {ending(result)}", err=True)
        if self._status:
            self._show()
            self._status.start()

    def _show(self) -> None:
        if self._status:
            bad = sum(not result.succeeded for result in self.results)
            self._status.update(
                f"{len(self.results)} of {self._total} done, {bad} failed, {len(self._spools)} running"
            )


class ManyView(_Spooled):
    """A heading and the output of each node, in the order in which they end."""

    def done(self, result: NodeResult, file: IO[bytes]) -> None:
        if result.outcome == NOT_STARTED:
            return
        self._out(f"==> {result.node}: {result.label} <==\n".encode())
        while piece := file.read(PIECE_BYTES):
            self._out(piece)


class JsonView(_Spooled):
    """An array of rows for --json, when all is done."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._rows: list[dict[str, Any]] = []

    def __exit__(self, *raised: Any) -> None:
        self._later(self._write_rows)
        super().__exit__(*raised)

    def done(self, result: NodeResult, file: IO[bytes]) -> None:
        stdout = file.read(JSON_BYTES)
        self._rows.append(
            {
                "node": result.node,
                "outcome": result.outcome,
                "exit_code": result.exit_code,
                "stdout": stdout.decode(errors="replace"),
                "truncated": result.bytes > len(stdout),
                "reason": result.reason,
                "remedy": result.remedy,
                "duration_s": result.duration_s,
            }
        )

    def _write_rows(self) -> None:
        self._out(json_text(self._rows, indent=2).encode() + b"\n")


def write_out(data: bytes) -> None:
    """Writes all of ``data`` to stdout and waits until it is taken.

    Past Python's buffer, which a thread that waits here would keep locked: no program ends with such a lock.

    Raises:
        OSError: stdout takes no more, or was closed from the start.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    buffer = sys.stdout.buffer
    raw = getattr(buffer, "raw", buffer)
    left = memoryview(data)
    while left:
        written = raw.write(left)
        if written is None:  # it does not block, and has no room now
            select.select((), (raw,), ())
        else:
            left = left[written:]


def ending(result: NodeResult) -> str:
    """How a command ended, in a line."""
    time = f" ({result.duration_s:.1f} s)" if result.duration_s else ""
    parts = [part for part in (result.reason, result.remedy) if part and result.outcome != "exited"]
    return (
        f"{result.label}{time}"
        + "".join(f": {part}" for part in parts[:1])
        + "".join(f" {p}" for p in parts[1:])
    )
