"""Frames on the wire."""

from __future__ import annotations

import json
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskmedic.ssm import frames
from taskmedic.ssm.frames import Frame, FrameInvalid

# One frame that AWS's own agent was seen to accept.
ACCEPTED = bytes.fromhex(
    "00000074696e7075745f73747265616d5f64617461202020202020202020202020202020000000010000018bcfe5687b"
    "000000000000000000000000000000008899aabbccddeeff0011223344556677d53ca1ea7dce87c11432052a8550ed26"
    "15cf715ca843c89710ed83325b691cba00000003000000157b22636f6c73223a38302c22726f7773223a32347d"
)
SIZE = Frame(
    kind="input_stream_data",
    sequence=0,
    message_id=UUID("00112233-4455-6677-8899-aabbccddeeff"),
    payload_type=3,
    payload=b'{"cols":80,"rows":24}',
)


def encoded(frame: Frame, **more: int) -> bytes:
    return frames.encode(
        frame.kind,
        frame.payload,
        message_id=frame.message_id,
        created_ms=more.pop("created_ms", 1_700_000_000_123),
        sequence=frame.sequence,
        payload_type=frame.payload_type,
        **more,
    )


def test_a_frame_is_encoded_as_aws_programs_accept_it() -> None:
    assert encoded(SIZE) == ACCEPTED


def test_a_frame_is_decoded_as_aws_programs_write_it() -> None:
    assert frames.decode(ACCEPTED) == SIZE


@given(
    st.from_regex(r"[a-z_]{1,32}", fullmatch=True),
    st.integers(0, 2**63 - 1),
    st.uuids(),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=1, max_size=2000),
)
def test_what_is_encoded_is_decoded_to_the_same(
    kind: str, sequence: int, message_id: UUID, payload_type: int, payload: bytes
) -> None:
    frame = Frame(kind, sequence, message_id, payload_type, payload)
    if kind not in {frames.START_PUBLICATION, frames.PAUSE_PUBLICATION}:
        assert frames.decode(encoded(frame)) == frame


def test_a_type_may_be_padded_with_nul() -> None:
    raw = ACCEPTED[:4] + b"input_stream_data".ljust(32, b"\0") + ACCEPTED[36:]

    assert frames.decode(raw) == SIZE


@pytest.mark.parametrize("kind", [frames.START_PUBLICATION, frames.PAUSE_PUBLICATION])
@pytest.mark.parametrize("length", [36, 120])
def test_publications_need_no_header_but_their_type(kind: str, length: int) -> None:
    raw = (b"\0\0\0\0" + kind.encode().ljust(32)).ljust(length, b"\0")

    assert frames.decode(raw).kind == kind


def test_the_payload_reaches_to_the_end_of_the_frame() -> None:
    # The length field says 1; AWS's programs do not cut by it.
    raw = ACCEPTED[:116] + (1).to_bytes(4, "big") + ACCEPTED[120:]

    assert frames.decode(raw).payload == SIZE.payload


def test_a_longer_header_is_skipped() -> None:
    raw = (120).to_bytes(4, "big") + ACCEPTED[4:120] + b"more" + ACCEPTED[120:]

    assert frames.decode(raw) == SIZE


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0",
        ACCEPTED[:119],
        (0).to_bytes(4, "big") + ACCEPTED[4:],
        (115).to_bytes(4, "big") + ACCEPTED[4:],
        (2**32 - 1).to_bytes(4, "big") + ACCEPTED[4:],
        ACCEPTED[:4] + bytes(32) + ACCEPTED[36:],
        ACCEPTED[:40] + bytes(8) + ACCEPTED[48:],
        ACCEPTED[:-1] + b"!",
        ACCEPTED[:-1],
    ],
    ids=[
        "nothing",
        "one byte",
        "short header",
        "no header length",
        "header length too small",
        "header length too large",
        "no type",
        "no date",
        "changed payload",
        "cut payload",
    ],
)
def test_a_damaged_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(FrameInvalid):
        frames.decode(raw)


@given(st.binary(max_size=300))
@example(ACCEPTED[:36])
def test_any_bytes_are_a_frame_or_refused(raw: bytes) -> None:
    with suppress(FrameInvalid):
        frames.json_object(frames.decode(raw))


@given(st.integers(0, len(ACCEPTED) - 1), st.binary(min_size=1, max_size=8))
def test_a_frame_changed_anywhere_is_a_frame_or_refused(at: int, change: bytes) -> None:
    raw = ACCEPTED[:at] + change + ACCEPTED[at + len(change) :]
    with suppress(FrameInvalid):
        frames.acknowledged_sequence(frames.decode(raw))


def test_an_acknowledgement_names_what_it_acknowledges() -> None:
    raw = frames.acknowledgement(SIZE, message_id=UUID(int=7), created_ms=5)

    frame = frames.decode(raw)
    assert frame.kind == "acknowledge"
    assert (frame.sequence, frame.payload_type) == (0, 0)
    assert raw[56:64] == (3).to_bytes(8, "big")  # SYN and FIN
    assert json.loads(frame.payload) == {
        "AcknowledgedMessageType": "input_stream_data",
        "AcknowledgedMessageId": "00112233-4455-6677-8899-aabbccddeeff",
        "AcknowledgedMessageSequenceNumber": 0,
        "IsSequentialMessage": True,
    }
    assert frames.acknowledged_sequence(frame) == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b"null",
        b'{"AcknowledgedMessageSequenceNumber":"1"}',
        b"\xff",
        b"[" * 100_000,
        b"1" * 5000,
    ],
    ids=["cut", "list", "null", "number as text", "no UTF-8", "deep", "long number"],
)
def test_an_acknowledgement_without_a_sequence_number_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameInvalid):
        frames.acknowledged_sequence(Frame(frames.ACKNOWLEDGE, 0, UUID(int=1), 0, payload))
