"""Frames of the Session Manager data channel: bytes to values and back.

A frame is a header of 120 bytes, big-endian, and a payload. AWS publishes no description; this follows what
its own programs were seen to send and to accept.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

OUTPUT_STREAM: Final = "output_stream_data"
INPUT_STREAM: Final = "input_stream_data"
ACKNOWLEDGE: Final = "acknowledge"
CHANNEL_CLOSED: Final = "channel_closed"
START_PUBLICATION: Final = "start_publication"
PAUSE_PUBLICATION: Final = "pause_publication"

# HeaderLength, MessageType, SchemaVersion, CreatedDate, SequenceNumber, Flags, MessageId, PayloadDigest,
# PayloadType, PayloadLength
_HEADER: Final = struct.Struct(">I32sIQqQ16s32sII")
_TYPE_FIELD: Final = slice(4, 36)
# HeaderLength does not count PayloadLength, which follows it.
_HEADER_LENGTH: Final = _HEADER.size - 4
_SCHEMA_VERSION: Final = 1
_SYN_AND_FIN: Final = 3
# Their headers may be empty but for the type.
_WITHOUT_HEADER: Final = frozenset({START_PUBLICATION, PAUSE_PUBLICATION})
# The types a session is made of, as they are padded on the wire: spares the hot path the cleaning.
_PADDED: Final = {
    kind.encode().ljust(32): kind
    for kind in (
        OUTPUT_STREAM,
        INPUT_STREAM,
        ACKNOWLEDGE,
        CHANNEL_CLOSED,
        START_PUBLICATION,
        PAUSE_PUBLICATION,
    )
}


class PayloadType(IntEnum):
    """What the payload of a stream frame is."""

    OUTPUT = 1
    SIZE = 3
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    ENCRYPTION_CHALLENGE_REQUEST = 8
    ENCRYPTION_CHALLENGE_RESPONSE = 9
    FLAG = 10
    ERROR_OUTPUT = 11
    EXIT_CODE = 12


class FrameInvalid(ValueError):
    """The bytes are no frame, or were damaged on the way. Such a frame is dropped without acknowledgement."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the data channel."""

    kind: str
    sequence: int
    message_id: UUID
    payload_type: int
    payload: bytes


def encode(
    kind: str,
    payload: bytes,
    *,
    message_id: UUID,
    created_ms: int,
    sequence: int = 0,
    payload_type: int = 0,
    flags: int = 0,
) -> bytes:
    """One frame as it goes over the wire.

    Args:
        payload: Never empty: AWS's programs cannot read a frame without payload.
        created_ms: Milliseconds since 1970; never 0, the receiver would reject the frame.
    """
    header = _HEADER.pack(
        _HEADER_LENGTH,
        kind.encode("ascii").ljust(32),
        _SCHEMA_VERSION,
        created_ms,
        sequence,
        flags,
        _halves_swapped(message_id.bytes),
        sha256(payload).digest(),
        payload_type,
        len(payload),
    )
    return header + payload


def decode(raw: bytes) -> Frame:
    """The frame that ``raw`` holds.

    The payload reaches from the header's end to the end of ``raw``, whatever PayloadLength says, as in AWS's
    programs; its digest must fit.

    Raises:
        FrameInvalid: ``raw`` is too short, incomplete or damaged.
    """
    type_field = raw[_TYPE_FIELD]
    kind = _PADDED.get(type_field) or _cleaned(type_field)
    if kind in _WITHOUT_HEADER:
        return Frame(kind, 0, UUID(int=0), 0, b"")
    if len(raw) < _HEADER.size:
        raise FrameInvalid(f"{len(raw)} bytes are less than a header")
    length, _, _, created_ms, sequence, _, message_id, digest, payload_type, size = _HEADER.unpack_from(raw)
    if length < _HEADER_LENGTH or length + 4 > len(raw):
        raise FrameInvalid(f"a header of {length} bytes in a frame of {len(raw)}")
    if not created_ms:
        raise FrameInvalid("no creation date")
    payload = raw[length + 4 :]
    if size and sha256(payload).digest() != digest:
        raise FrameInvalid("the payload does not fit its digest")
    return Frame(kind, sequence, UUID(bytes=_halves_swapped(message_id)), payload_type, payload)


def acknowledgement(frame: Frame, *, message_id: UUID, created_ms: int) -> bytes:
    """The acknowledgement of a stream frame. The peer finds the message by its sequence number alone."""
    payload = (
        f'{{"AcknowledgedMessageType":"{frame.kind}","AcknowledgedMessageId":"{frame.message_id}",'
        f'"AcknowledgedMessageSequenceNumber":{frame.sequence},"IsSequentialMessage":true}}'
    )
    return encode(
        ACKNOWLEDGE, payload.encode(), message_id=message_id, created_ms=created_ms, flags=_SYN_AND_FIN
    )


def acknowledged_sequence(frame: Frame) -> int:
    """Which of our messages the peer acknowledges.

    Raises:
        FrameInvalid: The payload names no sequence number.
    """
    sequence = json_object(frame).get("AcknowledgedMessageSequenceNumber")
    if not isinstance(sequence, int):
        raise FrameInvalid("an acknowledgement without a sequence number")
    return sequence


def json_object(frame: Frame) -> dict[str, Any]:
    """The payload as a JSON object.

    Raises:
        FrameInvalid: It is none.
    """
    try:
        value = json.loads(frame.payload)
    except (ValueError, RecursionError) as error:
        raise FrameInvalid("the payload is no JSON") from error
    if not isinstance(value, dict):
        raise FrameInvalid("the payload is no JSON object")
    return value


def _cleaned(type_field: bytes) -> str:
    kind = type_field.strip(b" \0").decode("ascii", errors="replace")
    if not kind:
        raise FrameInvalid("no message type")
    return kind


def _halves_swapped(uuid: bytes) -> bytes:
    """Java's two longs, low one first: both directions are the same swap."""
    return uuid[8:] + uuid[:8]
