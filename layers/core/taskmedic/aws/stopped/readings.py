"""Optional reads, side by side, within a deadline: each ends in a value or in one line that says why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from taskmedic.domain.diagnosis import Evidence
from taskmedic.domain.errors import TaskmedicError

T = TypeVar("T")
LINE_CHARS = 300


@dataclass
class Reading(Generic[T]):
    """One read under way. Ask for its value after :meth:`Readings.settle`."""

    what: str
    _future: Future[T]
    _allowed_s: float

    def value(self) -> T | None:
        """What was read; None when it could not be."""
        if not self._done or self._future.exception():
            return None
        return self._future.result()

    @property
    def trouble(self) -> Evidence | None:
        """Why it could not be read, as a line of evidence."""
        if not self._done:
            return Evidence(self.what, f"not readable: no answer within {self._allowed_s:g} s")
        error = self._future.exception()
        if error is None:
            return None
        text = str(error) if isinstance(error, TaskmedicError) else f"{type(error).__name__}: {error}"
        return Evidence(self.what, f"not readable: {text}"[:LINE_CHARS])

    @property
    def _done(self) -> bool:
        return self._future.done() and not self._future.cancelled()


class Readings:
    """A crew of threads with one deadline for all that they are asked.

    What is still unread at the deadline is left alone: its thread ends by itself when its call does, which
    botocore's time-outs see to.
    """

    def __init__(self, *, threads: int = 16, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reading")
        self._seconds = seconds
        self._began = time.monotonic()
        self._asked: list[Reading[Any]] = []

    def __enter__(self) -> Readings:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, what: str, call: Callable[..., T], *args: Any) -> Reading[T]:
        """Starts ``call(*args)``; ``what`` names it in the line of evidence when it fails."""
        reading = Reading(what, self._pool.submit(call, *args), self._seconds)
        self._asked.append(reading)
        return reading

    def settle(self, part: float = 1.0) -> None:
        """Waits until all that was asked is read, or that part of the whole time has passed."""
        futures = [reading._future for reading in self._asked]
        wait(futures, timeout=max(0.0, self._began + part * self._seconds - time.monotonic()))
