"""A gateway that misbehaves on order, seen by a client that only looks."""

from __future__ import annotations

import pytest
from tests.local.exec.conftest import Target
from tests.local.exec.plain_client import joined
from websockets.exceptions import ConnectionClosed

from taskmedic_local.exec.frames import OUTPUT
from taskmedic_local.exec.wire import WireFaults

SCRIPT = "sh -c 'i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.005; done'"
TEXT = "".join(f"line {number}\r\n" for number in range(40)).encode()


@pytest.fixture(autouse=True)
def _patience(target: Target) -> None:
    target.timing(drain=10)


@pytest.mark.parametrize("faults", [WireFaults(lose=0.2), WireFaults(repeat=0.5), WireFaults(reorder=0.5)])
async def test_a_client_that_acknowledges_everything_gets_everything(
    target: Target, faults: WireFaults
) -> None:
    target.cloud.world.gateway.faults = faults
    async with joined(target.execute(SCRIPT)) as client:
        assert await client.end() == ""
        assert client.output == TEXT
        numbers = [frame.sequence for frame in client.frames if frame.type == OUTPUT]
        assert numbers != list(range(len(numbers)))


async def test_the_line_is_cut_once_and_the_session_can_be_resumed(target: Target) -> None:
    target.cloud.world.gateway.faults = WireFaults(cut_after=5)
    session = target.execute(SCRIPT)
    async with joined(session) as client:
        with pytest.raises(ConnectionClosed):
            await client.end()
        seen = list(client.frames)
    resumed = target.cloud.world.gateway.resume(session["sessionId"])
    assert resumed is not None
    async with joined(session, token=resumed.token) as client:
        client.frames += seen
        assert await client.end() == ""
        assert client.output == TEXT


async def test_silence_hides_even_the_end(target: Target) -> None:
    target.cloud.world.gateway.faults = WireFaults(silent_after=5)
    async with joined(target.execute(SCRIPT)) as client:
        while not await client.nothing_comes():
            pass
        assert 0 < len(client.frames) <= 5


async def test_faults_are_those_of_the_time_the_session_was_opened(target: Target) -> None:
    target.cloud.world.gateway.faults = WireFaults(silent_after=0)
    session = target.execute("echo x")
    target.cloud.world.gateway.faults = WireFaults()
    async with joined(session) as client:
        assert await client.nothing_comes()
    async with joined(target.execute("echo x")) as client:
        assert await client.end() == ""


async def test_the_wire_of_one_container_is_bad(target: Target) -> None:
    target.cloud.world.mistreat(target.container, WireFaults(silent_after=0))
    async with joined(target.execute("echo x")) as client:
        assert await client.nothing_comes()
    other = Target(target.cloud, target._ecs, target.task, target.task.containers[1])
    async with joined(other.execute("echo x")) as client:
        assert await client.end() == ""
    target.cloud.world.mistreat(target.container, None)
    async with joined(target.execute("echo x")) as client:
        assert await client.end() == ""
