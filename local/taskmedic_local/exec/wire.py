"""A wire that can be told to misbehave."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskmedic_local.exec.frames import DIGEST_AT, PAYLOAD_AT

HOLD_S = 0.05


class WireFaultsInvalid(Exception):
    """The description of faults cannot be understood; the message names the field."""


@dataclass(frozen=True)
class WireFaults:
    """How the gateway mistreats the frames it relays, in both directions.

    Attributes:
        lose: Share of frames that vanish (0 to 1).
        repeat: Share of frames that come twice.
        reorder: Share of frames that come after the next one, or 50 ms late when there is no next one.
        corrupt: Share of frames in which one byte of the payload is changed.
        delay_s: Every frame comes that many seconds late.
        cut_after: The client's connection is dropped, once, after so many frames.
        silent_after: After so many frames nothing reaches either side, not even the end of the session.
        seed: Each session draws its luck from this and its number since the gateway's start.
    """

    lose: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay_s: float = 0.0
    cut_after: int | None = None
    silent_after: int | None = None
    seed: int = 0

    @classmethod
    def from_json(cls, value: object) -> WireFaults:
        """Read a JSON object of the attributes above.

        Raises:
            WireFaultsInvalid: Not an object, an unknown field, or a value of the wrong kind or range.
        """
        if not isinstance(value, Mapping):
            raise WireFaultsInvalid("faults: must be a JSON object")
        counts = ("cut_after", "silent_after", "seed")
        shares = ("lose", "repeat", "reorder", "corrupt")
        fields = {field.name for field in dataclasses.fields(cls)}
        for name, number in value.items():
            if name not in fields:
                raise WireFaultsInvalid(
                    f"faults.{name}: no such field; there are {', '.join(sorted(fields))}"
                )
            if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
                raise WireFaultsInvalid(f"faults.{name}: must be a number, 0 or more")
            if name in counts and not isinstance(number, int):
                raise WireFaultsInvalid(f"faults.{name}: must be a whole number")
            if name in shares and number > 1:
                raise WireFaultsInvalid(f"faults.{name}: is a share, 1 at most")
        return cls(**value)


class Wire:
    """One direction of a session. Runs on the event loop's thread."""

    def __init__(self, deliver: Callable[[bytes], None], faults: WireFaults, luck: random.Random) -> None:
        self._deliver = deliver
        self._faults = faults
        self._luck = luck
        self._loop = asyncio.get_running_loop()
        self._held: tuple[bytes, asyncio.TimerHandle] | None = None
        self._flights = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way."""
        return self._held is None and not self._flights

    def push(self, data: bytes) -> None:
        """Put a frame on the wire."""
        faults = self._faults
        if self._happens(faults.lose):
            return
        if self._happens(faults.corrupt):
            data = self._spoil(data)
        if self._held is None and self._happens(faults.reorder):
            self._held = (data, self._loop.call_later(HOLD_S, self._release))
            return
        self._fly(data)
        if self._happens(faults.repeat):
            self._fly(data)
        self._release()

    def _happens(self, share: float) -> bool:
        return share > 0 and self._luck.random() < share

    def _spoil(self, data: bytes) -> bytes:
        at = self._luck.randrange(PAYLOAD_AT, len(data)) if len(data) > PAYLOAD_AT else DIGEST_AT
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]

    def _release(self) -> None:
        if self._held:
            (data, timer), self._held = self._held, None
            timer.cancel()
            self._fly(data)

    def _fly(self, data: bytes) -> None:
        if self._faults.delay_s:
            self._flights += 1
            self._loop.call_later(self._faults.delay_s, self._land, data)
        else:
            self._deliver(data)

    def _land(self, data: bytes) -> None:
        self._flights -= 1
        self._deliver(data)


def luck_of(number: int, faults: WireFaults, direction: str) -> random.Random:
    """The same seed, direction and number of the session give the same luck."""
    return random.Random(f"{faults.seed}/{number}/{direction}")  # noqa: S311 - nothing secret about it
