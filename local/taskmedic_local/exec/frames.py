"""The gateway's own codec for the binary frames of the SSM data channel.

Kept apart from ``taskmedic.ssm`` on purpose: the client and the stand-in check each other only while neither
borrows the other's mistakes.
"""

from __future__ import annotations

import hashlib
import struct
import time
import uuid
from dataclasses import dataclass, field
from enum import IntEnum

# HeaderLength counts everything before PayloadLength, but not PayloadLength itself.
_HEADER = struct.Struct(">I32sIQqQ16s32sI")
_LENGTH = struct.Struct(">I")
PAYLOAD_AT = _HEADER.size + _LENGTH.size
DIGEST_AT = 80
SCHEMA_VERSION = 1

OUTPUT = "output_stream_data"
INPUT = "input_stream_data"
ACKNOWLEDGE = "acknowledge"
CHANNEL_CLOSED = "channel_closed"
START_PUBLICATION = "start_publication"
PAUSE_PUBLICATION = "pause_publication"
SESSION_STATE = "agent_session_state"

SYN = 1
SYN_FIN = 3


class PayloadType(IntEnum):
    """What a stream frame carries."""

    NONE = 0
    OUTPUT = 1
    SIZE = 3
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    CHALLENGE_REQUEST = 8
    CHALLENGE_RESPONSE = 9


class BadFrame(Exception):
    """The bytes are no frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the data channel. ``created_ms`` is in milliseconds since the epoch."""

    type: str
    payload: bytes
    sequence: int = 0
    flags: int = 0
    payload_type: int = PayloadType.NONE
    message_id: uuid.UUID = field(default_factory=uuid.uuid4)
    created_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)


def encode(frame: Frame) -> bytes:
    """The frame's bytes, its digest computed."""
    canonical = frame.message_id.bytes
    header = _HEADER.pack(
        _HEADER.size,
        frame.type.encode("ascii").ljust(32),
        SCHEMA_VERSION,
        frame.created_ms,
        frame.sequence,
        frame.flags,
        canonical[8:] + canonical[:8],
        hashlib.sha256(frame.payload).digest(),
        frame.payload_type,
    )
    return header + _LENGTH.pack(len(frame.payload)) + frame.payload


def decode(data: bytes) -> Frame:
    """The frame in ``data``. Like the agent, it takes the payload to the end of the data and checks no
    digest.

    Raises:
        BadFrame: Too short, or a message type that is no ASCII.
    """
    if len(data) < PAYLOAD_AT:
        raise BadFrame(f"{len(data)} bytes are too few for a header")
    length, kind, _, created, sequence, flags, swapped, _, payload_type = _HEADER.unpack_from(data)
    if not kind.isascii() or length + _LENGTH.size > len(data):
        raise BadFrame("no such header")
    return Frame(
        type=kind.decode("ascii").strip("\0 "),
        payload=data[length + _LENGTH.size :],
        sequence=sequence,
        flags=flags,
        payload_type=payload_type,
        message_id=uuid.UUID(bytes=swapped[8:] + swapped[:8]),
        created_ms=created,
    )


def message_type(data: bytes) -> str:
    """The message type alone, for a relay that passes frames on unread."""
    return data[4:36].decode("ascii", "replace").strip("\0 ")
