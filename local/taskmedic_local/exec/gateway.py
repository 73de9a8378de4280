"""The message gateway (``ssmmessages``) and the agents behind it, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import string
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from websockets.frames import CloseCode

from taskmedic_local.exec.agent import Agent
from taskmedic_local.exec.connection import PATH, Connection
from taskmedic_local.exec.encryption import Decrypt
from taskmedic_local.exec.relay import Relay
from taskmedic_local.exec.sandbox import Image, Sandbox
from taskmedic_local.exec.session import Session, SessionRequest
from taskmedic_local.exec.timing import Timing
from taskmedic_local.exec.wire import WireFaults

REMEMBERED_S = 120.0
_PARAMETER = re.compile(r"\{\{\s*ssm:([/\w.:-]+)\s*\}\}")
_ALNUM = string.ascii_lowercase + string.digits

GetParameter = Callable[[str], str]
"""ssm:GetParameter with the task's role; any exception means that it cannot be had."""

T = TypeVar("T")


@dataclass(frozen=True)
class ContainerRef:
    """The container a command goes to, and what its agent may call."""

    runtime_id: str
    target_id: str
    image: Image
    decrypt: Decrypt
    get_parameter: GetParameter


@dataclass(frozen=True)
class OpenedSession:
    """What ExecuteCommand answers with. ``token`` is a secret."""

    session_id: str
    stream_url: str
    token: str = field(repr=False)


class GatewayClosed(RuntimeError):
    """The world to which the gateway belonged is no more."""


class Gateway:
    """Sessions, tokens and agents. The public methods are called from any thread, and not from the loop's."""

    def __init__(self, *, time_scale: float = 1.0) -> None:
        """``time_scale`` shortens the agent's fixed waits: 0.01 makes a second ten milliseconds."""
        self.base_url = ""  # ws://host:port, known once the front listens
        self.faults = WireFaults()
        self.timing = Timing.scaled(time_scale)
        self.sandbox = Sandbox()
        self._relays: dict[str, Relay] = {}
        self._agents: dict[str, Agent] = {}
        self._connections: dict[Connection, Relay | None] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._opened = 0
        self._closed = False
        self._door = threading.Lock()  # nothing goes to the loop after what closes it
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="message-gateway", daemon=True)
        self._thread.start()

    def open_session(
        self, container: ContainerRef, command: str, *, kms_key_id: str = "", faults: WireFaults | None = None
    ) -> OpenedSession:
        """Start a session in the container; it begins at once, whether or not a client comes."""
        return self._on_loop(self._open(container, command, kms_key_id, faults or self.faults))

    def terminate(self, session_id: str) -> None:
        """ssm:TerminateSession. A session that is unknown or over is no error."""

        async def end() -> None:
            if relay := self._relays.get(session_id):
                relay.terminate()

        self._on_loop(end())

    def resume(self, session_id: str) -> OpenedSession | None:
        """ssm:ResumeSession: the session with a new token, without one when it is over, None when unknown."""

        async def renew() -> OpenedSession | None:
            relay = self._relays.get(session_id)
            if relay is None:
                return None
            return OpenedSession(session_id, self._url(session_id), "" if relay.over else relay.new_token())

        return self._on_loop(renew())

    def accept(self, connection: socket.socket, head: bytes) -> None:
        """Take over a client's accepted TCP connection.

        Args:
            connection: The socket; from now on the gateway's, which closes it.
            head: The HTTP request as read so far, with whatever came after it.
        """
        connection.setblocking(False)
        try:
            self._on_loop(self._accept(connection, head))
        except GatewayClosed:  # clients whose connection it cut connect again at once
            connection.close()

    def container_gone(self, runtime_id: str) -> None:
        """The container was stopped: its processes end, and its sessions' clients hear nothing, as in AWS."""
        if runtime_id in self._agents:
            self._on_loop(self._gone(runtime_id))
        self.sandbox.end(runtime_id)

    def close(self) -> None:
        """End every session, process, connection and folder, and the thread."""
        self._on_loop(self._close(), last=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def text(self, connection: Connection, session_id: str, text: str) -> None:
        """The first text message opens the data channel; a wrong one closes the connection."""
        relay = self._relays.get(session_id)
        try:
            token = json.loads(text)["TokenValue"]
        except (ValueError, KeyError, TypeError):
            token = ""
        if relay is None or not isinstance(token, str) or not relay.client_joins(connection, token):
            connection.close(CloseCode.POLICY_VIOLATION, "token not valid")
            return
        self._connections[connection] = relay

    def binary(self, connection: Connection, data: bytes) -> None:
        """A frame from the client."""
        if relay := self._connections.get(connection):
            relay.from_client(data)

    def lost(self, connection: Connection) -> None:
        """The client's connection ended."""
        if relay := self._connections.pop(connection, None):
            relay.client_leaves(connection)

    def _on_loop(self, work: Coroutine[Any, Any, T], *, last: bool = False) -> T:
        with self._door:
            if self._closed:
                work.close()
                raise GatewayClosed
            self._closed = last
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    def _url(self, session_id: str) -> str:
        cell = "&cell-number=AAEAAQ-local"
        return f"{self.base_url}{PATH}{session_id}?role=publish_subscribe{cell}"

    async def _open(
        self, container: ContainerRef, command: str, kms_key_id: str, faults: WireFaults
    ) -> OpenedSession:
        session_id = "ecs-execute-command-" + "".join(secrets.choice(_ALNUM) for _ in range(17))
        self._opened += 1
        relay = Relay(
            session_id, number=self._opened, faults=faults, idle_s=self.timing.idle, on_over=self._over
        )
        self._relays[session_id] = relay
        request = SessionRequest(session_id, container.target_id, command, kms_key_id)
        self._spawn(self._start(container, request, relay))
        return OpenedSession(session_id, self._url(session_id), relay.token)

    async def _start(self, container: ContainerRef, request: SessionRequest, relay: Relay) -> None:
        agent = self._agents.get(container.runtime_id)
        if agent is None:
            agent = self._agents[container.runtime_id] = Agent(self.timing.placement)
        if _PARAMETER.search(request.command):
            try:
                command = await asyncio.to_thread(_substitute, request.command, container.get_parameter)
            except Exception:  # noqa: BLE001 - the real agent, too, drops the request and tells nobody
                return
            request = SessionRequest(request.session_id, request.target_id, command, request.kms_key_id)
        box = self.sandbox.box(container.runtime_id, container.image)
        session = Session(request, box, relay, timing=self.timing, decrypt=container.decrypt)
        agent.start(session)

    async def _accept(self, connection: socket.socket, head: bytes) -> None:
        protocol = Connection(self)
        self._connections[protocol] = None
        await self._loop.connect_accepted_socket(lambda: protocol, connection)
        protocol.data_received(head)

    async def _gone(self, runtime_id: str) -> None:
        if agent := self._agents.pop(runtime_id, None):
            agent.kill()
            await agent.gone()

    async def _close(self) -> None:
        for task in self._background:
            task.cancel()
        for relay in self._relays.values():
            relay.forget()
        for connection in list(self._connections):
            connection.abort()
        for agent in self._agents.values():
            agent.kill()
        for agent in self._agents.values():
            await agent.gone()
        await asyncio.to_thread(self.sandbox.close)
        await self._loop.shutdown_default_executor()
        while self._connections:  # noqa: ASYNC110 - asyncio closes them a few turns later
            await asyncio.sleep(0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _over(self, relay: Relay) -> None:
        self._loop.call_later(REMEMBERED_S, self._relays.pop, relay.session_id, None)


def _substitute(command: str, get_parameter: GetParameter) -> str:
    """Parameters of Systems Manager put into the command, before it is split into words."""
    return _PARAMETER.sub(lambda match: get_parameter(match[1]), command)
