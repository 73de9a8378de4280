"""The agent's end of the data channel: what it sends again, what it acknowledges, when it is silent."""

from __future__ import annotations

import json

import pytest

from taskmedic_local.exec import frames
from taskmedic_local.exec.channel import Channel, RoundTrip
from taskmedic_local.exec.frames import Frame, PayloadType, decode, encode


class Wire:
    """A channel, what it sent, what it took, and a clock."""

    def __init__(self) -> None:
        self.sent: list[Frame] = []
        self.taken: list[bytes] = []
        self.ready = True
        self.now = 100.0
        self.channel = Channel(lambda data: self.sent.append(decode(data)), self._take)

    def _take(self, frame: Frame) -> bool:
        if self.ready:
            self.taken.append(frame.payload)
        return self.ready

    def output(self, text: str) -> None:
        self.channel.output(PayloadType.OUTPUT, text.encode(), self.now)

    def acknowledge(self, sequence: int) -> None:
        payload = json.dumps({"AcknowledgedMessageSequenceNumber": sequence}).encode()
        self.receive(Frame(frames.ACKNOWLEDGE, payload))

    def type(self, sequence: int, text: str = "x") -> None:
        frame = Frame(frames.INPUT, text.encode(), sequence=sequence, payload_type=PayloadType.OUTPUT)
        self.receive(frame)

    def receive(self, frame: Frame) -> None:
        self.channel.received(decode(encode(frame)), self.now)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.channel.resend(self.now)

    def acknowledged(self) -> list[int]:
        acks = [json.loads(each.payload) for each in self.sent if each.type == frames.ACKNOWLEDGE]
        return [each["AcknowledgedMessageSequenceNumber"] for each in acks]


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_output_is_numbered_from_zero_and_the_first_is_marked(wire: Wire) -> None:
    for text in "abc":
        wire.output(text)
    assert [(each.sequence, each.flags) for each in wire.sent] == [(0, 1), (1, 0), (2, 0)]


def test_only_the_oldest_is_sent_again_until_it_is_acknowledged(wire: Wire) -> None:
    for text in "abc":
        wire.output(text)
    wire.acknowledge(1)
    wire.wait(1)
    assert {each.sequence for each in wire.sent[3:]} == {0}
    again = len(wire.sent)
    wire.acknowledge(0)
    wire.wait(1)
    assert {each.sequence for each in wire.sent[again:]} == {2}
    wire.acknowledge(2)
    quiet = len(wire.sent)
    wire.wait(5)
    assert len(wire.sent) == quiet
    assert wire.channel.drained


def test_what_is_sent_again_is_the_same_message(wire: Wire) -> None:
    wire.output("a")
    wire.wait(1)
    assert len(wire.sent) > 1
    assert set(wire.sent) == {wire.sent[0]}


def test_the_first_time_out_is_two_tenths_of_a_second(wire: Wire) -> None:
    wire.output("a")
    wire.wait(0.2)
    assert len(wire.sent) == 1
    wire.wait(0.2)
    assert len(wire.sent) == 2


def test_the_time_out_learns() -> None:
    fast, slow = RoundTrip(), RoundTrip()
    for _ in range(50):
        fast.learn(0.001)
        slow.learn(2.0)
    assert 0.01 <= fast.timeout < 0.05
    assert slow.timeout == 1.0


def test_input_is_taken_in_order_and_acknowledged_early(wire: Wire) -> None:
    wire.type(2, "c")
    wire.type(1, "b")
    assert wire.taken == []
    assert wire.acknowledged() == [2, 1]
    wire.type(0, "a")
    assert wire.taken == [b"a", b"b", b"c"]


def test_a_repeated_input_is_acknowledged_again_and_not_taken_again(wire: Wire) -> None:
    wire.type(0)
    wire.type(0)
    assert wire.acknowledged() == [0, 0]
    assert len(wire.taken) == 1


def test_input_that_cannot_be_taken_yet_is_not_acknowledged(wire: Wire) -> None:
    wire.ready = False
    wire.type(0)
    assert wire.acknowledged() == []
    wire.ready = True
    wire.type(0)
    assert wire.acknowledged() == [0]


def test_while_paused_nothing_is_sent(wire: Wire) -> None:
    wire.receive(Frame(frames.PAUSE_PUBLICATION, b"{}"))
    wire.output("a")
    wire.wait(5)
    assert wire.sent == []
    wire.receive(Frame(frames.START_PUBLICATION, b"{}"))
    wire.wait(0.1)
    assert [each.payload for each in wire.sent] == [b"a"]


@pytest.mark.parametrize("kind", [frames.START_PUBLICATION, frames.ACKNOWLEDGE, frames.INPUT])
def test_any_sign_of_the_client_ends_the_pause(wire: Wire, kind: str) -> None:
    wire.receive(Frame(frames.PAUSE_PUBLICATION, b"{}"))
    assert wire.channel.paused
    wire.receive(Frame(kind, b"{}", sequence=0))
    assert not wire.channel.paused


def test_nonsense_is_ignored(wire: Wire) -> None:
    wire.output("a")
    for payload in (b"", b"[]", b"{}", b"\xff", b'{"AcknowledgedMessageSequenceNumber": "0"}'):
        wire.receive(Frame(frames.ACKNOWLEDGE, payload))
    wire.receive(Frame("weather_report", b"rain"))
    assert not wire.channel.drained
