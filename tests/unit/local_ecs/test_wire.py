"""The wire misbehaves as it is told, and the same way each time."""

from __future__ import annotations

import asyncio

import pytest

from taskmedic_local.exec.frames import PAYLOAD_AT
from taskmedic_local.exec.wire import Wire, WireFaults, WireFaultsInvalid, luck_of

FRAMES = [bytes(PAYLOAD_AT) + number.to_bytes(4, "big") for number in range(1000)]


async def passed(faults: WireFaults, number: int = 1) -> list[bytes]:
    """What comes out when all frames were put in."""
    out: list[bytes] = []
    arrived = asyncio.Event()

    def deliver(frame: bytes) -> None:
        out.append(frame)
        arrived.set()

    wire = Wire(deliver, faults, luck_of(number, faults, "client"))
    for frame in FRAMES:
        wire.push(frame)
    while not wire.empty:
        arrived.clear()
        await arrived.wait()
    return out


async def test_a_good_wire_changes_nothing() -> None:
    assert await passed(WireFaults()) == FRAMES


async def test_losses() -> None:
    out = await passed(WireFaults(lose=0.15))
    assert 800 < len(out) < 900
    assert out == sorted(out)


async def test_repeats() -> None:
    out = await passed(WireFaults(repeat=0.1))
    assert set(out) == set(FRAMES)
    assert 1050 < len(out) < 1150


async def test_a_change_of_order_loses_nothing() -> None:
    out = await passed(WireFaults(reorder=0.3))
    assert out != FRAMES
    assert sorted(out) == FRAMES


async def test_corruption_changes_one_byte_of_the_payload() -> None:
    out = await passed(WireFaults(corrupt=0.5))
    changed = [(a, b) for a, b in zip(FRAMES, out, strict=True) if a != b]
    assert 400 < len(changed) < 600
    for before, after in changed:
        assert before[:PAYLOAD_AT] == after[:PAYLOAD_AT]
        assert sum(x != y for x, y in zip(before, after, strict=True)) == 1


async def test_delay_keeps_the_order() -> None:
    assert await passed(WireFaults(delay_s=0.01)) == FRAMES


async def test_the_seed_decides() -> None:
    faults = WireFaults(lose=0.2, repeat=0.2, reorder=0.2, corrupt=0.2, seed=7)
    once, again = await passed(faults), await passed(faults)
    assert once == again
    assert once != await passed(WireFaults(lose=0.2, repeat=0.2, reorder=0.2, corrupt=0.2, seed=8))
    assert once != await passed(faults, number=2)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([], "must be a JSON object"),
        ({"loose": 1}, "faults.loose: no such field"),
        ({"lose": "much"}, "faults.lose: must be a number"),
        ({"lose": True}, "faults.lose: must be a number"),
        ({"lose": 1.5}, "faults.lose: is a share"),
        ({"delay_s": -1}, "faults.delay_s: must be a number, 0 or more"),
        ({"cut_after": 1.5}, "faults.cut_after: must be a whole number"),
    ],
)
def test_what_cannot_be_understood_is_named(value: object, complaint: str) -> None:
    with pytest.raises(WireFaultsInvalid, match=complaint):
        WireFaults.from_json(value)


def test_faults_are_read() -> None:
    assert WireFaults.from_json({"lose": 0.1, "cut_after": 3}) == WireFaults(lose=0.1, cut_after=3)
