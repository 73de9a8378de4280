"""Time: a clock that can be replaced, and things to be done later."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Schedule:
    """Jobs by their due time, done by a thread after ``start``, else by whoever calls ``run_due``."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, job: Callable[[], None]) -> None:
        """Do ``job`` once, ``seconds`` from now."""
        with self._changed:
            heapq.heappush(self._jobs, (self._clock() + seconds, next(self._numbers), job))
            self._changed.notify()

    def run_due(self) -> None:
        """Do every job that is due, in the order of their times, with those that they add."""
        while job := self._take_due():
            try:
                job()
            except Exception:
                log.exception("a scheduled change of the local ECS failed")

    def start(self) -> None:
        """Do the jobs in a thread from now on."""
        self._thread = threading.Thread(target=self._work, name="local-ecs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not done stays undone."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _take_due(self) -> Callable[[], None] | None:
        with self._changed:
            if self._stopping or not self._jobs or self._jobs[0][0] > self._clock():
                return None
            return heapq.heappop(self._jobs)[2]

    def _work(self) -> None:
        while True:
            self.run_due()
            with self._changed:
                if self._stopping:
                    return
                wait = self._jobs[0][0] - self._clock() if self._jobs else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
