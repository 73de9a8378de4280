"""Calls side by side, within a bound, where the answer of one brings the next: the shape of paged reading."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

# A job gives the jobs that follow from it.
Job = Callable[[], "Sequence[Job]"]


def work_off(jobs: Sequence[Job], threads: int) -> None:
    """Runs ``jobs`` and all that follow from them, ``threads`` at a time, until none is left.

    A job's first follower is run by the same thread at once: a chain of calls, such as page after page, does
    not wait in the queue behind others.

    Raises:
        Exception: what a job raised first; jobs that have not begun by then are dropped.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fanout")
    try:
        crew = _Crew(pool)
        crew.add(jobs)
        crew.wait()
    finally:
        pool.shutdown(wait=False)  # the jobs are done; the threads' own ends need nobody to wait


class _Crew:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._open = 0
        self._all_done = threading.Event()
        self._failure: Exception | None = None

    def add(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._open += len(jobs)
        for job in jobs:
            self._pool.submit(self._chain, job)

    def wait(self) -> None:
        if self._open:
            self._all_done.wait()
        if self._failure:
            raise self._failure

    def _chain(self, job: Job) -> None:
        try:
            followers: Sequence[Job] = (job,)
            while followers and self._failure is None:
                first, *others = followers
                self.add(others)
                followers = first()
        except Exception as error:  # noqa: BLE001 - raised again by wait(), in the thread that asked
            self._failure = error
        finally:
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._all_done.set()
