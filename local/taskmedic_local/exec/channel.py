"""The agent's end of the data channel: sequence, acknowledgement, retransmission. Time and wire come from
outside.

The rules are those of the real agent (facts of the protocol: both directions count from 0; acknowledgements
are per message; only the oldest unacknowledged message is ever sent again).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from taskmedic_local.exec import frames
from taskmedic_local.exec.frames import Frame, PayloadType

LOOK_EVERY_S = 0.1
MIN_VARIANCE_S = 0.01
MAX_RTO_S = 1.0
MAX_HELD_BACK = 100_000


class RoundTrip:
    """The estimator of the retransmission time-out; all in seconds."""

    def __init__(self) -> None:
        self._rtt = 0.1
        self._variance = 0.0
        self.timeout = 0.2

    def learn(self, sample: float) -> None:
        """Take in how long the last acknowledgement took since its message was last sent."""
        self._variance = 0.75 * self._variance + 0.25 * abs(self._rtt - sample)
        self._rtt = 0.875 * self._rtt + 0.125 * sample
        self.timeout = min(MAX_RTO_S, self._rtt + max(MIN_VARIANCE_S, 4 * self._variance))


@dataclass(slots=True)
class _Sent:
    sequence: int
    data: bytes
    at: float


class Channel:
    """Sends output in sequence until it is acknowledged; takes input in sequence.

    Args:
        send: Puts a frame's bytes on the wire.
        take: Handles an input message in its turn. False: not ready for it, so that it is neither
        acknowledged nor
            counted, and the client sends it again.
    """

    def __init__(self, send: Callable[[bytes], None], take: Callable[[Frame], bool]) -> None:
        self._send = send
        self._take = take
        self._next_out = 0
        self._next_in = 0
        self._unacknowledged: deque[_Sent] = deque()
        self._held_back: dict[int, Frame] = {}
        self._round_trip = RoundTrip()
        self.paused = False

    @property
    def drained(self) -> bool:
        """Whether everything sent has been acknowledged."""
        return not self._unacknowledged

    def output(self, payload_type: PayloadType, payload: bytes, now: float) -> None:
        """Send one stream message; while paused it is kept for later."""
        sequence = self._next_out
        self._next_out += 1
        flags = 0 if sequence else frames.SYN
        data = frames.encode(
            Frame(frames.OUTPUT, payload, sequence=sequence, flags=flags, payload_type=payload_type)
        )
        if self.paused:
            # As if it had been sent long ago: the retransmission picks it up when the peer is back.
            self._unacknowledged.append(_Sent(sequence, data, 0.0))
            return
        self._unacknowledged.append(_Sent(sequence, data, now))
        self._send(data)

    def received(self, frame: Frame, now: float) -> None:
        """Handle a frame from the client's side. What is not understood is ignored, as the agent does."""
        match frame.type:
            case frames.ACKNOWLEDGE:
                self.paused = False
                self._acknowledged(frame, now)
            case frames.INPUT:
                self.paused = False
                self._input(frame)
            case frames.START_PUBLICATION:
                self.paused = False
            case frames.PAUSE_PUBLICATION:
                self.paused = True
            case _:
                pass

    def resend(self, now: float) -> None:
        """To be called every ``LOOK_EVERY_S``: sends the oldest unacknowledged message again when due."""
        if self.paused or not self._unacknowledged:
            return
        oldest = self._unacknowledged[0]
        if now - oldest.at > self._round_trip.timeout:
            oldest.at = now
            self._send(oldest.data)

    def _acknowledged(self, frame: Frame, now: float) -> None:
        try:
            sequence = json.loads(frame.payload)["AcknowledgedMessageSequenceNumber"]
        except (ValueError, TypeError, KeyError):
            return
        for sent in self._unacknowledged:
            if sent.sequence == sequence:
                self._round_trip.learn(now - sent.at)
                self._unacknowledged.remove(sent)
                return

    def _input(self, frame: Frame) -> None:
        if frame.sequence < self._next_in:
            self._acknowledge(frame)
        elif frame.sequence > self._next_in:
            if len(self._held_back) < MAX_HELD_BACK:
                self._held_back[frame.sequence] = frame
                self._acknowledge(frame)
        elif self._take(frame):
            self._acknowledge(frame)
            self._next_in += 1
            self._release()

    def _release(self) -> None:
        while (frame := self._held_back.get(self._next_in)) and self._take(frame):
            del self._held_back[self._next_in]
            self._next_in += 1

    def _acknowledge(self, frame: Frame) -> None:
        content = {
            "AcknowledgedMessageType": frame.type,
            "AcknowledgedMessageId": str(frame.message_id),
            "AcknowledgedMessageSequenceNumber": frame.sequence,
            "IsSequentialMessage": True,
        }
        payload = json.dumps(content).encode()
        self._send(frames.encode(Frame(frames.ACKNOWLEDGE, payload, flags=frames.SYN_FIN)))
