"""One session at the message gateway: two sides, the frames between them, its tokens and its end."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections import deque
from collections.abc import Callable

from taskmedic_local.exec import frames
from taskmedic_local.exec.connection import Connection
from taskmedic_local.exec.frames import Frame
from taskmedic_local.exec.session import Session
from taskmedic_local.exec.wire import Wire, WireFaults, luck_of

IDLE_TEXT = "Your session timed out due to inactivity and has been terminated."
CLOSE_AFTER_S = 5.0
# The agent hears late that the client has gone, and looks only before a read: a client that hangs up on the
# last words of its command does not keep the agent from seeing the command's end. Without a network between
# them it would.
NOTICED_AFTER_S = 0.05


class Relay:
    """Passes frames between the client and the agent unread, keeping them for a side that is not there yet.

    Runs on the event loop's thread.
    """

    def __init__(
        self,
        session_id: str,
        *,
        number: int,
        faults: WireFaults,
        idle_s: float,
        on_over: Callable[[Relay], None],
    ) -> None:
        self.session_id = session_id
        self._token = secrets.token_urlsafe(96)
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._to_client = Wire(self._land_at_client, faults, luck_of(number, faults, "client"))
        self._to_agent = Wire(self._land_at_agent, faults, luck_of(number, faults, "agent"))
        self._agent: Session | None = None
        self._client: Connection | None = None
        self._for_client: deque[bytes] = deque()
        self._for_agent: deque[bytes] = deque()
        self._relayed = 0
        self._cut = False
        self.over = False
        self._on_over = on_over
        self._idle_s = idle_s
        self._stirred_at = self._loop.time()
        self._idle = self._loop.call_later(idle_s, self._look_whether_idle)

    @property
    def token(self) -> str:
        """The token that opens the client's side; good for one connection."""
        return self._token

    def new_token(self) -> str:
        """A fresh token, as ResumeSession gives; the old one is void."""
        self._token = secrets.token_urlsafe(96)
        return self._token

    def agent_joins(self, agent: Session) -> None:
        """The agent's side is there; without a client it is told to pause."""
        self._agent = agent
        if self._client is None:
            self._control(frames.PAUSE_PUBLICATION)
        while self._for_agent:
            agent.received(self._for_agent.popleft())

    def client_joins(self, connection: Connection, token: str) -> bool:
        """The client's side opens the channel; False when the token is not the session's."""
        given = token.encode(errors="replace")  # JSON can hold what UTF-8 cannot
        if not self._token or not secrets.compare_digest(given, self._token.encode()):
            return False
        self._token = ""
        if self._client:
            self._client.close(reason="another connection took over")
        self._client = connection
        while self._for_client:
            connection.send(self._for_client.popleft())
        if not self.over:
            self._control(frames.START_PUBLICATION)
        return True

    def client_leaves(self, connection: Connection) -> None:
        """The client's connection is gone; the session lives on, paused."""
        if connection is self._client:
            self._client = None
            self._loop.call_later(NOTICED_AFTER_S, self._pause_without_client)

    def from_client(self, data: bytes) -> None:
        """Relay a frame to the agent."""
        self._stirred_at = self._loop.time()
        if self._passes():
            self._to_agent.push(data)

    def from_agent(self, data: bytes) -> None:
        """Relay a frame to the client; the agent's state is for the gateway alone."""
        if frames.message_type(data) == frames.SESSION_STATE:
            return
        self._stirred_at = self._loop.time()
        if self._passes():
            self._to_client.push(data)

    def task_complete(self, output: str) -> None:
        """The agent is done: the client is told, after what is still on its way."""
        if not self.over:
            self._end()
            self._close_client(output)

    def terminate(self, output: str = "") -> None:
        """End the session from outside, as TerminateSession does."""
        if self.over:
            return
        self._end()
        if self._agent:
            self._agent.received(self._closed_frame(output))
        self._close_client(output)

    def forget(self) -> None:
        """Drop everything at once."""
        self.over = True
        self._idle.cancel()
        if self._client:
            self._client.abort()

    def _end(self) -> None:
        self.over = True
        self._idle.cancel()
        self._on_over(self)

    def _pause_without_client(self) -> None:
        if self._client is None and not self.over:
            self._control(frames.PAUSE_PUBLICATION)

    def _look_whether_idle(self) -> None:
        left_s = self._stirred_at + self._idle_s - self._loop.time()
        if left_s > 0:
            self._idle = self._loop.call_later(left_s, self._look_whether_idle)
        else:
            self.terminate(IDLE_TEXT)

    def _passes(self) -> bool:
        """Count one frame; False once the session has gone silent. Cuts the client's line when it is time."""
        self._relayed += 1
        if self._faults.cut_after is not None and self._relayed > self._faults.cut_after and not self._cut:
            self._cut = True
            if self._client:
                self._client.abort()
                self.client_leaves(self._client)
        return not self._silent

    @property
    def _silent(self) -> bool:
        return self._faults.silent_after is not None and self._relayed > self._faults.silent_after

    def _land_at_client(self, data: bytes) -> None:
        if self._client:
            self._client.send(data)
        else:
            self._for_client.append(data)

    def _land_at_agent(self, data: bytes) -> None:
        if self._agent:
            self._agent.received(data)
        else:
            self._for_agent.append(data)

    def _control(self, kind: str) -> None:
        if self._agent and not self._silent:
            content = {"SchemaVersion": 1, "SessionId": self.session_id, "MessageType": kind}
            self._agent.received(frames.encode(Frame(kind, json.dumps(content).encode())))

    def _close_client(self, output: str) -> None:
        if self._silent:
            return
        if not self._to_client.empty:
            self._loop.call_later(0.01, self._close_client, output)
            return
        self._land_at_client(self._closed_frame(output))
        if self._client:
            self._loop.call_later(CLOSE_AFTER_S, self._client.close)

    def _closed_frame(self, output: str) -> bytes:
        content = {
            "MessageId": str(uuid.uuid4()),
            "CreatedDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "DestinationId": self.session_id,
            "SessionId": self.session_id,
            "MessageType": frames.CHANNEL_CLOSED,
            "SchemaVersion": 1,
            "Output": output,
        }
        return frames.encode(Frame(frames.CHANNEL_CLOSED, json.dumps(content).encode()))
