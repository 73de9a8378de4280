"""One node: never beside another session, never twice, and every failure is an outcome with its reason."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from taskmedic.domain.command import CommandResult, CommandSpec, Outcome, note_left_open
from taskmedic.domain.dispatch import NODE_OVERHEAD_S, NOT_STARTED
from taskmedic.domain.errors import AccessDenied, AwsRefused, StepInvalid
from taskmedic.domain.nodes import Node
from taskmedic.ssm.run import OutputSink
from taskmedic.steps.on_node import LocalLocks, OnNode

RUNNING = {
    "ECS:Container-Runtime-ID": "rt-1",
    "ECS:Container-Status": "RUNNING",
    "ECS:Exec-Enabled": "true",
    "ECS:Exec-Agent-Status": "RUNNING",
    "ECS:Launch-Type": "EC2",
    "ECS:Container-Instance-ARN": "arn:aws:ecs:us-east-1:1:container-instance/prod/i",
}
EXEC_OFF = {**RUNNING, "ECS:Exec-Enabled": "false", "ECS:Exec-Agent-Status": ""}
NODE = Node("t1/app", RUNNING)


class FakeRunner:
    """Answers at once, or waits until it is let go."""

    def __init__(self, result: CommandResult | Exception | None = None, *, output: bytes = b"") -> None:
        self.result = result or CommandResult(outcome=Outcome.EXITED, exit_code=0)
        self.output = output
        self.ran: list[tuple[str, CommandSpec]] = []
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
        self.ran.append((node.name, spec))
        self.began.set()
        await self.may_end.wait()
        if isinstance(self.result, Exception):
            raise self.result
        sink.write(self.output)
        return replace(self.result, head=self.output, total_bytes=len(self.output))


class Kept:
    """An output's place."""

    def __init__(self, error: Exception | None = None) -> None:
        self.data = b""
        self.error = error

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> dict[str, str] | None:
        if self.error:
            raise self.error
        return {"uri": "s3://evidence/x"} if self.data else None


class WatchedLocks(LocalLocks):
    """Tells when somebody did not get a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool:
        got = super().acquire_lock(key, owner, seconds, now)
        if not got:
            self._loop.call_soon_threadsafe(self.refused.set)
        return got


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def make(executor: Executor) -> Any:
    def on_node(runner: Any = None, **settings: Any) -> OnNode:
        return OnNode(
            **{
                "spec_for": lambda _: CommandSpec(script="true"),
                "exec_runner": runner or FakeRunner(),
                "host_runner": FakeRunner(),
                "locks": LocalLocks(),
                "owner": "me",
                "output_for": lambda _: Kept(),
                "executor": executor,
                "lock_wait_s": 0.2,
                "lock_poll_s": (0.001, 0.002),
                **settings,
            }
        )

    return on_node


async def test_the_command_runs_and_its_output_is_kept(make: Any) -> None:
    result = await make(FakeRunner(output=b"hello\n")).visit(NODE)

    assert result.succeeded
    assert result.head == "hello\n"
    assert result.bytes == 6
    assert result.output == {"uri": "s3://evidence/x"}
    assert not result.truncated


async def test_a_second_session_in_the_same_container_waits_its_turn(make: Any) -> None:
    locks = WatchedLocks()
    first, second = FakeRunner(), FakeRunner()
    first.may_end.clear()
    one = asyncio.create_task(make(first, locks=locks, owner="one").visit(NODE))
    await first.began.wait()
    two = asyncio.create_task(make(second, locks=locks, owner="two", lock_wait_s=20).visit(NODE))
    await locks.refused.wait()
    assert not second.ran

    first.may_end.set()

    assert (await one).succeeded
    assert (await two).succeeded


async def test_a_lock_held_too_long_is_not_reachable_and_nothing_runs(make: Any) -> None:
    locks = LocalLocks()
    locks.acquire_lock("exec#rt-1", "somebody", 3600, time.time())
    runner = FakeRunner()

    result = await make(runner, locks=locks, lock_wait_s=0).visit(NODE)

    assert result.outcome == "not_reachable"
    assert result.reason == "another session held this container for more than 0 s"
    assert not runner.ran


async def test_a_lock_that_has_run_out_does_not_keep_anybody_out(make: Any) -> None:
    locks = LocalLocks()
    locks.acquire_lock("exec#rt-1", "somebody", 5, time.time() - 10)

    assert (await make(locks=locks).visit(NODE)).succeeded


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), AccessDenied("no")])
async def test_the_lock_is_given_back_whatever_happens(make: Any, failure: Exception) -> None:
    locks = LocalLocks()

    await asyncio.gather(make(FakeRunner(failure), locks=locks).visit(NODE), return_exceptions=True)

    assert locks.acquire_lock("exec#rt-1", "somebody", 1, time.time())


async def test_the_lock_is_given_back_on_cancellation(make: Any) -> None:
    locks, runner = LocalLocks(), FakeRunner()
    runner.may_end.clear()
    visit = asyncio.create_task(make(runner, locks=locks).visit(NODE))
    await runner.began.wait()

    visit.cancel()

    with pytest.raises(asyncio.CancelledError):
        await visit
    assert locks.acquire_lock("exec#rt-1", "somebody", 1, time.time())


async def test_the_lock_stays_while_the_session_is_not_known_to_be_over(make: Any) -> None:
    locks = LocalLocks()
    left = CommandResult(
        outcome=Outcome.TIMED_OUT, remedy="It could not be ended.", left_open="It could not be ended."
    )

    first = await make(FakeRunner(left), locks=locks, owner="one").visit(NODE)
    second = await make(locks=locks, owner="two", lock_wait_s=0.01).visit(NODE)

    assert first.remedy == "It could not be ended. Its lock stays until it expires."
    assert second.outcome == "not_reachable"
    assert "another session held this container" in second.reason


@pytest.mark.parametrize("left_open", ["", "It could not be ended."])
async def test_a_cancellation_tells_what_is_known_of_the_session_and_keeps_the_lock_beside_it(
    make: Any, left_open: str
) -> None:
    class CutOff(FakeRunner):
        async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
            try:
                return await super().run(node, spec, sink)
            except asyncio.CancelledError as cancelled:
                note_left_open(cancelled, left_open)
                raise

    locks, runner, told = LocalLocks(), CutOff(), []
    runner.may_end.clear()
    on_node = make(
        runner, locks=locks, owner="one", on_cut_off=lambda node, why: told.append((node.name, why))
    )
    task = asyncio.create_task(on_node.visit(NODE))
    await runner.began.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told == [("t1/app", left_open)]
    second = await make(locks=locks, owner="two", lock_wait_s=0.01).visit(NODE)
    assert second.outcome == ("not_reachable" if left_open else "exited")


async def test_the_lock_is_given_back_when_there_is_no_place_for_the_output(make: Any) -> None:
    locks = LocalLocks()

    def nowhere(_: Node) -> Kept:
        raise AccessDenied("no bucket")

    result = await make(locks=locks, output_for=nowhere).visit(NODE)

    assert result.outcome == "not_reachable"
    assert locks.acquire_lock("exec#rt-1", "somebody", 1, time.time())


async def test_a_node_is_passed_by_although_the_ledger_does_not_answer(make: Any) -> None:
    class Down(LocalLocks):
        def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool:
            raise AccessDenied("no ledger")

    result = await make(locks=Down(), run_key="execution/step").pass_by(NODE, "another failed")

    assert result.outcome == "not_started"
    assert "no ledger" in result.reason


async def test_a_repeated_call_does_not_run_the_command_again(make: Any) -> None:
    locks = LocalLocks()
    first, again = FakeRunner(), FakeRunner()
    await make(first, locks=locks, owner="call 1", run_key="exec-1/step").visit(NODE)

    result = await make(again, locks=locks, owner="call 2", run_key="exec-1/step").visit(NODE)

    assert result.outcome == "connection_lost"
    assert "may have run" in result.reason
    assert not again.ran


async def test_a_repeated_call_runs_it_where_it_never_began(make: Any) -> None:
    locks = LocalLocks()
    await make(locks=locks, owner="call 1", run_key="exec-1/step").visit(NODE)
    other = Node("t2/app", {**RUNNING, "ECS:Container-Runtime-ID": "rt-2"})

    assert (await make(locks=locks, owner="call 2", run_key="exec-1/step").visit(other)).succeeded


async def test_the_lock_that_a_killed_call_left_behind_does_not_hide_that_it_had_begun(make: Any) -> None:
    locks = LocalLocks()
    locks.acquire_lock("command#exec-1/step#t1/app", "call 1", 3600, time.time())
    locks.acquire_lock("exec#rt-1", "call 1", 3600, time.time())

    result = await make(locks=locks, owner="call 2", run_key="exec-1/step", lock_wait_s=0).visit(NODE)

    assert result.outcome == "connection_lost"


@pytest.mark.parametrize(
    "obstacle",
    [
        {"lock_wait_s": 0, "holder": "somebody"},
        {"call_until": 0.0},
        {"all_until": 0.0},
    ],
)
async def test_what_kept_a_call_from_beginning_lets_a_later_one_begin(
    make: Any, obstacle: dict[str, Any]
) -> None:
    locks = LocalLocks()
    if holder := obstacle.pop("holder", ""):
        locks.acquire_lock("exec#rt-1", holder, 3600, time.time())
    kept_out = make(locks=locks, owner="call 1", run_key="exec-1/step", **obstacle)
    assert (await kept_out.visit(NODE)).outcome in {"not_reachable", NOT_STARTED}
    locks.release_lock("exec#rt-1", "somebody")

    assert (await make(locks=locks, owner="call 2", run_key="exec-1/step").visit(NODE)).succeeded


async def test_another_execution_or_step_may_run_it(make: Any) -> None:
    locks = LocalLocks()
    await make(locks=locks, owner="call 1", run_key="exec-1/step").visit(NODE)

    assert (await make(locks=locks, owner="call 2", run_key="exec-1/other").visit(NODE)).succeeded


async def test_what_may_repeat_is_repeated(make: Any) -> None:
    locks = LocalLocks()
    await make(locks=locks, owner="call 1").visit(NODE)

    assert (await make(locks=locks, owner="call 2").visit(NODE)).succeeded


async def test_a_node_passed_by_was_not_started_unless_an_earlier_call_had_begun_there(make: Any) -> None:
    locks = LocalLocks()
    await make(locks=locks, owner="call 1", run_key="exec-1/step").visit(NODE)
    again = make(locks=locks, owner="call 2", run_key="exec-1/step")
    other = Node("t2/app", RUNNING)

    assert (await again.pass_by(NODE, "halted")).outcome == "connection_lost"
    assert (await again.pass_by(other, "halted")).outcome == NOT_STARTED
    # ... and a later call may still start it there
    assert (await make(locks=locks, owner="call 3", run_key="exec-1/step").visit(other)).succeeded


async def test_what_the_attributes_rule_out_is_not_tried(make: Any) -> None:
    runner = FakeRunner()

    result = await make(runner).visit(Node("t1/app", EXEC_OFF))

    assert result.outcome == "not_reachable"
    assert result.reason == "the task was started without ECS Exec"
    assert "--enable-execute-command" in result.remedy
    assert not runner.ran


@pytest.mark.parametrize(
    ("via", "attributes", "way"),
    [
        ("exec", RUNNING, "exec"),
        ("exec", EXEC_OFF, ""),
        ("auto", RUNNING, "exec"),
        ("auto", EXEC_OFF, "host"),
        ("ec2_host", RUNNING, "host"),
        ("ec2_host", EXEC_OFF, "host"),
        ("auto", {**EXEC_OFF, "ECS:Container-Instance-ARN": ""}, ""),
        ("ec2_host", {**RUNNING, "ECS:Container-Instance-ARN": ""}, ""),
        ("ec2_host", {**RUNNING, "ECS:Container-Status": "STOPPED"}, ""),
    ],
)
async def test_the_way_into_the_container(make: Any, via: str, attributes: dict[str, str], way: str) -> None:
    by_exec, by_host = FakeRunner(), FakeRunner()

    result = await make(by_exec, host_runner=by_host, via=via).visit(Node("t1/app", attributes))

    assert (bool(by_exec.ran), bool(by_host.ran)) == (way == "exec", way == "host")
    assert result.outcome == ("exited" if way else "not_reachable")


NO_AGENT = CommandResult(
    outcome=Outcome.NOT_REACHABLE, reason="not connected", may_have_run=False, agent_ready=False
)
REFUSED = CommandResult(outcome=Outcome.NOT_REACHABLE, reason="access denied", may_have_run=False)


@pytest.mark.parametrize(
    ("via", "answer", "attributes", "goes_on"),
    [
        ("auto", NO_AGENT, RUNNING, True),
        ("exec", NO_AGENT, RUNNING, False),
        ("auto", NO_AGENT, {**RUNNING, "ECS:Container-Instance-ARN": ""}, False),
        ("auto", REFUSED, RUNNING, False),  # who may not use ECS Exec is not let in as root on the host
    ],
)
async def test_auto_goes_by_the_host_when_ecs_exec_turns_out_not_to_be_connected(
    make: Any, via: str, answer: CommandResult, attributes: dict[str, str], goes_on: bool
) -> None:
    by_exec, by_host = FakeRunner(answer), FakeRunner(output=b"hello\n")

    result = await make(by_exec, host_runner=by_host, via=via).visit(Node("t1/app", attributes))

    assert bool(by_host.ran) is goes_on
    assert result.label == ("exit 0" if goes_on else "not_reachable")
    assert result.head == ("hello\n" if goes_on else "")


async def test_the_way_by_the_host_is_gone_under_the_same_lock(make: Any) -> None:
    locks, by_host = LocalLocks(), FakeRunner()
    by_host.may_end.clear()
    visit = asyncio.create_task(
        make(FakeRunner(NO_AGENT), host_runner=by_host, via="auto", locks=locks).visit(NODE)
    )
    await by_host.began.wait()

    assert not locks.acquire_lock("exec#rt-1", "somebody", 1, time.time())

    by_host.may_end.set()
    assert (await visit).succeeded
    assert locks.acquire_lock("exec#rt-1", "somebody", 1, time.time())


async def test_where_neither_way_leads_in_both_reasons_are_told(make: Any) -> None:
    no_host = CommandResult(outcome=Outcome.NOT_REACHABLE, reason="no SSM agent", may_have_run=False)

    result = await make(FakeRunner(NO_AGENT), host_runner=FakeRunner(no_host), via="auto").visit(NODE)

    assert result.reason == "not connected; by the host: no SSM agent"


async def test_no_command_is_begun_that_could_outlast_the_lambda_call(make: Any) -> None:
    runner = FakeRunner()
    ends = time.monotonic() + 60 + NODE_OVERHEAD_S - 1

    result = await make(runner, call_until=ends).visit(NODE)

    assert result.outcome == NOT_STARTED
    assert not runner.ran


async def test_the_time_for_all_cuts_the_time_for_each(make: Any) -> None:
    runner = FakeRunner()

    await make(runner, all_until=time.monotonic() + 30).visit(NODE)

    ((_, spec),) = runner.ran
    assert math.ceil(spec.timeout_s) == 30


async def test_nothing_is_begun_when_the_time_for_all_is_over(make: Any) -> None:
    result = await make(all_until=time.monotonic()).visit(NODE)

    assert result.outcome == NOT_STARTED
    assert result.reason == "the time for all nodes was over"


async def test_a_command_that_cannot_be_made_is_told_with_its_reason(make: Any) -> None:
    def spec_for(_: Node) -> CommandSpec:
        raise StepInvalid("${node.ECS:Service-Name} cannot be completed")

    result = await make(spec_for=spec_for).visit(NODE)

    assert result.outcome == "could_not_start"
    assert "cannot be completed" in result.reason


async def test_a_refusal_of_aws_is_this_nodes_outcome(make: Any) -> None:
    class Refusing(LocalLocks):
        def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool:
            raise AccessDenied("cannot write to the ledger")

    runner = FakeRunner()
    result = await make(runner, locks=Refusing()).visit(NODE)

    assert result.outcome == "not_reachable"
    assert not runner.ran


async def test_a_lock_that_cannot_be_released_does_not_hide_the_result(make: Any) -> None:
    class Stuck(LocalLocks):
        def release_lock(self, key: str, owner: str) -> None:
            raise AwsRefused("cannot release the lock")

    result = await make(locks=Stuck()).visit(NODE)

    assert result.succeeded
    assert "lock stays until it expires" in result.remedy


async def test_output_that_cannot_be_stored_does_not_hide_the_result(make: Any) -> None:
    kept = Kept(AwsRefused("cannot store the output"))

    result = await make(FakeRunner(output=b"x"), output_for=lambda _: kept).visit(NODE)

    assert result.succeeded
    assert result.output is None
    assert "cannot store the output" in result.reason
