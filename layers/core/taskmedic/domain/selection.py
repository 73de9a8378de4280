"""Which of the nodes found are acted on, and in which order (Rundeck: rank and orchestrator)."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.nodes import NAME, Node, attribute_named

_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")


@dataclass(frozen=True)
class Rank:
    """The order: by ``attribute``, ascending unless ``descending``."""

    attribute: str = NAME
    descending: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rank:
        """From ``rank_attribute`` and ``rank_order`` of a `dispatch:` section.

        Raises:
            FilterInvalid: there is no such attribute or order.
        """
        order = str(value.get("rank_order") or "ascending").lower()
        if order not in {"ascending", "descending"}:
            raise FilterInvalid(
                f"rank_order is {order}", where="dispatch.rank_order", remedy="It is ascending or descending."
            )
        return cls(attribute_named(str(value.get("rank_attribute") or NAME)), order == "descending")

    def to_json(self) -> dict[str, str]:
        order = "descending" if self.descending else "ascending"
        return {"rank_attribute": self.attribute, "rank_order": order}


@dataclass(frozen=True)
class Limits:
    """How many of the nodes: one of ``random`` (so many by chance), ``at_most`` (so many, the first in rank),
    ``percent`` (such a part of all, the first in rank), or, with none of them, all.
    """

    random: int | None = None
    at_most: int | None = None
    percent: float | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Limits:
        """From ``{random: n}``, ``{at_most: n}``, ``{at_most: "n%"}`` or ``{first: true}``.

        Raises:
            FilterInvalid: more than one of them is given, or the number is none.
        """
        # Only what is left empty is not given: an `at_most` of 0 must not mean all.
        given = {
            key: item for key, item in value.items() if item is not None and item is not False and item != ""
        }
        unknown = given.keys() - {"random", "at_most", "first"}
        if unknown or len(given) > 1:
            raise FilterInvalid(
                f"nodes.limits has {', '.join(sorted(unknown or given))}",
                remedy="Give one of random: n, at_most: n, at_most: n%, first: true.",
            )
        if given.get("first"):
            return cls(at_most=1)
        if "random" in given:
            return cls(random=_count(given["random"], "random"))
        text = str(given.get("at_most", ""))
        if text.endswith("%"):
            return cls(percent=_percent(text))
        return cls(at_most=_count(given["at_most"], "at_most") if text else None)


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d{0,5}", str(value)):
        raise FilterInvalid(f"{name} is {value}", where=f"nodes.limits.{name}", remedy="It is 1 or more.")
    return int(value)


def _percent(text: str) -> float:
    number = text.removesuffix("%").strip()
    if not _NUMBER.fullmatch(number) or not 0 < float(number) <= 100:
        raise FilterInvalid(
            f"at_most is {text}", where="nodes.limits.at_most", remedy="It is above 0% and at most 100%."
        )
    return float(number)


def ranked(nodes: Sequence[Node], rank: Rank) -> list[Node]:
    """``nodes`` in order: numbers by value, before words by letter; without the attribute last, by name.

    Rundeck's rule (manual, "Rank order"), in which descending turns the values round and leaves the nodes
    without one at the end. Equal values go by name.
    """
    by_name = sorted(nodes, key=lambda node: node.name, reverse=rank.descending and rank.attribute == NAME)
    having = [node for node in by_name if node.get(rank.attribute)]
    lacking = [node for node in by_name if not node.get(rank.attribute)]
    if rank.attribute != NAME:
        having.sort(key=lambda node: _rank_key(node.get(rank.attribute)), reverse=rank.descending)
    return having + lacking


def _rank_key(value: str) -> tuple[int, float, str]:
    if _NUMBER.fullmatch(value):
        return (0, float(value), "")
    return (1, 0.0, value)


def selected(nodes: Sequence[Node], rank: Rank, limits: Limits, seed: str) -> list[Node]:
    """The nodes to act on, in rank order.

    Args:
        nodes: All that were found.
        rank: Their order.
        limits: How many of them.
        seed: Makes the choice by chance repeatable: the same seed and nodes give the same subset, so that a
            retried function call acts on the same containers.
    """
    order = ranked(nodes, rank)
    if limits.random is not None:
        count = min(limits.random, len(order))
        chosen = random.Random(seed).sample(range(len(order)), count)  # noqa: S311 - no secret depends on it
        return [order[index] for index in sorted(chosen)]
    if limits.at_most is not None:
        return order[: limits.at_most]
    if limits.percent is not None:
        # Rounded down, as a limit must be; but one node is left, for a limit that chooses none helps nobody.
        return order[: max(1, int(len(order) * limits.percent / 100))]
    return order
