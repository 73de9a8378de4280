"""How often a runbook may act by itself in one service: a pure rule over what the ledger remembers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """``TOLD_BEFORE`` is a refusal like the one that was told of a short while ago."""

    TAKEN = "taken"
    REFUSED = "refused"
    TOLD_BEFORE = "told_before"


@dataclass(frozen=True)
class AttemptLimit:
    """At most ``attempts`` within any ``within_s`` seconds."""

    attempts: int
    within_s: int


def attempt(
    record: Mapping[str, Any], execution: str, now: int, limit: AttemptLimit
) -> tuple[Verdict, dict[str, Any]]:
    """Whether an execution may act, and what is to be remembered then.

    The same execution may ask again and gets the same verdict. Of the refusals within one window one is
    told.

    Args:
        record: What was remembered; empty at first. ``taken`` is a list of ``{execution, at}``, ``refused``
            the refusal that was told.
        execution: Who asks.
        now: Epoch seconds.
        limit: That of the runbook.
    """
    since, mine = now - limit.within_s, {"execution": execution, "at": now}
    taken = [one for one in record.get("taken", ()) if one["at"] > since]
    refused = record.get("refused")
    if any(one["execution"] == execution for one in taken):
        return Verdict.TAKEN, dict(record)
    if len(taken) < limit.attempts:
        return Verdict.TAKEN, {"taken": [*taken, mine], "refused": refused}
    if refused and refused["at"] > since:
        told_by_me = refused["execution"] == execution
        return Verdict.REFUSED if told_by_me else Verdict.TOLD_BEFORE, dict(record)
    return Verdict.REFUSED, {"taken": taken, "refused": mine}
