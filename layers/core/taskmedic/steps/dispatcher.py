"""Visits nodes, a few at a time, in order, and stops early when the rules say so."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from taskmedic.domain.command import Outcome, why_left_open
from taskmedic.domain.dispatch import NodeResult
from taskmedic.domain.nodes import Node

_log = logging.getLogger(__name__)


class Visitor(Protocol):
    """What is done with a node when its turn comes."""

    async def visit(self, node: Node) -> NodeResult:
        """Runs the command there."""
        ...

    async def pass_by(self, node: Node, reason: str) -> NodeResult:
        """Leaves the node out, because the dispatch has ended."""
        ...


@dataclass(frozen=True)
class DispatchRules:
    """How nodes are visited.

    Args:
        threads: Nodes at a time.
        keep_going: Go on after a node failed. Nodes at work are always let finish.
        first_success: One node at a time, until one succeeds.
    """

    threads: int = 1
    keep_going: bool = False
    first_success: bool = False

    def ends_after(self, result: NodeResult) -> str:
        """Why no further node is visited after ``result``; empty to go on."""
        if self.first_success:
            return f"{result.node} succeeded" if result.succeeded else ""
        if self.keep_going or result.succeeded:
            return ""
        return f"{result.node} failed ({result.label}) and keep_going is off"


class Halt(Protocol):
    """Tells all dispatchers of one step, in whatever process, that no further node is to be visited."""

    async def reason(self) -> str:
        """Why it was called; empty while it was not."""
        ...

    async def call(self, reason: str) -> None:
        """Calls it."""
        ...


class LocalHalt:
    """A halt within this process."""

    def __init__(self) -> None:
        self._reason = ""

    async def reason(self) -> str:
        return self._reason

    async def call(self, reason: str) -> None:
        self._reason = self._reason or reason


async def dispatch(
    nodes: Sequence[Node],
    visitor: Visitor,
    rules: DispatchRules,
    *,
    halt: Halt | None = None,
    on_result: Callable[[NodeResult], None] | None = None,
) -> list[NodeResult]:
    """Visits ``nodes`` in their order and gives a result for each, in the same order.

    Args:
        visitor: What it raises becomes the outcome of that node alone.
        halt: Shared with other dispatchers of the same step; without it, one of this call's own.
        on_result: Called for each node as soon as its result is there, for progress.
    """
    shared = halt or LocalHalt()
    results: dict[str, NodeResult] = {}
    waiting = iter(nodes)

    async def work() -> None:
        for node in waiting:
            if why := await shared.reason():
                result = await _outcome(node, visitor.pass_by(node, why))
            else:
                result = await _outcome(node, visitor.visit(node))
                if why := rules.ends_after(result):
                    await shared.call(why)
            results[node.name] = result
            if on_result:
                on_result(result)

    threads = 1 if rules.first_success else rules.threads
    async with asyncio.TaskGroup() as group:
        for _ in range(min(threads, len(nodes))):
            group.create_task(work())
    return [results[node.name] for node in nodes]


async def _outcome(node: Node, turn: Awaitable[NodeResult]) -> NodeResult:
    """The result of a node's turn. An error that nobody foresaw must not cut off the other commands."""
    try:
        return await turn
    except Exception as error:  # noqa: BLE001 - the last resort; a cancellation goes on
        kind = type(error).__name__  # and not its text, which may hold output
        _log.error("%s: %s, which nobody foresaw, at %s", node.name, kind, _place(error))
        return NodeResult(
            node=node.name,
            outcome=Outcome.CONNECTION_LOST.value,
            reason=f"Taskmedic itself failed here ({kind}); the command may have run.",
            remedy="See what it did before running it again, and please report the error as it was logged."
            f" {why_left_open(error)}".rstrip(),
        )


def _place(error: Exception) -> str:
    """The line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
