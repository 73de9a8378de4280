"""Loss of 15 %, repeats of 10 % and disorder of 30 % of the frames, both ways."""

from __future__ import annotations

import random

import pytest
from tests.unit.ssm.scripted_agent import Behaviour, Collected, Network, ScriptedAgent, a_command, run

from taskmedic.domain.command import Outcome
from taskmedic.ssm import frames
from taskmedic.ssm.command import encode_script

RUNS = range(100)


def bad(seed: int) -> Network:
    return Network(loss=0.15, repeats=0.10, disorder=0.30, seed=seed)


@pytest.mark.parametrize("kms", [False, True], ids=["plain", "encrypted"])
async def test_a_hundred_outputs_arrive_byte_for_byte_with_the_right_status(kms: bool) -> None:
    for seed in RUNS:
        output = bytes(random.Random(seed).choices(b"abcdefgh \t\r\n", k=17_000))
        agent = ScriptedAgent(Behaviour(output=output, status=seed % 200, kms=kms), network=bad(seed))
        sink = Collected()

        result = await run(agent, sink=sink)

        assert (result.outcome, result.exit_code) == (Outcome.EXITED, seed % 200), (seed, result.reason)
        assert sink.whole == output


async def test_long_scripts_arrive_too() -> None:
    script = "# 0123456789\n" * 1500 + "echo"
    for seed in RUNS[:10]:
        agent = ScriptedAgent(Behaviour(output=b"ran\n"), network=bad(seed))

        result = await run(agent, a_command(script))

        assert result.succeeded, (seed, result.reason)
        assert agent.input.replace(b"\n", b"").decode() == encode_script(script)


async def test_the_wrapper_is_let_go_although_the_first_goodbye_is_lost() -> None:
    agent = ScriptedAgent(Behaviour(output=b"x"))
    really_take, lost = agent._take, []

    def lose_the_first_input(raw: bytes) -> None:
        if frames.decode(raw).kind == frames.INPUT_STREAM and not lost:
            lost.append(raw)
        else:
            really_take(raw)

    agent._take = lose_the_first_input  # type: ignore[method-assign]
    result = await run(agent)

    assert result.succeeded
    assert lost
    assert agent.input == b"\n"


@pytest.mark.parametrize("loss", [0.7, 0.9])
async def test_a_run_that_cannot_be_whole_says_so(loss: float) -> None:
    outcomes = set()
    for seed in RUNS:
        output = bytes(random.Random(seed).choices(b"abc\n", k=5_000))
        network = Network(loss=loss, repeats=0.1, disorder=0.3, seed=seed)
        agent, sink = ScriptedAgent(Behaviour(output=output, status=3), network=network), Collected()

        result = await run(agent, sink=sink)

        outcomes.add(result.outcome)
        if result.outcome is Outcome.EXITED:
            assert (result.exit_code, sink.whole) == (3, output)
        else:
            assert result.exit_code is None
            # At the very end, a carriage return may be the first half of a newline that never came.
            assert output.startswith(sink.whole.removesuffix(b"\r"))

    assert outcomes - {Outcome.EXITED}  # else this test would show nothing


async def test_a_wrapper_that_is_never_let_go_gives_its_place_back() -> None:
    agent = ScriptedAgent(Behaviour(output=b"x"))
    really_take = agent._take

    def lose_all_input(raw: bytes) -> None:
        if frames.decode(raw).kind != frames.INPUT_STREAM:
            really_take(raw)

    agent._take = lose_all_input  # type: ignore[method-assign]
    result = await run(agent)

    assert result.succeeded
    assert agent.terminated == ["ecs-execute-command-0123456789abcdefg"]
