"""The gateway's own frame codec, held against a frame that AWS's agent accepted."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.ssm import frames as client_frames
from taskmedic_local.exec import frames
from taskmedic_local.exec.frames import BadFrame, Frame, PayloadType, decode, encode, message_type

SIZE_FRAME = Frame(
    type="input_stream_data",
    payload=b'{"cols":80,"rows":24}',
    payload_type=PayloadType.SIZE,
    message_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    created_ms=1_700_000_000_123,
)
SIZE_BYTES = bytes.fromhex(
    "00000074696e7075745f73747265616d5f64617461202020202020202020202020202020"
    "000000010000018bcfe5687b00000000000000000000000000000000"
    "8899aabbccddeeff0011223344556677"
    "d53ca1ea7dce87c11432052a8550ed2615cf715ca843c89710ed83325b691cba"
    "0000000300000015"
    "7b22636f6c73223a38302c22726f7773223a32347d"
)


def test_a_known_frame() -> None:
    assert encode(SIZE_FRAME) == SIZE_BYTES
    assert decode(SIZE_BYTES) == SIZE_FRAME


def test_types_padded_with_nul_are_read() -> None:
    data = SIZE_BYTES[:4] + b"acknowledge".ljust(32, b"\0") + SIZE_BYTES[36:]
    assert decode(data).type == "acknowledge"
    assert message_type(data) == "acknowledge"


def test_the_payload_goes_to_the_end_whatever_its_length_says() -> None:
    assert decode(SIZE_BYTES + b"!").payload.endswith(b"}!")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except BadFrame:
        return


@given(
    kind=st.sampled_from([frames.OUTPUT, frames.INPUT, frames.ACKNOWLEDGE, frames.CHANNEL_CLOSED]),
    payload=st.binary(min_size=1, max_size=100),
    sequence=st.integers(0, 2**40),
    flags=st.sampled_from([0, 1, 3]),
    payload_type=st.sampled_from(list(PayloadType)),
)
def test_the_client_reads_what_the_gateway_writes(
    kind: str, payload: bytes, sequence: int, flags: int, payload_type: PayloadType
) -> None:
    sent = Frame(kind, payload, sequence=sequence, flags=flags, payload_type=payload_type)
    read = client_frames.decode(encode(sent))
    assert (read.kind, read.payload, read.payload_type) == (kind, payload, payload_type)
    assert (read.sequence, read.message_id) == (sequence, sent.message_id)


def test_a_short_frame_is_refused() -> None:
    with pytest.raises(BadFrame):
        decode(SIZE_BYTES[:119])
