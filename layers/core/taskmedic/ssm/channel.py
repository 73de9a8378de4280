"""The two directions of a data channel: nothing delivered twice or out of order, nothing of ours forgotten.

Each direction counts its stream frames from 0; every frame is acknowledged on its own. There is no window and
no negative acknowledgement: who misses an acknowledgement sends the same bytes again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from taskmedic.ssm.frames import Frame

MAX_EARLY_FRAMES: Final = 10_000
"""Frames kept that came before their turn: as many as AWS's plugin keeps."""
MAX_EARLY_BYTES: Final = 16 * 1024 * 1024
"""Their payloads at most: 10,000 full frames of a real agent have 10 MB."""
MAX_RESENT_AT_ONCE: Final = 16


class Inbound:
    """Puts the peer's frames in order."""

    def __init__(self) -> None:
        self.expected = 0
        """Sequence number of the next frame to deliver."""
        self._early: dict[int, Frame] = {}
        self._early_bytes = 0

    @property
    def has_gap(self) -> bool:
        """Whether frames arrived whose predecessors did not."""
        return bool(self._early)

    def receive(self, frame: Frame) -> tuple[bool, list[Frame]]:
        """Whether to acknowledge ``frame``, and the frames that can now be delivered, in order.

        A duplicate is acknowledged again: our first acknowledgement may be lost, and AWS's agent sends
        nothing else again until its oldest frame is acknowledged. A frame for which there is no room is not
        acknowledged, so that it will come again.
        """
        ahead = frame.sequence - self.expected
        if ahead == 0 and not self._early:
            self.expected += 1
            return True, [frame]
        if ahead < 0 or frame.sequence in self._early:
            return frame.sequence >= 0, []
        if ahead > 0:
            return self._keep(frame, ahead), []
        return True, [frame, *self._now_in_order()]

    def _keep(self, frame: Frame, ahead: int) -> bool:
        size = len(frame.payload)
        if ahead > MAX_EARLY_FRAMES or self._early_bytes + size > MAX_EARLY_BYTES:
            return False
        self._early[frame.sequence] = frame
        self._early_bytes += size
        return True

    def _now_in_order(self) -> list[Frame]:
        self.expected += 1
        ready = []
        while frame := self._early.pop(self.expected, None):
            ready.append(frame)
            self._early_bytes -= len(frame.payload)
            self.expected += 1
        return ready


@dataclass(frozen=True)
class RoundTrip:
    """Estimate of the round trip, in seconds, by the rule that agent and plugin share."""

    mean_s: float = 0.1
    variation_s: float = 0.0
    timeout_s: float = 0.2
    """How long to wait for an acknowledgement before sending again."""

    def after(self, sample_s: float) -> RoundTrip:
        """The estimate with one more observation."""
        variation = 0.75 * self.variation_s + 0.25 * abs(self.mean_s - sample_s)
        mean = 0.875 * self.mean_s + 0.125 * sample_s
        return RoundTrip(mean, variation, min(1.0, mean + max(0.01, 4 * variation)))


@dataclass(slots=True)
class _Unacknowledged:
    raw: bytes
    sent_at: float


class Outbound:
    """Keeps our frames, byte for byte, until the peer has acknowledged them."""

    _TICK_S: Final = 0.1  # agent and plugin look every 100 ms, so nothing is sent again sooner

    def __init__(self) -> None:
        self.next_sequence = 0
        self._round_trip = RoundTrip()
        self._waiting: OrderedDict[int, _Unacknowledged] = OrderedDict()

    def sent(self, raw: bytes, now: float) -> None:
        """Notes the frame of ``next_sequence`` as sent."""
        self._waiting[self.next_sequence] = _Unacknowledged(raw, now)
        self.next_sequence += 1

    def acknowledged(self, sequence: int, now: float) -> None:
        """The peer has that frame. One that is not waited for is a repeated acknowledgement."""
        if entry := self._waiting.pop(sequence, None):
            self._round_trip = self._round_trip.after(now - entry.sent_at)

    @property
    def due_at(self) -> float | None:
        """When the next frame is to be sent again, or None while nothing is unacknowledged."""
        if not self._waiting:
            return None
        return min(entry.sent_at for entry in self._waiting.values()) + self._wait_s

    def due(self, now: float) -> list[bytes]:
        """Frames to be sent again now, the oldest first.

        AWS's programs repeat only the oldest, so one loss after another costs a time-out each; the agent
        takes frames in any order, so all that are overdue go at once, within a bound.
        """
        late = [entry for entry in self._waiting.values() if now >= entry.sent_at + self._wait_s]
        for entry in late[:MAX_RESENT_AT_ONCE]:
            entry.sent_at = now
        return [entry.raw for entry in late[:MAX_RESENT_AT_ONCE]]

    @property
    def _wait_s(self) -> float:
        return max(self._TICK_S, self._round_trip.timeout_s)
