"""One command on one node: the lock, the guard against a second run, the way in, the output to its place."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from taskmedic.domain import nodes
from taskmedic.domain.command import CommandResult, CommandSpec, Outcome, why_left_open
from taskmedic.domain.dispatch import (
    NODE_OVERHEAD_S,
    NOT_STARTED,
    NodeResult,
)
from taskmedic.domain.errors import AwsError, TaskmedicError
from taskmedic.domain.excerpt import head_and_tail
from taskmedic.domain.nodes import Node
from taskmedic.domain.preflight import first_failure, quick_findings
from taskmedic.domain.preflight_facts import Finding
from taskmedic.ssm.run import OutputSink

T = TypeVar("T")

NO_HOST = Finding(
    "host",
    "fail",
    "the task does not run on a container instance, so there is no host to run docker on",
    "Use ECS Exec (via: exec) for tasks on Fargate.",
)
LOCK_WAIT_S = 20.0
LOCK_STAYS = "Its lock stays until it expires."
BEGUN_BEFORE = "An earlier call of this step was cut off after it had begun here; the command may have run."
MARK_S = 90 * 24 * 3600  # as long as Step Functions keeps an execution's name


class Runner(Protocol):
    """A way to run a command in a container: ECS Exec, or ``docker exec`` on the host."""

    async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult: ...


class Locks(Protocol):
    """Locks with an owner and an expiry. Times are seconds."""

    def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool: ...

    def release_lock(self, key: str, owner: str) -> None: ...


class LocalLocks:
    """Locks within this process, for the command line. Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}

    def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool:
        """Takes the lock unless another has it."""
        with self._guard:
            holder, until = self._held.get(key, (owner, 0.0))
            if holder != owner and now < until:
                return False
            self._held[key] = (owner, now + seconds)
            return True

    def release_lock(self, key: str, owner: str) -> None:
        """Gives the lock back; nothing happens when it is another's."""
        with self._guard:
            if self._held.get(key, ("", 0.0))[0] == owner:
                del self._held[key]


class Output(OutputSink, Protocol):
    """Where a node's whole output goes."""

    def finish(self) -> dict[str, str] | None:
        """Called once, on a worker thread, after the last byte: the place of the output as JSON, or None.

        Raises:
            AwsError: it could not be stored.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class OnNode:
    """Runs a command on a node, at most once for one ``run_key``, and never beside another session there.

    Args:
        spec_for: The command for a node; raises StepInvalid or CommandInvalid.
        via: ``exec``, ``ec2_host`` or ``auto``, as in a runbook.
        owner: Who holds the locks; new for every process and call, so that a repeated call is told apart.
        run_key: What runs at most once on a node: execution and step. Empty: the command may be repeated.
        all_until: When the time for all nodes is over, in seconds of ``time.monotonic``; then commands end.
        call_until: When this Lambda call must end; a command that may take longer is not begun.
        on_cut_off: Told of a node whose command a cancellation cut off, and why its session may still be
            there; that is empty when it was ended.
        lock_wait_s: How long to wait, in seconds, for a session of somebody else to end.
        lock_poll_s: The shortest and the longest pause between two looks at the lock, in seconds.
    """

    spec_for: Callable[[Node], CommandSpec]
    exec_runner: Runner
    host_runner: Runner
    locks: Locks
    owner: str
    output_for: Callable[[Node], Output]
    executor: Executor
    via: str = "exec"
    run_key: str = ""
    all_until: float = math.inf
    call_until: float = math.inf
    on_cut_off: Callable[[Node, str], None] = lambda _node, _left_open: None
    lock_wait_s: float = LOCK_WAIT_S
    lock_poll_s: tuple[float, float] = (0.5, 2.0)

    async def visit(self, node: Node) -> NodeResult:
        """The result of the command on ``node``; a failure of any kind is one of its outcomes."""
        try:
            return await self._visit(node)
        except AwsError as error:
            return _never_ran(node, Outcome.NOT_REACHABLE, error.reason(), error.remedy)
        except TaskmedicError as error:
            return _never_ran(node, Outcome.COULD_NOT_START, error.reason(), error.remedy)

    async def pass_by(self, node: Node, reason: str) -> NodeResult:
        """Says that the command was not started on ``node``, unless an earlier call had begun it."""
        try:
            if not await self._claimed(node):
                return _may_have_run(node)
            await self._unclaimed(node)
        except AwsError as error:
            reason = f"{reason}; whether an earlier call had begun it cannot be seen: {error.text()}"
        return _never_ran(node, NOT_STARTED, reason)

    async def _visit(self, node: Node) -> NodeResult:
        spec = self.spec_for(node)
        if not await self._claimed(node):
            return _may_have_run(node)
        left = self.all_until - time.monotonic()
        spec = replace(spec, timeout_s=max(1.0, min(spec.timeout_s, left)))
        way = self._out_of_time(node, spec, left) or self._way_in(node)
        key = f"exec#{node.get(nodes.CONTAINER_RUNTIME_ID) or node.name}"
        try:
            if not isinstance(way, NodeResult) and not await self._locked(
                key, spec.timeout_s + NODE_OVERHEAD_S
            ):
                way = _never_ran(
                    node,
                    Outcome.NOT_REACHABLE,
                    f"another session held this container for more than {self.lock_wait_s:g} s",
                    "Try again when it has ended; too many at once can end ECS Exec in a container for good.",
                )
        except AwsError:
            await self._unclaimed(node)
            raise
        if isinstance(way, NodeResult):
            await self._unclaimed(node)
            return way
        return await self._run(way, node, spec, key)

    async def _run(self, way: Runner, node: Node, spec: CommandSpec, key: str) -> NodeResult:
        """The command's result. The lock is kept while a session may still be there: beside it, another could
        end ECS Exec in the container for good.
        """
        left_open = ""
        try:
            output = self.output_for(node)
            result = await way.run(node, spec, output)
            if not result.agent_ready and self.via == "auto" and node.get(nodes.CONTAINER_INSTANCE_ARN):
                result = _after(result, await self.host_runner.run(node, spec, output))
            left_open = result.left_open
        except BaseException as error:
            left_open = why_left_open(error)
            if isinstance(error, asyncio.CancelledError):
                self.on_cut_off(node, left_open)
            raise
        finally:
            trouble = LOCK_STAYS if left_open else await asyncio.shield(self._unlocked(key))
        return await self._stored(node, result, output, trouble)

    def _out_of_time(self, node: Node, spec: CommandSpec, left: float) -> NodeResult | None:
        if left < 1:
            return _never_ran(node, NOT_STARTED, "the time for all nodes was over")
        if self.call_until - time.monotonic() < spec.timeout_s + NODE_OVERHEAD_S:
            return _never_ran(node, NOT_STARTED, "this Lambda call had no time left for it")
        return None

    def _way_in(self, node: Node) -> Runner | NodeResult:
        """The way into the container, or the result that there is none."""
        obstacle = first_failure(quick_findings(node.attributes))
        by_host = self.via == "ec2_host" or (self.via == "auto" and obstacle is not None)
        if by_host and (obstacle is None or obstacle.check != "container"):
            if node.get(nodes.CONTAINER_INSTANCE_ARN):
                return self.host_runner
            obstacle = NO_HOST if self.via == "ec2_host" else obstacle
        if obstacle:
            return _never_ran(node, Outcome.NOT_REACHABLE, obstacle.detail, obstacle.fix)
        return self.exec_runner

    async def _locked(self, key: str, seconds: float) -> bool:
        until = time.monotonic() + self.lock_wait_s
        while not await self._off_loop(self.locks.acquire_lock, key, self.owner, seconds, time.time()):
            pause = random.uniform(*self.lock_poll_s)  # noqa: S311 - spreads out those who wait
            if time.monotonic() + pause > until:
                return False
            await asyncio.sleep(pause)
        return True

    async def _unlocked(self, key: str) -> str:
        """Gives the lock back; a sentence when that failed, for it must not hide the command's result."""
        try:
            await self._off_loop(self.locks.release_lock, key, self.owner)
        except AwsError as error:
            return f"{LOCK_STAYS} {error.text()}"
        return ""

    async def _claimed(self, node: Node) -> bool:
        """Marks the command as this call's on the node; False when an earlier call had begun it there."""
        if not self.run_key:
            return True
        return await self._off_loop(
            self.locks.acquire_lock, self._mark(node), self.owner, MARK_S, time.time()
        )

    async def _unclaimed(self, node: Node) -> None:
        """Takes the mark back where nothing was begun, so that a later call may still run the command."""
        if self.run_key:
            await self._off_loop(self.locks.release_lock, self._mark(node), self.owner)

    def _mark(self, node: Node) -> str:
        return f"command#{self.run_key}#{node.name}"

    async def _stored(self, node: Node, result: CommandResult, output: Output, trouble: str) -> NodeResult:
        place, reason = None, result.reason
        try:
            place = await self._off_loop(output.finish)
        except AwsError as error:
            reason = f"{reason} {error.text()}".strip()
        head, tail, left_out = head_and_tail(result)
        return NodeResult(
            node=node.name,
            outcome=result.outcome.value,
            exit_code=result.exit_code,
            head=head,
            tail=tail,
            bytes=result.total_bytes,
            truncated=left_out,
            output=place,
            reason=reason,
            remedy=f"{result.remedy} {trouble}".strip(),
            duration_s=round(result.duration_s, 3),
        )

    async def _off_loop(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, call, *arguments)


def _after(by_exec: CommandResult, by_host: CommandResult) -> CommandResult:
    """The result by the host; why ECS Exec was no way in is told where the host was none either."""
    if by_host.outcome is not Outcome.NOT_REACHABLE:
        return by_host
    return replace(by_host, reason=f"{by_exec.reason}; by the host: {by_host.reason}")


def _never_ran(node: Node, outcome: str, reason: str, remedy: str = "") -> NodeResult:
    return NodeResult(node=node.name, outcome=str(outcome), reason=reason, remedy=remedy)


def _may_have_run(node: Node) -> NodeResult:
    return NodeResult(
        node=node.name,
        outcome=Outcome.CONNECTION_LOST.value,
        reason=BEGUN_BEFORE,
        remedy="See what it did before running it again. A step with may_repeat: true runs it again.",
    )
