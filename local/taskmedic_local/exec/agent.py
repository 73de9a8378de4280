"""The agent of one container: which sessions run, which one waits, and how it gets stuck for good."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from taskmedic_local.exec.session import Session, WorkerCrashed
from taskmedic_local.exec.terminal import Terminal

log = logging.getLogger(__name__)

RUNNING_AT_MOST = 2
QUEUED_AT_MOST = 1


class Agent:
    """Places sessions as amazon-ssm-agent does: two run, one waits for its turn, and the control loop blocks
    on a fourth.

    When the fourth cannot be placed within ``placement_s`` seconds the loop never comes back: what runs goes
    on, what waits still gets its turn, but no start request is ever answered again.
    """

    def __init__(self, placement_s: float) -> None:
        self._placement_s = placement_s
        self._running: dict[Session, asyncio.Task[None]] = {}
        self._queued: deque[Session] = deque()
        self._requests: deque[Session] = deque()
        self._left_running: set[Terminal] = set()
        self._patience: asyncio.TimerHandle | None = None
        self.stuck = False

    def start(self, session: Session) -> None:
        """A start request comes in on the control channel."""
        self._requests.append(session)
        self._place()

    def kill(self) -> None:
        """The container is gone, and the agent with it; nobody is told."""
        if self._patience:
            self._patience.cancel()
        self.stuck = True
        self._queued.clear()
        self._requests.clear()
        for session, task in self._running.items():
            session.terminate()
            task.cancel()
        for terminal in self._left_running:
            terminal.kill()

    async def gone(self) -> None:
        """After ``kill``: wait until nothing of it runs any more."""
        while self._running:
            await asyncio.wait(self._running.values())
        for terminal in self._left_running:
            await terminal.exited()

    def _place(self) -> None:
        while self._requests and not self.stuck:
            if len(self._running) < RUNNING_AT_MOST:
                self._run(self._requests.popleft())
            elif len(self._queued) < QUEUED_AT_MOST:
                self._queued.append(self._requests.popleft())
            else:
                self._wait_for_room()
                return
        if self._patience:
            self._patience.cancel()
            self._patience = None

    def _wait_for_room(self) -> None:
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self._placement_s, self._give_up)

    def _give_up(self) -> None:
        self.stuck = True

    def _run(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(self._work(session))
        self._running[session] = task

    async def _work(self, session: Session) -> None:
        try:
            await session.run()
        except WorkerCrashed:
            pass
        except Exception:
            log.exception("a session's worker failed")
        finally:
            del self._running[session]
            self._left_running = {each for each in self._left_running if each.alive}
            if session.terminal and session.terminal.alive:
                # Killed, or it closed its terminal and went on.
                self._left_running.add(session.terminal)
            if self._queued:
                self._run(self._queued.popleft())
            self._place()
