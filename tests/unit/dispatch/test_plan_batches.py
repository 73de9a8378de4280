"""A batch is such that its Lambda call always ends in time, and no more threads work than were asked for."""

from __future__ import annotations

import heapq
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.dispatch import (
    CALL_BUDGET_S,
    MAX_BATCH_BYTES,
    MAX_SESSIONS_PER_CALL,
    MAX_TIMEOUT_S,
    NODE_OVERHEAD_S,
    DispatchPlan,
    plan_batches,
)
from taskmedic.domain.errors import StepInvalid, TooManyTargets
from taskmedic.domain.nodes import Node


def some_nodes(count: int, **attributes: str) -> list[Node]:
    return [Node(f"task{number:04}/app", attributes) for number in range(count)]


def longest_call_s(plan: DispatchPlan[Node], timeout_s: float) -> float:
    """How long a call takes at worst: every node takes all its time."""
    rounds = max(-(-len(batch) // plan.threads) for batch in plan.batches)
    return rounds * (timeout_s + NODE_OVERHEAD_S)


@given(
    count=st.integers(1, 700),
    threads=st.integers(1, 400),
    timeout_s=st.integers(1, MAX_TIMEOUT_S),
    first_success=st.booleans(),
)
def test_any_plan_keeps_its_promises(count: int, threads: int, timeout_s: int, first_success: bool) -> None:
    nodes = some_nodes(count)

    plan = plan_batches(nodes, {"threads": threads}, timeout_s, first_success=first_success)

    visited = [node for batch in plan.batches for node in batch]
    assert sorted(visited, key=lambda node: node.name) == nodes  # each once
    assert plan.threads * plan.map_concurrency <= (1 if first_success else threads)
    assert plan.threads <= MAX_SESSIONS_PER_CALL
    assert longest_call_s(plan, timeout_s) <= CALL_BUDGET_S


@given(count=st.integers(1, 300), threads=st.integers(1, 60), timeout_s=st.integers(1, MAX_TIMEOUT_S))
def test_nodes_start_in_their_order(count: int, threads: int, timeout_s: int) -> None:
    plan = plan_batches(some_nodes(count), {"threads": threads}, timeout_s)

    for batch in plan.batches:
        assert list(batch) == sorted(batch, key=lambda node: node.name)
    side_by_side = plan.batches[: plan.map_concurrency]
    first = sorted(node.name for batch in side_by_side for node in batch[: plan.threads])
    assert first == [node.name for node in some_nodes(len(first))]


def test_one_thread_means_one_after_the_other() -> None:
    plan = plan_batches(some_nodes(9), None, 60)

    assert plan.map_concurrency == 1
    assert plan.threads == 1
    assert [node for batch in plan.batches for node in batch] == some_nodes(9)


def test_a_few_nodes_with_enough_threads_need_one_call() -> None:
    plan = plan_batches(some_nodes(40), {"threads": 40}, 60)

    assert len(plan.batches) == 1
    assert plan.threads == 40


@pytest.mark.parametrize(("count", "threads"), [(500, 50), (200, 20), (1000, 100), (100, 7)])
@pytest.mark.parametrize("note", ["", "x" * 1_500])
def test_calls_after_one_another_take_no_more_rounds_than_one_call_without_end(
    count: int, threads: int, note: str
) -> None:
    plan = plan_batches(some_nodes(count, note=note), {"threads": threads}, 60)

    free_at = [0] * plan.map_concurrency
    for batch in plan.batches:
        heapq.heapreplace(free_at, free_at[0] + -(-len(batch) // plan.threads))
    assert max(free_at) == -(-count // threads)


def test_all_threads_are_used_however_many_calls_they_need() -> None:
    plan = plan_batches(some_nodes(500), {"threads": 50}, 60)

    assert plan.threads * plan.map_concurrency == 50


@pytest.mark.parametrize(("count", "mode"), [(0, "none"), (1, "inline"), (40, "inline"), (41, "distributed")])
def test_more_than_forty_nodes_take_the_distributed_map(count: int, mode: str) -> None:
    assert plan_batches(some_nodes(count), {"threads": 10}, 60).mode == mode


def test_a_batch_of_long_tags_stays_within_what_a_state_takes() -> None:
    nodes = some_nodes(60, **{"ECS:Tag-note": "x" * 20_000})

    plan = plan_batches(nodes, {"threads": 60}, 60)

    sizes = [len(json.dumps([node.to_json() for node in batch])) for batch in plan.batches]
    assert max(sizes) <= MAX_BATCH_BYTES * 1.01


@pytest.mark.parametrize("timeout_s", [0, -1, MAX_TIMEOUT_S + 1])
def test_a_timeout_that_no_call_can_hold_is_refused(timeout_s: int) -> None:
    with pytest.raises(StepInvalid, match=r"does not fit into one Lambda call \(timeout\)"):
        plan_batches(some_nodes(1), None, timeout_s)


def test_more_calls_than_their_results_could_come_back_from_are_refused_before_the_first() -> None:
    assert len(plan_batches(some_nodes(800), {"threads": 1}, 700).batches) == 800

    with pytest.raises(TooManyTargets, match="801 containers takes 801 calls, and 800 is the most"):
        plan_batches(some_nodes(801), {"threads": 1}, 700)
