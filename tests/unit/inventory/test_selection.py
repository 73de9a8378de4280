"""Rank and limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.nodes import Node
from taskmedic.domain.selection import Limits, Rank, ranked, selected

RANK = "ECS:Tag-rank"


def node(name: str, rank: str = "") -> Node:
    return Node(name, {RANK: rank} if rank else {})


def order(nodes: list[Node], rank: Rank) -> list[str]:
    return [found.name for found in ranked(nodes, rank)]


def test_without_a_rank_attribute_nodes_go_by_name() -> None:
    nodes = [node("c"), node("a"), node("b")]
    assert order(nodes, Rank()) == ["a", "b", "c"]
    assert order(nodes, Rank(descending=True)) == ["c", "b", "a"]


def test_numbers_are_ordered_by_value() -> None:
    nodes = [node("a", "10"), node("b", "9"), node("c", "-1"), node("d", "9.5")]
    assert order(nodes, Rank(RANK)) == ["c", "b", "d", "a"]
    assert order(nodes, Rank(RANK, descending=True)) == ["a", "d", "b", "c"]


def test_words_are_ordered_by_letter_after_numbers() -> None:
    assert order([node("a", "blue"), node("b", "7"), node("c", "amber")], Rank(RANK)) == ["b", "c", "a"]


@pytest.mark.parametrize("descending", [False, True])
def test_nodes_without_the_attribute_come_last_by_name(descending: bool) -> None:
    nodes = [node("z"), node("a", "1"), node("y")]
    assert order(nodes, Rank(RANK, descending=descending)) == ["a", "y", "z"]


def test_equal_values_go_by_name() -> None:
    nodes = [node("b", "1"), node("a", "1.0"), node("c", "1")]
    assert order(nodes, Rank(RANK)) == ["a", "b", "c"]
    assert order(nodes, Rank(RANK, descending=True)) == ["a", "b", "c"]


FIVE = [node(name, str(number)) for number, name in enumerate("edcba")]


def chosen(limits: Limits, seed: str = "run-1") -> str:
    return "".join(found.name for found in selected(FIVE, Rank(RANK), limits, seed))


def test_no_limit_takes_all_in_order() -> None:
    assert chosen(Limits()) == "edcba"


def test_at_most_n_takes_the_first() -> None:
    assert chosen(Limits.from_json({"at_most": 2})) == "ed"
    assert chosen(Limits.from_json({"at_most": "9"})) == "edcba"


@pytest.mark.parametrize(("percent", "count"), [("100%", 5), ("99%", 4), ("40%", 2), ("39.9%", 1), ("1%", 1)])
def test_at_most_a_part_is_rounded_down_to_one_at_least(percent: str, count: int) -> None:
    assert len(chosen(Limits.from_json({"at_most": percent}))) == count


def test_a_part_of_nothing_is_nothing() -> None:
    assert selected([], Rank(), Limits(percent=50), "run-1") == []


def test_first_match_only() -> None:
    assert chosen(Limits.from_json({"first": True})) == "e"


def test_random_subset_keeps_the_order_and_differs_between_executions() -> None:
    subsets = {chosen(Limits.from_json({"random": 2}), f"run-{number}") for number in range(100)}
    assert all(len(subset) == 2 and subset == "".join(sorted(subset, reverse=True)) for subset in subsets)
    assert len(subsets) == 10  # every pair of five


@given(st.text(), st.integers(1, 9))
def test_random_subset_is_the_same_for_the_same_execution(seed: str, count: int) -> None:
    assert chosen(Limits(random=count), seed) == chosen(Limits(random=count), seed)


@pytest.mark.parametrize(
    "value",
    [
        {"at_most": 0},
        {"at_most": "-1"},
        {"at_most": "0%"},
        {"at_most": "101%"},
        {"at_most": "some"},
        {"random": True},
        {"random": "2.5"},
        {"random": 1, "first": True},
        {"last": 1},
    ],
)
def test_limit_that_cannot_be_understood(value: dict[str, object]) -> None:
    with pytest.raises(FilterInvalid, match=r"nodes\.limits"):
        Limits.from_json(value)
