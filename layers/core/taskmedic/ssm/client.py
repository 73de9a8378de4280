"""Runs one command in one container over an SSM session. Knows nothing of ECS."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from taskmedic.domain.command import CommandResult, CommandSpec, DataKey, StreamSession
from taskmedic.domain.errors import CommandMayHaveRun, TaskmedicError
from taskmedic.ssm import outcomes
from taskmedic.ssm.command import Invocation, prepare
from taskmedic.ssm.run import CommandRun, Limits, OutputSink
from taskmedic.ssm.session import Session
from taskmedic.ssm.transport import Connect, ConnectionBroken, Transport, connect_websocket

OpenSession = Callable[[str], Awaitable[StreamSession]]
"""ecs:ExecuteCommand with this command line. Must never repeat the call after an unclear answer."""
Terminate = Callable[[str], Awaitable[None]]
"""ssm:TerminateSession of this session id."""
Resume = Callable[[str], Awaitable[str | None]]
"""ssm:ResumeSession of this session id: a new token, or None when the session is over."""
GenerateDataKey = Callable[[str, Mapping[str, str]], Awaitable[DataKey]]
"""kms:GenerateDataKey of 64 bytes for this key id and encryption context."""

DEFAULT_LIMITS: Final = Limits()
FAREWELL_S: Final = 1.0
"""How long to see to it that the wrapper in the container was let go, when the result is known."""


async def run_command(
    open_session: OpenSession,
    spec: CommandSpec,
    *,
    sink: OutputSink,
    terminate: Terminate,
    resume: Resume | None = None,
    data_key: GenerateDataKey | None = None,
    connect: Connect = connect_websocket,
    limits: Limits = DEFAULT_LIMITS,
    clock: Callable[[], float] = time.monotonic,
    new_nonce: Callable[[], str] = lambda: secrets.token_hex(16),
) -> CommandResult:
    """Runs ``spec`` once, and says how it ended. Calls ``open_session`` once and never again.

    Whatever goes wrong with the container, the network or AWS becomes an outcome. A session that is not
    known to be over is ended with ``terminate``: on every outcome without an end, on cancellation, and when
    the sink fails.

    Args:
        sink: Gets the whole output while the result keeps its beginning and end.
        clock: Seconds that never go back; ``connect``'s transports must wait by the same clock.
    """
    began = clock()
    invocation = prepare(spec, new_nonce())
    try:
        stream = await open_session(invocation.command_line)
    except TaskmedicError as error:
        # Without an answer it is open whether the call arrived, and the agent starts without us.
        result = outcomes.not_opened(
            error.reason(), error.remedy, may_have_run=isinstance(error, CommandMayHaveRun)
        )
        return replace(result, duration_s=clock() - began)
    conversation = _Conversation(stream, spec, invocation, sink, resume, data_key, connect, limits, clock)
    try:
        result = await conversation.result()
    finally:
        trouble = "" if conversation.over else await _ended(stream.session_id, terminate, limits)
    return replace(result, duration_s=clock() - began, remedy=f"{result.remedy} {trouble}".strip())


async def _ended(session_id: str, terminate: Terminate, limits: Limits) -> str:
    """Ends the session even while this task is being cancelled; a sentence if that failed."""
    ending = asyncio.ensure_future(asyncio.wait_for(terminate(session_id), limits.terminate_s))
    try:
        await asyncio.shield(ending)
    except TaskmedicError as error:
        return f"Its session could not be ended: {error.text()}"
    except TimeoutError:
        return "Its session could not be ended: no answer from ssm:TerminateSession."
    return ""


class _Conversation:
    """Carries frames between a CommandRun and its connection."""

    def __init__(
        self,
        stream: StreamSession,
        spec: CommandSpec,
        invocation: Invocation,
        sink: OutputSink,
        resume: Resume | None,
        data_key: GenerateDataKey | None,
        connect: Connect,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._resume = resume
        self._data_key = data_key
        self._connect = connect
        self._limits = limits
        self._clock = clock
        now = clock()
        session = Session(stream, started_ms=time.time_ns() // 1_000_000, now=now)
        self._run = CommandRun(spec, invocation, session, sink=sink, limits=limits, now=now)

    @property
    def over(self) -> bool:
        return self._run.over

    async def result(self) -> CommandResult:
        try:
            transport = await self._connect(self._stream.stream_url, self._limits.connect_s)
        except ConnectionBroken as error:
            return outcomes.not_connected(str(error))
        try:
            return await self._over(transport)
        except ConnectionBroken as error:
            reason = str(error)
        again = await self._reconnect()
        if again is None:
            return self._lost(reason)
        try:
            return await self._over(again)
        except ConnectionBroken as error:
            return self._lost(f"{reason}; and again, after it was resumed: {error}")

    async def _over(self, transport: Transport) -> CommandResult:
        """The result, over this connection. Raises ConnectionBroken when it ends before there is one."""
        try:
            while self._run.result is None:
                if self._run.data_key_wanted:
                    await self._answer_data_key()
                await self._send(transport)
                await self._receive(transport, self._run.wake_at)
            await self._take_leave(transport)
            return self._run.result
        finally:
            await transport.close()

    async def _take_leave(self, transport: Transport) -> None:
        """Sends what is left; after an end mark, until the wrapper has been let go. Nothing depends on it."""
        until = self._clock() + FAREWELL_S
        try:
            await self._send(transport)
            while self._run.over and self._run.resend_at is not None and self._clock() < until:
                await self._receive(transport, min(until, self._run.resend_at))
                await self._send(transport)
        except ConnectionBroken:
            return

    async def _send(self, transport: Transport) -> None:
        if outgoing := self._run.outgoing():
            await transport.send(outgoing)

    async def _receive(self, transport: Transport, until: float) -> None:
        arrived = await transport.receive(max(0.0, until - self._clock()))
        now = self._clock()
        self._run.receive(arrived, now)
        self._run.tick(now)

    async def _answer_data_key(self) -> None:
        wanted = self._run.data_key_wanted
        assert wanted is not None
        if self._data_key is None:
            self._run.refuse_data_key("this client may not use KMS", self._clock())
            return
        try:
            key = await self._data_key(wanted.key_id, wanted.encryption_context)
            self._run.provide_data_key(key, self._clock())
        except (TaskmedicError, ValueError) as error:
            self._run.refuse_data_key(str(error), self._clock())

    async def _reconnect(self) -> Transport | None:
        """One attempt to take the session up again; whether ECS Exec allows it is not known."""
        if self._resume is None or self._run.result is not None:
            return None
        try:
            token = await asyncio.wait_for(self._resume(self._stream.session_id), self._limits.terminate_s)
            if not token:
                return None
            transport = await self._connect(self._stream.stream_url, self._limits.connect_s)
        except (TaskmedicError, TimeoutError, ConnectionBroken):
            return None
        self._run.reconnected(token, self._clock())
        return transport

    def _lost(self, reason: str) -> CommandResult:
        self._run.lost(reason)
        assert self._run.result is not None
        return self._run.result
