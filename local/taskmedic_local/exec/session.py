"""One session's worker, as amazon-ssm-agent runs it in the container: handshake, terminal, output, end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from cryptography.exceptions import InvalidTag

from taskmedic_local.exec import encryption, frames, goshlex, utf8
from taskmedic_local.exec.channel import LOOK_EVERY_S, Channel
from taskmedic_local.exec.encryption import Decrypt, HandshakeFailed, Keys
from taskmedic_local.exec.frames import BadFrame, Frame, PayloadType
from taskmedic_local.exec.sandbox import Box, NotExecutable
from taskmedic_local.exec.terminal import Terminal
from taskmedic_local.exec.timing import Timing

CHALLENGE_BYTES = 16
SECRET_BYTES = 64
MAX_OUTPUT_TEXT = 2500
_EMPTY_COMMAND = "Commands cannot be empty for session type InteractiveCommands"
_NO_RESPONSE = (
    "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."
)
_NO_CHALLENGE = "Timed out waiting for encryption challenge."


@dataclass(frozen=True)
class SessionRequest:
    """What the control plane tells the agent to start."""

    session_id: str
    target_id: str
    command: str
    kms_key_id: str = ""


class Gateway(Protocol):
    """What a session says to the message gateway."""

    def agent_joins(self, agent: Session) -> None:
        """The session's worker has opened the data channel."""

    def from_agent(self, data: bytes) -> None:
        """A frame on the data channel."""

    def task_complete(self, output: str) -> None:
        """``agent_task_complete`` on the control channel; an empty text is a normal end."""


class StartFailed(Exception):
    """The command could not be started; the message is what the client gets to see."""


class WorkerCrashed(Exception):
    """The session's worker died without a word, as the real one does on a command of no words."""


class _Phase(Enum):
    STARTING = auto()  # input is acknowledged and thrown away
    HANDSHAKE = auto()
    OPENING = auto()  # no terminal yet: input is neither acknowledged nor counted
    RUNNING = auto()


class Session:
    """A session of one container. Every method is called on the event loop's thread."""

    def __init__(
        self, request: SessionRequest, box: Box, gateway: Gateway, *, timing: Timing, decrypt: Decrypt
    ) -> None:
        self.request = request
        self._box = box
        self._gateway = gateway
        self._timing = timing
        self._decrypt = decrypt
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(gateway.from_agent, self._take)
        self._phase = _Phase.STARTING
        self._answers: asyncio.Queue[Frame] = asyncio.Queue()
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._heard = asyncio.Event()
        self.terminal: Terminal | None = None
        self._keys: Keys | None = None
        self._terminated = False
        self._gone = False

    async def run(self) -> None:
        """From the start to the end of the session, whatever the end is.

        Raises:
            WorkerCrashed: There is nothing more to be told to anybody.
        """
        resending = self._loop.create_task(self._resend())
        output = ""
        try:
            self._gateway.agent_joins(self)
            self._tell("Connected")
            await asyncio.sleep(self._timing.worker_start)
            if self.request.kms_key_id:
                self._phase = _Phase.HANDSHAKE
                await self._handshake(self.request.kms_key_id)
            self._phase = _Phase.OPENING
            await self._run_command()
        except (StartFailed, HandshakeFailed) as error:
            output = str(error)
            await asyncio.sleep(self._timing.failed_start)
        finally:
            self._hang_up()
            resending.cancel()
            self._gone = True
        self._tell("Terminating")
        self._gateway.task_complete(output[:MAX_OUTPUT_TEXT])

    def received(self, data: bytes) -> None:
        """A frame from the gateway; nobody answers once the worker is gone."""
        if self._gone:
            return
        try:
            frame = frames.decode(data)
        except BadFrame:
            return
        if frame.type == frames.CHANNEL_CLOSED:
            self.terminate()
            return
        self._channel.received(frame, self._loop.time())
        self._heard.set()
        if self._channel.paused:
            self._unpaused.clear()
        else:
            self._unpaused.set()

    def terminate(self) -> None:
        """SIGKILL to the direct child, and the terminal closed."""
        self._terminated = True
        self._unpaused.set()
        if self.terminal:
            self.terminal.kill()
            self.terminal.close()

    def _take(self, frame: Frame) -> bool:
        """Handle one input message in its turn; False when it must come again."""
        match self._phase:
            case _Phase.STARTING:
                return True
            case _Phase.HANDSHAKE:
                self._answers.put_nowait(frame)
                return True
            case _Phase.OPENING:
                return False
            case _Phase.RUNNING:
                self._type(frame)
                return True

    def _type(self, frame: Frame) -> None:
        if self.terminal is None:
            return
        if frame.payload_type == PayloadType.SIZE:
            try:
                size = json.loads(frame.payload)
                self.terminal.resize(int(size["cols"]), int(size["rows"]))
            except (ValueError, KeyError, TypeError):
                return
        elif frame.payload_type == PayloadType.OUTPUT:
            with contextlib.suppress(InvalidTag):
                self.terminal.write(self._keys.open(frame.payload) if self._keys else frame.payload)

    async def _handshake(self, kms_key_id: str) -> None:
        began = time.monotonic_ns()
        challenge = base64.b64encode(os.urandom(CHALLENGE_BYTES)).decode()
        self._send(PayloadType.HANDSHAKE_REQUEST, encryption.request(kms_key_id, challenge))
        response = await self._answer(PayloadType.HANDSHAKE_RESPONSE, _NO_RESPONSE)
        accepted = encryption.read_response(response)
        keys = await asyncio.to_thread(
            encryption.derive_keys,
            accepted,
            kms_key_id=kms_key_id,
            session_id=self.request.session_id,
            target_id=self.request.target_id,
            challenge=challenge,
            decrypt=self._decrypt,
        )
        secret = os.urandom(SECRET_BYTES)
        self._send(PayloadType.CHALLENGE_REQUEST, encryption.challenge_request(keys, secret))
        answer = await self._answer(PayloadType.CHALLENGE_RESPONSE, _NO_CHALLENGE)
        encryption.check_challenge(keys, secret, answer)
        self._send(PayloadType.HANDSHAKE_COMPLETE, encryption.complete(time.monotonic_ns() - began))
        self._keys = keys

    async def _answer(self, wanted: PayloadType, too_late: str) -> bytes:
        """The payload of the next message of that kind; others are dropped.

        Raises:
            HandshakeFailed: None came in time.
        """
        try:
            async with asyncio.timeout(self._timing.handshake):
                while True:
                    frame = await self._answers.get()
                    if frame.payload_type == wanted:
                        return frame.payload
        except TimeoutError as error:
            raise HandshakeFailed(too_late) from error

    async def _run_command(self) -> None:
        self.terminal = self._start()
        self._phase = _Phase.RUNNING
        await asyncio.sleep(self._timing.first_output)
        held_back = b""
        while True:
            await self._unpaused.wait()
            data = await self.terminal.read()
            if not data:
                break
            ready, held_back = utf8.cut(held_back + data)
            if ready:
                self._send(PayloadType.OUTPUT, ready)
            await asyncio.sleep(self._timing.between_reads)
        if not self._terminated:
            await self._drain()

    def _start(self) -> Terminal:
        """The command on its terminal.

        Raises:
            StartFailed: It cannot be started.
            WorkerCrashed: It has no words.
        """
        if self._terminated:
            raise StartFailed("")
        if not self.request.command.strip():
            raise StartFailed(_EMPTY_COMMAND)
        try:
            words = goshlex.split(self.request.command)
            if not words:
                raise WorkerCrashed
            argv = [self._box.program(words[0]), *words[1:]]
            return Terminal(argv, cwd=self._box.home, env=self._box.env)
        except goshlex.SplitError as error:
            raise _unable(f"Failed to parse commands input: {error}") from error
        except OSError as error:
            cause = f"fork/exec {words[0]}: {(error.strerror or str(error)).lower()}"
            raise _unable(f"Failed to start pty: {cause}") from error
        except (NotExecutable, ValueError) as error:
            raise _unable(f"Failed to start pty: {error}") from error

    async def _drain(self) -> None:
        """Wait until all output is acknowledged, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.drain):
                while not self._channel.drained:
                    self._heard.clear()
                    await self._heard.wait()

    async def _resend(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._channel.resend(self._loop.time())

    def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        if self._keys and payload_type is PayloadType.OUTPUT:
            payload = self._keys.seal(payload)
        self._channel.output(payload_type, payload, self._loop.time())

    def _tell(self, state: str) -> None:
        content = {"SchemaVersion": 1, "SessionState": state, "SessionId": self.request.session_id}
        frame = Frame(frames.SESSION_STATE, json.dumps(content).encode(), flags=frames.SYN_FIN)
        self._gateway.from_agent(frames.encode(frame))

    def _hang_up(self) -> None:
        if self.terminal:
            self.terminal.close()


def _unable(cause: str) -> StartFailed:
    return StartFailed(f"\n----------ERROR-------\nUnable to start command: {cause}")
