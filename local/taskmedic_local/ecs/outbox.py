"""What is to be told to others, in order, once no lock is held."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Outbox:
    """Jobs, done one after the other by one thread at a time."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def put(self, job: Callable[[], None]) -> None:
        """Add a job to the end."""
        with self._lock:
            self._jobs.append(job)

    def send(self) -> None:
        """Do what waits. Returns at once when another thread, or this one further up, is at it already."""
        with self._lock:
            if self._busy:
                return
            self._busy = True
        while job := self._next():
            try:
                job()
            except Exception:
                log.exception("a change of the local ECS could not be passed on")

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._busy = False
            return None
