"""Runs one command in one container over an SSM session. Knows nothing of ECS."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from taskmedic.domain.command import CommandResult, CommandSpec, DataKey, StreamSession, note_left_open
from taskmedic.domain.errors import CommandMayHaveRun, ExecAgentNotReady, TaskmedicError
from taskmedic.ssm import outcomes
from taskmedic.ssm.command import prepare
from taskmedic.ssm.run import CommandRun, Limits, OutputSink
from taskmedic.ssm.session import DataKeyWanted, Session
from taskmedic.ssm.transport import Connect, ConnectionBroken, Transport, connect_websocket

OpenSession = Callable[[str], Awaitable[StreamSession]]
"""ecs:ExecuteCommand with this command line. Must never repeat the call after an unclear answer, and when it
is cancelled after it made the call, it must come back with the session all the same."""
Terminate = Callable[[str], Awaitable[None]]
"""ssm:TerminateSession of this session id."""
Resume = Callable[[str], Awaitable[str | None]]
"""ssm:ResumeSession of this session id: a new token, or None when the session is over."""
GenerateDataKey = Callable[[str, Mapping[str, str]], Awaitable[DataKey]]
"""kms:GenerateDataKey of 64 bytes for this key id and encryption context."""

DEFAULT_LIMITS: Final = Limits()
FAREWELL_S: Final = 1.0
"""How long to see to it that the wrapper in the container was let go, when the result is known; and how long
to take what still comes from a peer to which nothing can be sent any more."""


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
    known to be over is ended with ``terminate``: on every outcome without an end, when the wrapper in the
    container cannot be let go, on cancellation, and when the sink fails. Where that fails, the result or the
    exception says so (``CommandResult.left_open``, ``why_left_open``).

    Args:
        sink: Gets the whole output while the result keeps its beginning and end.
        clock: Seconds that never go back; ``connect``'s transports must wait by the same clock.
    """
    began = clock()
    invocation = prepare(spec, new_nonce())
    try:
        stream = await _opened(open_session(invocation.command_line), terminate, limits)
    except TaskmedicError as error:
        # Without an answer it is open whether the call arrived, and the agent starts without us.
        result = outcomes.not_opened(
            error.reason(), error.remedy, may_have_run=isinstance(error, CommandMayHaveRun)
        )
        agent_ready = not isinstance(error, ExecAgentNotReady)
        return replace(result, agent_ready=agent_ready, duration_s=clock() - began)
    now = clock()
    session = Session(stream, started_ms=time.time_ns() // 1_000_000, now=now)
    run = CommandRun(spec, invocation, session, sink=sink, limits=limits, now=now)

    async def ended() -> str:
        over = run.over and run.resend_at is None
        return "" if over else await _ended(stream.session_id, terminate, limits)

    try:
        result = await _Conversation(run, stream, limits, connect, resume, data_key, clock).result()
    except BaseException as error:
        note_left_open(error, await ended())
        raise
    trouble = await ended()
    return replace(
        result,
        duration_s=clock() - began,
        remedy=f"{result.remedy} {trouble}".strip(),
        left_open=trouble,
    )


async def _opened(opening: Awaitable[StreamSession], terminate: Terminate, limits: Limits) -> StreamSession:
    """The new session. If this task is cancelled meanwhile, a call not made yet is not made any more; the
    session of one that is on its way is awaited, and ended.
    """
    future = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError as cancelled:
        future.cancel()
        await asyncio.wait([future], timeout=limits.start_s)
        if not future.done() or (
            not future.cancelled() and isinstance(future.exception(), CommandMayHaveRun)
        ):
            note_left_open(cancelled, outcomes.PERHAPS_OPENED)
        elif not future.cancelled() and not future.exception():
            note_left_open(cancelled, await _ended(future.result().session_id, terminate, limits))
        raise


async def _ended(session_id: str, terminate: Terminate, limits: Limits) -> str:
    """Ends the session even while this task is being cancelled; a sentence if that failed."""
    ending = asyncio.ensure_future(asyncio.wait_for(terminate(session_id), limits.terminate_s))
    try:
        await asyncio.wait([ending])
    except asyncio.CancelledError as cancelled:
        try:
            await asyncio.wait([ending])
        except asyncio.CancelledError as impatient:
            note_left_open(impatient, "Whether its session could be ended was not waited for.")
            raise
        note_left_open(cancelled, _trouble(ending))
        raise
    return _trouble(ending)


def _trouble(ending: asyncio.Future[None]) -> str:
    match ending.exception():
        case None:
            return ""
        case TaskmedicError() as error:
            return f"Its session could not be ended: {error.text()}"
        case TimeoutError():
            return "Its session could not be ended: no answer from ssm:TerminateSession."
        case error:
            raise error


@dataclass(frozen=True)
class _Conversation:
    """Carries frames between a CommandRun and its connection."""

    run: CommandRun
    stream: StreamSession
    limits: Limits
    connect: Connect
    resume: Resume | None
    data_key: GenerateDataKey | None
    clock: Callable[[], float]

    async def result(self) -> CommandResult:
        """The command's result, over one connection or, if it breaks, over a second."""
        try:
            transport = await self.connect(self.stream.stream_url, self.limits.connect_s)
        except ConnectionBroken as error:
            return outcomes.not_connected(str(error))
        try:
            return await self._over(transport)
        except ConnectionBroken as error:
            first = str(error)
        try:
            return await self._over(await self._reconnected())
        except ConnectionBroken as error:
            return self.run.lost(f"{first}; {error}")

    async def _over(self, transport: Transport) -> CommandResult:
        """The result, over this connection. Raises ConnectionBroken when it ends before there is one."""
        try:
            while self.run.result is None:
                if wanted := self.run.data_key_wanted:
                    await self._answer(wanted)
                await self._send(transport)
                await self._receive(transport, self.run.wake_at)
            await self._take_leave(transport)
        except ConnectionBroken:
            await self._take_what_came(transport)
            if self.run.result is None:
                raise
        finally:
            await transport.close()
        assert self.run.result is not None
        return self.run.result

    async def _take_what_came(self, transport: Transport) -> None:
        """What had arrived before the connection broke, which sending finds out first: maybe the end."""
        until = self.clock() + FAREWELL_S
        with suppress(ConnectionBroken):
            while self.run.result is None and self.clock() < until:
                if not (arrived := await transport.receive(0, at_once=True)):
                    return
                self.run.receive(arrived, self.clock())

    async def _take_leave(self, transport: Transport) -> None:
        """Sends what is left; after an end mark, until the wrapper has been let go. Nothing depends on it."""
        until = self.clock() + FAREWELL_S
        try:
            await self._send(transport)
            while self.run.over and self.run.resend_at is not None and self.clock() < until:
                await self._receive(transport, min(until, self.run.resend_at), at_once=True)
                await self._send(transport)
        except ConnectionBroken:
            return  # the agent was quicker

    async def _send(self, transport: Transport) -> None:
        if outgoing := self.run.outgoing():
            await transport.send(outgoing)

    async def _receive(self, transport: Transport, until: float, *, at_once: bool = False) -> None:
        arrived = await transport.receive(max(0.0, until - self.clock()), at_once=at_once)
        now = self.clock()
        self.run.receive(arrived, now)
        self.run.tick(now)

    async def _answer(self, wanted: DataKeyWanted) -> None:
        if self.data_key is None:
            self.run.refuse_data_key("this client may not use KMS", self.clock())
            return
        try:
            key = await self.data_key(wanted.key_id, wanted.encryption_context)
            self.run.provide_data_key(key, self.clock())
        except TaskmedicError as error:
            self.run.refuse_data_key(error.reason(), self.clock())

    async def _reconnected(self) -> Transport:
        """One attempt to take the session up again; whether ECS Exec allows it is not known."""
        if self.resume is None:
            raise ConnectionBroken("it cannot be resumed")
        try:
            token = await asyncio.wait_for(self.resume(self.stream.session_id), self.limits.terminate_s)
        except TaskmedicError as error:
            raise ConnectionBroken(f"resuming it failed: {error.reason()}") from error
        except TimeoutError:
            raise ConnectionBroken("no answer from ssm:ResumeSession") from None
        if not token:
            raise ConnectionBroken("the session is over")
        transport = await self.connect(self.stream.stream_url, self.limits.connect_s)
        self.run.reconnected(token, self.clock())
        return transport
