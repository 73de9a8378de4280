"""Order, acknowledgement and retransmission."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.ssm import channel
from taskmedic.ssm.channel import Inbound, Outbound, RoundTrip
from taskmedic.ssm.frames import OUTPUT_STREAM, Frame


def frame(sequence: int, size: int = 1) -> Frame:
    return Frame(OUTPUT_STREAM, sequence, UUID(int=sequence % 2**64), 1, b"x" * size)


def sequences(frames: list[Frame]) -> list[int]:
    return [f.sequence for f in frames]


def test_a_frame_in_turn_is_acknowledged_and_delivered() -> None:
    acknowledge, delivered = Inbound().receive(frame(0))

    assert acknowledge
    assert sequences(delivered) == [0]


def test_an_early_frame_is_acknowledged_and_waits_for_its_turn() -> None:
    inbound = Inbound()

    assert inbound.receive(frame(1)) == (True, [])
    assert inbound.has_gap
    acknowledge, delivered = inbound.receive(frame(0))

    assert acknowledge
    assert sequences(delivered) == [0, 1]
    assert not inbound.has_gap


def test_a_repeated_frame_is_acknowledged_again_and_not_delivered_again() -> None:
    inbound = Inbound()
    inbound.receive(frame(0))
    inbound.receive(frame(2))

    assert inbound.receive(frame(0)) == (True, [])
    assert inbound.receive(frame(2)) == (True, [])


def test_a_sequence_number_below_zero_is_nothing() -> None:
    assert Inbound().receive(frame(-1)) == (False, [])


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_frames_in_any_order_with_repeats_are_delivered_once_and_in_order(
    count: int, chance: random.Random
) -> None:
    arriving = list(range(count)) + [chance.randrange(count) for _ in range(count)]
    chance.shuffle(arriving)
    inbound = Inbound()

    delivered = [f.sequence for s in arriving for f in inbound.receive(frame(s))[1]]

    assert delivered == list(range(count))
    assert not inbound.has_gap


def test_early_frames_beyond_the_room_are_not_acknowledged_so_that_they_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "MAX_EARLY_FRAMES", 3)
    inbound = Inbound()

    acknowledged = [inbound.receive(frame(s))[0] for s in (1, 2, 3, 4, 2**62)]

    assert acknowledged == [True, True, True, False, False]


def test_early_frames_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_EARLY_BYTES", 100)
    inbound = Inbound()

    assert [inbound.receive(frame(s, 60))[0] for s in (1, 2)] == [True, False]
    assert sequences(inbound.receive(frame(0, 60))[1]) == [0, 1]
    # The room is free again.
    assert inbound.receive(frame(3, 60))[0]


def test_the_round_trip_follows_the_rule_of_agent_and_plugin() -> None:
    # variation = 0.75 * 0 + 0.25 * |0.1 - 0.02|; mean = 0.875 * 0.1 + 0.125 * 0.02
    estimate = RoundTrip().after(0.02)

    assert estimate.variation_s == pytest.approx(0.02)
    assert estimate.mean_s == pytest.approx(0.09)
    assert estimate.timeout_s == pytest.approx(0.17)
    # Once more: 0.75 * 0.02 + 0.25 * |0.09 - 0.02|
    assert estimate.after(0.02).variation_s == pytest.approx(0.0325)


def test_the_time_out_has_a_margin_of_ten_milliseconds_and_a_cap_of_one_second() -> None:
    steady = RoundTrip()
    for _ in range(200):
        steady = steady.after(0.05)

    assert steady.timeout_s == pytest.approx(0.06)
    assert RoundTrip().after(30.0).timeout_s == 1.0


def test_an_unacknowledged_frame_is_sent_again_byte_for_byte_after_the_time_out() -> None:
    outbound = Outbound()
    outbound.sent(b"frame 0", now=10.0)

    assert outbound.due(10.1) == []
    assert outbound.due_at == pytest.approx(10.2)
    assert outbound.due(outbound.due_at or 0) == [b"frame 0"]
    # And not again at once.
    assert outbound.due(10.25) == []
    assert outbound.due(10.5) == [b"frame 0"]


def test_an_acknowledged_frame_is_forgotten() -> None:
    outbound = Outbound()
    outbound.sent(b"frame 0", now=0.0)
    outbound.sent(b"frame 1", now=0.0)

    outbound.acknowledged(0, now=0.05)
    outbound.acknowledged(0, now=0.06)
    outbound.acknowledged(99, now=0.06)

    assert outbound.due(5.0) == [b"frame 1"]
    outbound.acknowledged(1, now=5.0)
    assert outbound.due_at is None


def test_a_fast_peer_is_not_asked_more_than_ten_times_a_second() -> None:
    outbound = Outbound()
    for number in range(100):
        outbound.sent(b"x", now=float(number))
        outbound.acknowledged(number, now=number + 0.001)
    outbound.sent(b"last", now=1000.0)

    assert outbound.due(1000.09) == []
    assert outbound.due(1000.1) == [b"last"]


def test_many_lost_frames_are_sent_again_in_bounded_bursts() -> None:
    outbound = Outbound()
    for number in range(50):
        outbound.sent(b"%d" % number, now=0.0)

    assert outbound.due(1.0) == [b"%d" % n for n in range(channel.MAX_RESENT_AT_ONCE)]
