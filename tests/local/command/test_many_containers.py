"""Many containers at once, a wire that loses frames, and the way over the EC2 host."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.local.command.conftest import Commands

from taskmedic.domain.command import CommandSpec
from taskmedic.domain.dispatch import summarise
from taskmedic.ssm.run import Limits
from taskmedic_local.cloud import LocalCloud
from taskmedic_local.exec.wire import WireFaults


def a_crowd(cloud: LocalCloud, commands: Commands, count: int) -> Any:
    """So many tasks of one container each, in a cluster of their own."""
    cloud.world.crowd(clusters=1, tasks=count)
    nodes = commands.nodes("crowd-0")
    assert len(nodes) == count
    return nodes


async def test_500_containers(cloud: LocalCloud, commands: Commands) -> None:
    nodes = a_crowd(cloud, commands, 500)
    spec = CommandSpec(script="echo $ECS_CONTAINER_METADATA_URI_V4")

    results = await commands.run(spec, nodes, threads=50)

    assert summarise(results).line == "500 of 500 nodes exited 0"
    for node in nodes:
        assert (
            commands.outputs[node.name].data.decode().endswith(f"/{node.get('ECS:Container-Runtime-ID')}\n")
        )


async def test_a_wire_that_loses_repeats_and_reorders_loses_not_a_byte(
    cloud: LocalCloud, commands: Commands
) -> None:
    nodes = a_crowd(cloud, commands, 100)
    cloud.world.gateway.faults = WireFaults(lose=0.15, repeat=0.10, reorder=0.30, seed=11)
    script = "echo $HOME | tail -c 9; seq 4000 | tr 0-9 a-j | head -c 17000; exit 5"

    results = await commands.run(CommandSpec(script=script, timeout_s=120), nodes, threads=50)

    numbers = "\n".join(str(number) for number in range(1, 4001))
    letters = numbers.translate(str.maketrans("0123456789", "abcdefghij"))[:17_000]
    assert {(result.outcome, result.exit_code) for result in results} == {("exited", 5)}
    for node in nodes:
        output = commands.outputs[node.name].data.decode()
        assert output == f"{node.get('ECS:Container-Runtime-ID')[-8:]}\n{letters}"


@pytest.mark.parametrize(
    "faults",
    [WireFaults(cut_after=25), WireFaults(silent_after=25), WireFaults(corrupt=0.4, lose=0.4, seed=5)],
    ids=["cut", "silent", "hopeless"],
)
async def test_a_run_that_is_not_whole_says_so(
    cloud: LocalCloud, commands: Commands, faults: WireFaults
) -> None:
    nodes = commands.nodes()
    cloud.world.gateway.faults = faults
    commands.limits = Limits(start_s=3, grace_s=0.5, terminate_s=1)

    results = await commands.run(CommandSpec(script="seq 20000", timeout_s=1), nodes, threads=6)

    whole = b"".join(b"%d\n" % number for number in range(1, 20_001))
    for result in results:
        output = bytes(commands.outputs[result.node].data)
        assert whole.startswith(output)
        assert (result.outcome == "exited") == (output == whole and result.exit_code == 0)
        assert result.outcome == "exited" or (result.reason and result.remedy)


async def test_first_success_asks_no_further_container(cloud: LocalCloud, commands: Commands) -> None:
    nodes = commands.nodes(services="checkout")
    for node in nodes[:2]:
        await commands.run(CommandSpec(script="touch broken"), [node])

    results = await commands.run(CommandSpec(script="! test -e broken"), nodes, threads=4, first_success=True)

    assert [result.label for result in results] == ["exit 1", "exit 1", "exit 0", "not_started"]
    assert summarise(results, first_success=True).succeeded


async def test_without_keep_going_the_first_failure_is_the_last_command(
    cloud: LocalCloud, commands: Commands
) -> None:
    nodes = commands.nodes()

    results = await commands.run(CommandSpec(script="exit 2"), nodes, keep_going=False)

    assert [result.label for result in results] == ["exit 2", *["not_started"] * 5]


async def test_two_dispatches_to_one_container_take_turns(cloud: LocalCloud, commands: Commands) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]
    spec = CommandSpec(script="test ! -e busy && touch busy && sleep 0.3 && rm busy")

    both = await asyncio.gather(commands.run(spec, [node]), commands.run(spec, [node]))

    assert [result.label for results in both for result in results] == ["exit 0", "exit 0"]


async def test_docker_exec_on_the_host(commands: Commands) -> None:
    nodes = commands.nodes("batch")

    results = await commands.run(CommandSpec(script="echo on the host; exit 4"), nodes, via="ec2_host")

    assert [(result.outcome, result.exit_code) for result in results] == [("exited", 4)]
    assert bytes(commands.outputs[nodes[0].name].data) == b"on the host\n"


async def test_docker_exec_over_time_is_ended(cloud: LocalCloud, commands: Commands) -> None:
    nodes = commands.nodes("batch")

    results = await commands.run(
        CommandSpec(script="echo begun; sleep 300", timeout_s=1), nodes, via="ec2_host"
    )

    assert results[0].outcome == "timed_out"
    assert bytes(commands.outputs[nodes[0].name].data) == b"begun\n"


async def test_the_host_is_no_way_into_a_task_on_fargate(commands: Commands) -> None:
    results = await commands.run(CommandSpec(script="true"), commands.nodes()[:1], via="ec2_host")

    assert results[0].outcome == "not_reachable"
    assert "no host" in results[0].reason


async def test_by_default_the_host_is_not_used(cloud: LocalCloud, commands: Commands) -> None:
    nodes = commands.nodes("batch")
    (task,) = cloud.world.cluster("batch").tasks.values()
    task.exec_enabled = False
    off = commands.nodes("batch")

    refused = await commands.run(CommandSpec(script="true"), off)
    allowed = await commands.run(CommandSpec(script="true"), off, via="auto")

    assert refused[0].reason == "the task was started without ECS Exec"
    assert allowed[0].succeeded
    assert nodes[0].get("ECS:Exec-Enabled") == "true"


async def test_auto_goes_by_the_host_where_the_agent_is_not_connected(
    cloud: LocalCloud, commands: Commands
) -> None:
    (node,) = commands.nodes("batch")
    (task,) = cloud.world.cluster("batch").tasks.values()
    cloud.world.connect_agent(task.containers[0], connected=False)

    (result,) = await commands.run(CommandSpec(script="echo on the host"), [node], via="auto")

    assert (result.label, bytes(commands.outputs[node.name].data)) == ("exit 0", b"on the host\n")
