"""One session over a data channel, without a socket: frames and the time in, frames and events out.

What AWS's agent and plugin do was observed. About the closed service between them, this is **assumed**:

* there is no answer to the opening text frame; a refused token shows as a closed connection;
* ``channel_closed`` comes when the session is over, possibly before the last output, so it proves nothing
  about the command;
* a session of ECS Exec may be resumed with ``ssm:ResumeSession``, which nobody has been seen to do.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from taskmedic.domain.command import DataKey, StreamSession
from taskmedic.ssm import frames
from taskmedic.ssm.channel import Inbound, Outbound
from taskmedic.ssm.encryption import DecryptionFailed, SessionCipher
from taskmedic.ssm.frames import Frame, FrameInvalid, PayloadType

CLIENT_VERSION: Final = "1.2.677.0"
"""The version of AWS's plugin whose protocol this is; agents compare it with the oldest they accept."""

_KNOWN_SESSION_TYPES: Final = frozenset({"Standard_Stream", "InteractiveCommands", "NonInteractiveCommands"})
_ENCRYPTED_FROM_AGENT: Final = frozenset(
    {PayloadType.OUTPUT, PayloadType.ERROR_OUTPUT, PayloadType.EXIT_CODE}
)
_MAX_ACTIONS: Final = 16
_SUCCESS, _FAILED, _UNSUPPORTED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that the command wrote; from a terminal, so stdout and stderr are one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ErrorOutput:
    """Bytes written to stderr. ECS Exec has not been seen to send these."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """An exit status told by the agent. ECS Exec has not been seen to send it."""

    code: int


@dataclass(frozen=True, slots=True)
class DataKeyWanted:
    """The agent wants an encrypted session. Answer with provide_data_key or refuse_data_key within 15 s."""

    key_id: str
    encryption_context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over. ``message`` is empty at a normal end."""

    message: str
    gap: bool
    """Frames arrived whose predecessors never did."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The session cannot go on: what came cannot be decrypted or understood."""

    reason: str


Event = Output | ErrorOutput | ExitStatus | DataKeyWanted | Closed | Broken


class Session:
    """The client's side of one session.

    Args:
        stream: As ``ecs:ExecuteCommand`` answered.
        started_ms: Milliseconds since 1970 at ``now``; frames carry their date.
        now: Seconds on the clock that all other calls use.
    """

    def __init__(
        self, stream: StreamSession, *, started_ms: int, now: float, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        self._stream = stream
        self._epoch_ms = started_ms - now * 1000
        self._new_id = new_id
        self._client_id = str(new_id())
        self._inbound = Inbound()
        self._outbound = Outbound()
        self._out: list[str | bytes] = []
        self._cipher: SessionCipher | None = None
        self._handshake: list[dict[str, Any]] | None = None  # the actions asked for, once they were
        self._challenge = ""
        self._over = False
        self._say_hello(stream.token)

    def outgoing(self) -> list[str | bytes]:
        """What is to be sent now, in order: text frames as str, binary ones as bytes."""
        out, self._out = self._out, []
        return out

    def receive(self, raw_frames: Iterable[bytes], now: float) -> list[Event]:
        """Takes what arrived. Damaged and unknown frames are dropped, as AWS's programs do."""
        events: list[Event] = []
        for raw in raw_frames:
            if self._over:
                break
            try:
                self._receive(frames.decode(raw), now, events)
            except FrameInvalid:
                continue
        return events

    def send_input(self, data: bytes, now: float) -> None:
        """Sends at most 1,024 bytes to the terminal. Not before its first output: they would be lost."""
        self._send_stream(PayloadType.OUTPUT, self._cipher.encrypt(data) if self._cipher else data, now)

    @property
    def heard(self) -> bool:
        """Whether anything came from the agent."""
        return self._inbound.expected > 0

    @property
    def wake_at(self) -> float | None:
        """When ``tick`` has something to do, if nothing arrives before."""
        return None if self._over else self._outbound.due_at

    def tick(self, now: float) -> None:
        """Sends again what was not acknowledged in time."""
        if not self._over:
            self._out += self._outbound.due(now)

    def reconnected(self, token: str) -> None:
        """Goes on over a new connection. The counters continue; what was not acknowledged is sent again."""
        self._out.clear()
        self._say_hello(token)

    def provide_data_key(self, key: DataKey, now: float) -> None:
        """Answers ``DataKeyWanted`` with a key made for its key id and encryption context."""
        result: dict[str, Any] = {
            "KMSCipherTextKey": b64encode(key.ciphertext).decode(),
            "KMSCipherTextHash": None,
        }
        if self._challenge:
            result["ChallengeAcknowledgement"] = True
        self._cipher = SessionCipher(key)
        self._respond(now, kms=_processed("KMSEncryption", _SUCCESS, result))

    def refuse_data_key(self, reason: str, now: float) -> None:
        """Answers ``DataKeyWanted`` with a failure; the agent will end the session."""
        error = f"Failed to process action KMSEncryption: {reason}"
        self._respond(now, kms=_processed("KMSEncryption", _FAILED, None, error), errors=[reason])

    def _say_hello(self, token: str) -> None:
        hello = {
            "MessageSchemaVersion": "1.0",
            "RequestId": str(self._new_id()),
            "TokenValue": token,
            "ClientId": self._client_id,
            "ClientVersion": CLIENT_VERSION,
        }
        self._out.append(json.dumps(hello))

    def _receive(self, frame: Frame, now: float, events: list[Event]) -> None:
        if frame.kind == frames.OUTPUT_STREAM:
            acknowledge, deliverable = self._inbound.receive(frame)
            if acknowledge:
                self._out.append(
                    frames.acknowledgement(frame, message_id=self._new_id(), created_ms=self._date(now))
                )
            for ready in deliverable:
                self._deliver(ready, now, events)
        elif frame.kind == frames.ACKNOWLEDGE:
            self._outbound.acknowledged(frames.acknowledged_sequence(frame), now)
        elif frame.kind == frames.CHANNEL_CLOSED:
            self._over = True
            events.append(Closed(_closing_message(frame), gap=self._inbound.has_gap))

    def _deliver(self, frame: Frame, now: float, events: list[Event]) -> None:
        if self._over:
            return
        payload = frame.payload
        try:
            if self._cipher and frame.payload_type in _ENCRYPTED_FROM_AGENT:
                payload = self._cipher.decrypt(payload)
            match frame.payload_type:
                case PayloadType.OUTPUT:
                    events.append(Output(payload))
                case PayloadType.ERROR_OUTPUT:
                    events.append(ErrorOutput(payload))
                case PayloadType.EXIT_CODE:
                    events.append(ExitStatus(_exit_code(payload)))
                case PayloadType.HANDSHAKE_REQUEST:
                    self._take_handshake_request(frame, now, events)
                case PayloadType.ENCRYPTION_CHALLENGE_REQUEST:
                    self._answer_challenge(frame, now)
                case _:
                    pass  # the handshake's end with words for a person, flags of port sessions, what may come
        except (DecryptionFailed, FrameInvalid) as error:
            # It was in order and its digest fitted: the agent itself sent what makes no sense.
            self._over = True
            events.append(Broken(str(error)))

    def _take_handshake_request(self, frame: Frame, now: float, events: list[Event]) -> None:
        if self._handshake is not None:
            raise FrameInvalid("a second handshake")  # each would cost a call of KMS
        actions = frames.json_object(frame).get("RequestedClientActions") or []
        if not isinstance(actions, list) or len(actions) > _MAX_ACTIONS:
            raise FrameInvalid("a handshake whose actions are no short list")
        self._handshake = [action if isinstance(action, dict) else {} for action in actions]
        kms = next((a for a in self._handshake if a.get("ActionType") == "KMSEncryption"), None)
        if kms is None:
            self._respond(now, kms=None)
            return
        parameters = _object(kms.get("ActionParameters"))
        context = {
            "aws:ssm:SessionId": self._stream.session_id,
            "aws:ssm:TargetId": self._stream.target_id,
        }
        self._challenge = str(parameters.get("Challenge") or "")
        if self._challenge:
            context["aws:ssm:RandomChallenge"] = self._challenge
        events.append(DataKeyWanted(str(parameters.get("KMSKeyId") or ""), context))

    def _respond(self, now: float, *, kms: dict[str, Any] | None, errors: list[str] | None = None) -> None:
        processed = [_answer(action, kms) for action in self._handshake or []]
        errors = (errors or []) + [a["Error"] for a in processed if a["Error"] and a is not kms]
        response = {
            "ClientVersion": CLIENT_VERSION,
            "ProcessedClientActions": processed,
            "Errors": errors or None,
        }
        self._send_stream(PayloadType.HANDSHAKE_RESPONSE, json.dumps(response).encode(), now)

    def _answer_challenge(self, frame: Frame, now: float) -> None:
        if self._cipher is None:
            raise FrameInvalid("an encryption challenge without encryption")
        try:
            challenge = b64decode(str(frames.json_object(frame).get("Challenge")), validate=True)
        except ValueError as error:
            raise FrameInvalid("an encryption challenge that is no base64") from error
        answer = b64encode(self._cipher.encrypt(self._cipher.decrypt(challenge))).decode()
        payload = json.dumps({"Challenge": answer}).encode()
        self._send_stream(PayloadType.ENCRYPTION_CHALLENGE_RESPONSE, payload, now)

    def _send_stream(self, payload_type: PayloadType, payload: bytes, now: float) -> None:
        raw = frames.encode(
            frames.INPUT_STREAM,
            payload,
            message_id=self._new_id(),
            created_ms=self._date(now),
            sequence=self._outbound.next_sequence,
            payload_type=payload_type,
        )
        self._outbound.sent(raw, now)
        self._out.append(raw)

    def _date(self, now: float) -> int:
        return int(self._epoch_ms + now * 1000)


def _closing_message(frame: Frame) -> str:
    """Why the session is over. It is over whatever the payload looks like."""
    try:
        return str(frames.json_object(frame).get("Output") or "").strip()
    except FrameInvalid:
        return ""


def _answer(action: dict[str, Any], kms: dict[str, Any] | None) -> dict[str, Any]:
    """Our answer to one action that the agent asked for."""
    kind = str(action.get("ActionType") or "")
    if kind == "KMSEncryption" and kms is not None:
        return kms
    if kind == "SessionType":
        session_type = str(_object(action.get("ActionParameters")).get("SessionType") or "")
        if session_type in _KNOWN_SESSION_TYPES:
            return _processed(kind, _SUCCESS)
        error = f"Failed to process action SessionType: unknown session type {session_type}"
        return _processed(kind, _FAILED, None, error)
    return _processed(kind, _UNSUPPORTED, None, f"Unsupported action {kind}")


def _processed(kind: str, status: int, result: object = None, error: str = "") -> dict[str, Any]:
    return {"ActionType": kind, "ActionStatus": status, "ActionResult": result, "Error": error}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _exit_code(payload: bytes) -> int:
    """``EXIT_CODE: 3``, as AWS's agent writes it in sessions that are no terminal."""
    _, _, number = payload.partition(b":")
    try:
        return int(number)
    except ValueError as error:
        raise FrameInvalid("an exit code that is no number") from error
