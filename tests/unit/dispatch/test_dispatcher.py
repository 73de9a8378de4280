"""Nodes are visited a few at a time, in order, and no further ones once the rules end it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from taskmedic.domain.command import note_left_open
from taskmedic.domain.dispatch import NOT_STARTED, NodeResult
from taskmedic.domain.nodes import Node
from taskmedic.steps.dispatcher import DispatchRules, LocalHalt, dispatch


class Visitor:
    """Each visit lasts so many turns of the event loop, and ends with the exit code given for the node."""

    def __init__(
        self, codes: Mapping[str, int] | None = None, turns: Mapping[str, int] | None = None
    ) -> None:
        self.codes = codes or {}
        self.turns = turns or {}
        self.began: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def visit(self, node: Node) -> NodeResult:
        self.began.append(node.name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(self.turns.get(node.name, 3)):
            await asyncio.sleep(0)
        self.at_once -= 1
        return NodeResult(node.name, "exited", exit_code=self.codes.get(node.name, 0))

    async def pass_by(self, node: Node, reason: str) -> NodeResult:
        return NodeResult(node.name, NOT_STARTED, reason=reason)


NODES = [Node(name, {}) for name in "abcdefgh"]


@pytest.mark.parametrize("threads", [1, 3, 8, 50])
async def test_so_many_at_a_time_and_in_order(threads: int) -> None:
    visitor = Visitor()

    results = await dispatch(NODES, visitor, DispatchRules(threads=threads))

    assert visitor.most_at_once == min(threads, len(NODES))
    assert visitor.began == list("abcdefgh")
    assert [result.node for result in results] == list("abcdefgh")


async def test_a_slow_node_does_not_hold_up_the_others() -> None:
    visitor = Visitor(turns={"a": 100})
    ended: list[str] = []

    await dispatch(
        NODES, visitor, DispatchRules(threads=2), on_result=lambda result: ended.append(result.node)
    )

    assert ended == list("bcdefgha")


async def test_without_keep_going_the_first_failure_ends_it_and_what_runs_may_finish() -> None:
    visitor = Visitor(codes={"b": 3}, turns={"a": 50})

    results = await dispatch(NODES, visitor, DispatchRules(threads=2))

    assert visitor.began == ["a", "b"]
    assert results[0].succeeded
    assert results[1].exit_code == 3
    assert {result.outcome for result in results[2:]} == {NOT_STARTED}
    assert results[2].reason == "b failed (exit 3) and keep_going is off"


async def test_with_keep_going_every_node_is_visited() -> None:
    visitor = Visitor(codes={"a": 1, "b": 1})

    await dispatch(NODES, visitor, DispatchRules(threads=2, keep_going=True))

    assert len(visitor.began) == len(NODES)


async def test_first_success_goes_on_to_the_next_only_after_a_failure() -> None:
    visitor = Visitor(codes={"a": 1, "b": 1})

    results = await dispatch(NODES, visitor, DispatchRules(threads=8, first_success=True))

    assert visitor.began == ["a", "b", "c"]
    assert visitor.most_at_once == 1
    assert [result.reason for result in results[3:4]] == ["c succeeded"]


async def test_a_halt_called_elsewhere_is_heeded() -> None:
    halt = LocalHalt()
    await halt.call("another batch ended it")
    visitor = Visitor()

    results = await dispatch(NODES, visitor, DispatchRules(threads=4, keep_going=True), halt=halt)

    assert visitor.began == []
    assert {result.reason for result in results} == {"another batch ended it"}


async def test_a_failure_here_halts_the_others() -> None:
    halt = LocalHalt()

    await dispatch(NODES[:1], Visitor(codes={"a": 1}), DispatchRules(), halt=halt)

    assert await halt.reason() == "a failed (exit 1) and keep_going is off"


async def test_an_error_that_nobody_foresaw_is_that_nodes_outcome_and_ends_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Visitor):
        async def visit(self, node: Node) -> NodeResult:
            if node.name == "b":
                error = AssertionError("what the command wrote")
                note_left_open(error, "Its session could not be ended.")
                raise error
            return await super().visit(node)

    visitor = Faulty(turns={"a": 50, "c": 50})

    results = await dispatch(NODES, visitor, DispatchRules(threads=3, keep_going=True))

    assert [result.succeeded for result in results] == [True, False, *[True] * 6]
    assert results[1].outcome == "connection_lost"
    assert "AssertionError" in results[1].reason
    assert "may have run" in results[1].reason
    assert results[1].remedy.endswith("Its session could not be ended.")
    assert "b: AssertionError" in caplog.text
    assert "what the command wrote" not in caplog.text


async def test_an_error_in_passing_a_node_by_ends_no_other() -> None:
    class Faulty(Visitor):
        async def pass_by(self, node: Node, reason: str) -> NodeResult:
            if node.name == "c":
                raise KeyError(node.name)
            return await super().pass_by(node, reason)

    results = await dispatch(NODES, Faulty(codes={"a": 1}), DispatchRules())

    assert [result.outcome for result in results[1:]] == [NOT_STARTED, "connection_lost", *[NOT_STARTED] * 5]


async def test_a_cancellation_ends_all() -> None:
    visitor = Visitor(turns=dict.fromkeys("abcdefgh", 10_000))
    task = asyncio.create_task(dispatch(NODES, visitor, DispatchRules(threads=2, keep_going=True)))
    while len(visitor.began) < 2:  # noqa: ASYNC110 - turns of this loop, no time
        await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert visitor.began == ["a", "b"]


async def test_no_nodes_no_results() -> None:
    assert await dispatch([], Visitor(), DispatchRules(threads=5)) == []
