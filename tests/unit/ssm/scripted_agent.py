"""A stand-in for AWS's agent and gateway, in memory and in virtual time.

Does what the real agent was seen to do: no handshake without KMS, one second before the first output, chunks
of 1,024 bytes, its oldest frame sent again until it is acknowledged, two seconds for the rest at the end. The
network between it and the client loses, repeats and re-orders frames as it is told.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
import itertools
import json
import os
import random
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from taskmedic.domain.command import CommandResult, CommandSpec, DataKey, StreamSession
from taskmedic.ssm import frames
from taskmedic.ssm.channel import RoundTrip
from taskmedic.ssm.client import run_command
from taskmedic.ssm.command import LINGER_S
from taskmedic.ssm.run import Limits
from taskmedic.ssm.transport import ConnectionBroken


class World:
    """Virtual time: seconds since the beginning, and what is still to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        return self.now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), action))

    def advance(self, until: float) -> bool:
        """Lets the next thing happen if it does so before ``until``; else it is ``until`` now."""
        if not self._agenda or self._agenda[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, action = heapq.heappop(self._agenda)
        action()
        return True


@dataclass(frozen=True)
class Network:
    """What happens to frames on the way, both ways, as probabilities."""

    loss: float = 0.0
    repeats: float = 0.0
    disorder: float = 0.0
    delay_s: float = 0.005
    seed: int = 0


@dataclass(frozen=True)
class Behaviour:
    """What the container does with the one command it is given."""

    output: bytes = b""
    """As the command writes it; the terminal's line ends are added."""
    status: int | None = 0
    """None: the wrapper is killed before it prints its end mark."""
    takes_s: float = 0.0
    starts: bool = True
    """False: the agent opens the channel, and no program ever speaks."""
    before_start: bytes = b""
    beats: bool = False
    marks: tuple[tuple[float, str], ...] = ()
    """More marks of the wrapper, with their seconds after the start."""
    close_message: str | None = ""
    """What the gateway says at the end; None: it never says that the session is over."""
    cut_after: int | None = None
    """The connection is cut once the agent has sent so many frames."""
    lost_for_ever: frozenset[int] = frozenset()
    """Sequence numbers that never arrive, however often they are sent."""
    kms: bool = False
    challenge: str = ""
    actions: tuple[Mapping[str, Any], ...] | None = None
    """Other requests for the handshake."""
    chunk: int = 1024
    raw_frames: tuple[bytes, ...] = ()
    """Frames sent to the client as soon as it is there, whatever they are."""
    payloads: tuple[tuple[int, bytes], ...] = ()
    """Stream frames of any type, sent in turn before the command's output."""


class ScriptedAgent:
    """One container's agent with its gateway."""

    def __init__(
        self, behaviour: Behaviour | None = None, *, network: Network | None = None, resumable: bool = False
    ) -> None:
        self.world = World()
        self.behaviour = behaviour or Behaviour()
        self.network = network or Network()
        self.resumable = resumable
        self.command_lines: list[str] = []
        self.terminated: list[str] = []
        self.resumed: list[str] = []
        self.hellos: list[dict[str, Any]] = []
        self.input = b""
        self.input_types: list[int] = []
        self.acknowledgements: list[int] = []
        self.handshake_response: dict[str, Any] | None = None
        self.data_key_context: Mapping[str, str] | None = None
        self.connections: list[_Connection] = []
        self.connect_error: str = ""
        self.closed = False
        self._random = random.Random(self.network.seed)
        self._to_client_key = self._from_client_key = b""
        self._sequence = 0
        self._unacknowledged: dict[int, tuple[bytes, float]] = {}
        self._round_trip = RoundTrip()
        self._expected = 0
        self._early: dict[int, frames.Frame] = {}
        self._sent = 0
        self._after_handshake: Callable[[], None] | None = None
        self._wanted_input: int | None = None
        self._on_input: Callable[[], None] | None = None
        self._over = False
        self._plain_challenge = b""

    # What AWS's APIs would do.

    async def open_session(self, command_line: str) -> StreamSession:
        self.command_lines.append(command_line)
        self.world.later(0.1, self._start)
        self.world.later(0.1, self._resend)
        return StreamSession(
            "ecs-execute-command-0123456789abcdefg", "wss://gateway/secret", "token-1", "ecs:c_t_r"
        )

    async def terminate(self, session_id: str) -> None:
        self.terminated.append(session_id)
        self._over = True

    async def resume(self, session_id: str) -> str | None:
        self.resumed.append(session_id)
        return f"token-{len(self.connections) + 1}" if self.resumable else None

    async def data_key(self, key_id: str, context: Mapping[str, str]) -> DataKey:
        self.data_key_context = context
        plaintext = bytes(range(64))
        self._to_client_key, self._from_client_key = plaintext[:32], plaintext[32:]
        return DataKey(plaintext, b"ciphertext of " + key_id.encode())

    async def connect(self, url: str, timeout_s: float) -> _Connection:
        if self.connect_error:
            raise ConnectionBroken(self.connect_error)
        connection = _Connection(self)
        self.connections.append(connection)
        for raw in self.behaviour.raw_frames:
            self._carry(raw, connection.arrive)
        for raw, _ in self._unacknowledged.values():
            self._carry(raw, connection.arrive)
        return connection

    def cut(self) -> None:
        """The connection breaks, without a word."""
        self.connections[-1].cut()

    # The agent.

    def _start(self) -> None:
        if self.behaviour.kms or self.behaviour.actions is not None:
            self._after_handshake = self._start_command
            self._send(frames.PayloadType.HANDSHAKE_REQUEST, json.dumps(self._handshake_request()).encode())
        else:
            self._start_command()

    def _handshake_request(self) -> dict[str, Any]:
        parameters = {"KMSKeyId": "alias/exec", "Challenge": self.behaviour.challenge}
        session = {"SessionType": "InteractiveCommands", "Properties": None}
        actions: Sequence[Mapping[str, Any]] = self.behaviour.actions or (
            {"ActionType": "SessionType", "ActionParameters": session},
            {"ActionType": "KMSEncryption", "ActionParameters": parameters},
        )
        return {"AgentVersion": "3.3.0.0", "RequestedClientActions": list(actions)}

    def _start_command(self) -> None:
        if self.behaviour.starts:
            self.world.later(1.0, self._wrapper)
        elif self.behaviour.close_message is not None:
            self.world.later(2.0, self._close)

    def _wrapper(self) -> None:
        wrapper = shlex.split(self.command_lines[-1])[-1]
        for payload_type, payload in self.behaviour.payloads:
            self._send(payload_type, payload)
        self._terminal(self.behaviour.before_start)
        if lines := re.search(r"m ready;_s=;_n=(\d+);", wrapper):
            self._mark("ready")
            self._wanted_input = int(lines.group(1))
            self._on_input = self._program
        else:
            self._program()

    def _program(self) -> None:
        if re.match("/bin/sh -c '_a=", self.command_lines[-1]):
            self._mark("start")
        if self.behaviour.beats:
            for beat in range(int(self.behaviour.takes_s // 60) + 1):
                self.world.later(beat * 60.0, lambda: self._mark("beat"))
        for seconds, word in self.behaviour.marks:
            self.world.later(seconds, lambda word=word: self._mark(word))
        output = self.behaviour.output.replace(b"\n", b"\r\n")
        chunks = [output[i : i + self.behaviour.chunk] for i in range(0, len(output), self.behaviour.chunk)]
        for number, chunk in enumerate(chunks):
            self.world.later(number * 0.001, lambda chunk=chunk: self._terminal(chunk))
        self.world.later(self.behaviour.takes_s + len(chunks) * 0.001, self._end)

    def _end(self) -> None:
        if self.behaviour.status is not None and re.match("/bin/sh -c '_a=", self.command_lines[-1]):
            self._mark(str(self.behaviour.status))
            self._wanted_input = (self._wanted_input or 0) + 1  # the wrapper's last read
            self._on_input = self._leader_exits
            self.world.later(LINGER_S, self._leader_exits)
        else:
            self._leader_exits()

    def _leader_exits(self) -> None:
        self._on_input = None
        if self.behaviour.close_message is not None and not self._over:
            self._drain(self.world.now + 2.0)

    def _drain(self, until: float) -> None:
        if self._unacknowledged and self.world.now < until:
            self.world.later(0.05, lambda: self._drain(until))
        else:
            self._close()

    def _close(self) -> None:
        self.closed = True
        payload = json.dumps(
            {"MessageType": "channel_closed", "Output": self.behaviour.close_message}
        ).encode()
        raw = frames.encode(frames.CHANNEL_CLOSED, payload, message_id=uuid4(), created_ms=1)
        if self.connections:
            self.world.later(0.05, lambda: self.connections[-1].arrive(raw))
        self._over = True

    def _mark(self, word: str) -> None:
        wrapper = self.command_lines[-1]
        nonce = "".join(re.search("_a=([0-9a-f]{16});_b=([0-9a-f]{16});", wrapper).groups())  # type: ignore[union-attr]
        self._terminal(f"{nonce}:{word}:\r\n".encode())

    def _terminal(self, data: bytes) -> None:
        if data and not self._over:
            self._send(frames.PayloadType.OUTPUT, data)

    def _send(self, payload_type: int, payload: bytes) -> None:
        if self._to_client_key and payload_type == frames.PayloadType.OUTPUT:
            payload = _seal(self._to_client_key, payload)
        raw = frames.encode(
            frames.OUTPUT_STREAM,
            payload,
            message_id=uuid4(),
            created_ms=1,
            sequence=self._sequence,
            payload_type=payload_type,
            flags=0 if self._sequence else 1,
        )
        self._unacknowledged[self._sequence] = (raw, self.world.now)
        self._sequence += 1
        self._transmit(self._sequence - 1, raw)

    def _transmit(self, sequence: int, raw: bytes) -> None:
        if not self.connections or not self.connections[-1].open:
            return  # paused; it keeps what it has
        connection = self.connections[-1]
        if sequence not in self.behaviour.lost_for_ever:
            self._carry(raw, connection.arrive)
        self._sent += 1
        if self._sent == self.behaviour.cut_after:
            connection.cut()

    def _resend(self) -> None:
        if self._unacknowledged:
            sequence, (raw, sent_at) = next(iter(self._unacknowledged.items()))
            if self.world.now - sent_at > self._round_trip.timeout_s:
                self._unacknowledged[sequence] = (raw, self.world.now)
                self._transmit(sequence, raw)
        if not self._over:
            self.world.later(0.1, self._resend)

    def from_client(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.hellos.append(json.loads(message))
        else:
            self._carry(message, self._take)

    def _take(self, raw: bytes) -> None:
        frame = frames.decode(raw)
        if frame.kind == frames.ACKNOWLEDGE:
            sequence = frames.acknowledged_sequence(frame)
            self.acknowledgements.append(sequence)
            if entry := self._unacknowledged.pop(sequence, None):
                self._round_trip = self._round_trip.after(self.world.now - entry[1])
            return
        ack = frames.acknowledgement(frame, message_id=uuid4(), created_ms=1)
        self._carry(ack, self.connections[-1].arrive)
        self._early.setdefault(frame.sequence, frame)
        while frame_in_turn := self._early.pop(self._expected, None):
            self._expected += 1
            self._take_input(frame_in_turn)

    def _take_input(self, frame: frames.Frame) -> None:
        self.input_types.append(frame.payload_type)
        match frame.payload_type:
            case frames.PayloadType.OUTPUT:
                key = self._from_client_key
                self.input += _unseal(key, frame.payload) if key else frame.payload
                if self._on_input and self.input.count(b"\n") == self._wanted_input:
                    self._on_input()
            case frames.PayloadType.HANDSHAKE_RESPONSE:
                self._take_handshake(json.loads(frame.payload))
            case frames.PayloadType.ENCRYPTION_CHALLENGE_RESPONSE:
                answer = base64.b64decode(json.loads(frame.payload)["Challenge"])
                assert _unseal(self._from_client_key, answer) == self._plain_challenge
                self._complete_handshake()

    def _take_handshake(self, response: dict[str, Any]) -> None:
        self.handshake_response = response
        failed = [a for a in response["ProcessedClientActions"] if a["ActionStatus"] != 1]
        if failed:
            message = "Encountered error while initiating handshake. " + "; ".join(
                f"{a['ActionType']} failed on client with status {a['ActionStatus']} error: {a['Error']}"
                for a in failed
            )
            self.behaviour = replace(self.behaviour, close_message=message)
            self._close()
        elif self._to_client_key:
            self._plain_challenge = os.urandom(64)
            sealed = base64.b64encode(_seal(self._to_client_key, self._plain_challenge)).decode()
            payload = json.dumps({"Challenge": sealed}).encode()
            self._send(frames.PayloadType.ENCRYPTION_CHALLENGE_REQUEST, payload)
        else:
            self._complete_handshake()

    def _complete_handshake(self) -> None:
        message = {
            "HandshakeTimeToComplete": 1,
            "CustomerMessage": "This session is encrypted using AWS KMS.",
        }
        self._send(frames.PayloadType.HANDSHAKE_COMPLETE, json.dumps(message).encode())
        assert self._after_handshake
        self._after_handshake()

    def _carry(self, raw: bytes, deliver: Callable[[bytes], None]) -> None:
        network, chance = self.network, self._random.random
        if chance() < network.loss:
            return
        for _ in range(2 if chance() < network.repeats else 1):
            late = self._random.uniform(0, 0.05) if chance() < network.disorder else 0.0
            self.world.later(network.delay_s + late, lambda: deliver(raw))


class _Connection:
    """The client's transport: waiting lets virtual time pass."""

    def __init__(self, agent: ScriptedAgent) -> None:
        self._agent = agent
        self._arrived: list[bytes] = []
        self.open = True
        self.closed_by_client = False

    def arrive(self, raw: bytes) -> None:
        if self.open:
            self._arrived.append(raw)

    def cut(self) -> None:
        self.open = False

    async def send(self, messages: Sequence[str | bytes]) -> None:
        if not self.open:
            raise ConnectionBroken("cut")
        for message in messages:
            self._agent.from_client(message)

    async def receive(self, timeout_s: float, *, at_once: bool = False) -> list[bytes]:
        await asyncio.sleep(0)
        until = self._agent.world.now + timeout_s
        while not self._arrived and self.open:
            if not self._agent.world.advance(until):
                return []
        if not self._arrived:
            raise ConnectionBroken("cut")
        arrived, self._arrived = self._arrived, []
        return arrived

    async def close(self) -> None:
        self.open = False
        self.closed_by_client = True


def _seal(key: bytes, data: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def _unseal(key: bytes, data: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:12], data[12:], None)


@dataclass
class Collected:
    """A sink that keeps all."""

    pieces: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


def a_command(script: str = "./do-it", **more: Any) -> CommandSpec:
    """A specification; tests name what matters to them."""
    return CommandSpec(script=script, **more)


async def run(
    agent: ScriptedAgent,
    spec: CommandSpec | None = None,
    *,
    sink: Collected | None = None,
    limits: Limits | None = None,
    **more: Any,
) -> CommandResult:
    """Runs a command over the scripted agent."""
    return await run_command(
        agent.open_session,
        spec or a_command(),
        sink=sink or Collected(),
        terminate=more.pop("terminate", agent.terminate),
        resume=agent.resume,
        data_key=more.pop("data_key", agent.data_key),
        connect=more.pop("connect", agent.connect),
        limits=limits or Limits(),
        clock=agent.world.clock,
        **more,
    )
