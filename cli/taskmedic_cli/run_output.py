"""Shows what commands write and how they end: results on stdout, progress on stderr."""

from __future__ import annotations

import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, Protocol, Self

import click

from taskmedic.domain.dispatch import NOT_STARTED, NodeResult
from taskmedic.domain.nodes import Node
from taskmedic_cli.common import console

IN_MEMORY_BYTES = 1024 * 1024  # of a node's output; more goes to a temporary file
JSON_BYTES = 10 * 1024 * 1024  # of a node's output in --json


class Sink(Protocol):
    """Takes one node's output."""

    def write(self, data: bytes, /) -> object: ...

    def finish(self) -> dict[str, str] | None: ...


class View:
    """Collects results. Used as a context: leaving it lets all output out."""

    def __init__(self) -> None:
        self.results: list[NodeResult] = []
        # Called, from any thread, when nobody reads stdout any more, as with `| head`.
        self.when_unread: Callable[[], object] = lambda: None

    def output_for(self, node: Node) -> Sink:
        """Where the node's output goes."""
        raise NotImplementedError

    def add(self, result: NodeResult) -> None:
        """A node is done."""
        self.results.append(result)

    def rows(self) -> list[dict[str, Any]]:
        """What --json prints."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LiveView(View):
    """One node: its output as it comes. A thread of its own writes, so that a slow reader does no harm."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pieces.put(None)
        self._writer.join()
        for result in self.results:
            if not result.succeeded:
                click.echo(f"taskmedic: {result.node}: {ending(result)}", err=True)

    def output_for(self, node: Node) -> Sink:  # noqa: ARG002 - there is only one
        return _Pieces(self._pieces)

    def _write(self) -> None:
        try:
            while (piece := self._pieces.get()) is not None:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.when_unread()


class _Pieces:
    def __init__(self, pieces: queue.SimpleQueue[bytes | None]) -> None:
        self._pieces = pieces

    def write(self, data: bytes) -> None:
        self._pieces.put(data)

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
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def output_for(self, node: Node) -> Sink:
        self._spools[node.name] = _Spool()
        self._show()
        return self._spools[node.name]

    def add(self, result: NodeResult) -> None:
        super().add(result)
        if self._status:
            self._status.stop()  # off the line where the output is going to stand
        with self._taken(result.node) as file:
            self.done(result, file)
        if not self._status or not result.succeeded:
            click.echo(f"{len(self.results)}/{self._total} {result.node}: {ending(result)}", err=True)
        if self._status:
            self._show()
            self._status.start()

    def done(self, result: NodeResult, file: IO[bytes]) -> None:
        """A node is done; ``file`` holds its output, from the start."""
        raise NotImplementedError

    def _taken(self, node: str) -> IO[bytes]:
        spool = self._spools.pop(node, None) or _Spool()
        spool.file.seek(0)
        return spool.file

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
        sys.stdout.write(f"==> {result.node}: {result.label} <==\n")
        sys.stdout.flush()
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


class JsonView(_Spooled):
    """Rows for --json."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._rows: list[dict[str, Any]] = []

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

    def rows(self) -> list[dict[str, Any]]:
        return self._rows


def ending(result: NodeResult) -> str:
    """How a command ended, in a line."""
    time = f" ({result.duration_s:.1f} s)" if result.duration_s else ""
    parts = [part for part in (result.reason, result.remedy) if part and result.outcome != "exited"]
    return (
        f"{result.label}{time}"
        + "".join(f": {part}" for part in parts[:1])
        + "".join(f" {p}" for p in parts[1:])
    )
