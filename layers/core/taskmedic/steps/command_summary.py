"""What came of a ``command`` step over all its batches, those included whose Lambda call broke off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from taskmedic.aws.evidence import EvidenceStore
from taskmedic.domain.dispatch import DispatchSummary, NodeResult, bounded, broken_off, summarise
from taskmedic.steps.on_node import BEGUN_BEFORE

DATA_BYTES = 18_000  # of a step outcome's data, which may have 20,000
READERS = 24  # results read at a time; a client's pool holds 32 connections


@dataclass(frozen=True)
class CommandKeys:
    """Where the evidence of one step of one execution lies in the bucket."""

    execution: str
    step: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> CommandKeys:
        """Those of the step that a call of the function is about."""
        return cls(execution=event["run"]["execution_name"], step=event["step"]["name"])

    @property
    def prefix(self) -> str:
        return f"commands/{self.execution}/{self.step}/"

    def output(self, node: str) -> str:
        """A node's whole output."""
        return f"{self.prefix}{node}.txt"

    def output_title(self, node: str) -> str:
        return f"Output of {self.step} on {node}"

    def result(self, node: str) -> str:
        """A node's result, from when its command ended."""
        return f"{self.prefix}{node}.json"

    def batch(self, batch: str) -> str:
        """All results of a batch."""
        return f"{self.prefix}results/{batch}.json"

    @property
    def whole(self) -> str:
        """All results of the step."""
        return f"{self.prefix}results.json"


def summary(event: Mapping[str, Any], store: EvidenceStore, keys: CommandKeys) -> dict[str, Any]:
    """The step's outcome over all batches.

    Whole results are read from S3, since a batch's answer is bounded. Of a batch whose call broke off the
    state machine says which it was, and why; those of its nodes that had ended have their results in S3. So
    have those that a repeated call found begun. What may be repeated can have left the result of an earlier
    run there, so for such a command nothing is taken from it.

    Raises:
        AwsError: S3 refused.
    """
    step = event["step"]
    records = [store.get_json(batch["key"]) for batch in event["summarize"] if "key" in batch]
    results = [NodeResult.from_json(row) for record in records for row in record["results"]]
    lost = [row for row in results if row.reason == BEGUN_BEFORE]
    results = [row for row in results if row.reason != BEGUN_BEFORE]
    if broken := [batch for batch in event["summarize"] if "error" in batch]:
        batches = event["batches"] or store.get_json(event["batches_ref"]["key"])
        lost += [
            row
            for batch in broken
            for row in broken_off(
                [node["name"] for node in batches[batch["at"]]], batch["error"], batch["why"]
            )
        ]
    if lost and not step["spec"].get("may_repeat"):
        lost = _with_what_is_left(lost, store, keys)
    results += lost
    summed = summarise(results, first_success=bool(step["spec"].get("first_success")))
    kept = store.put_json(
        keys.whole, [result.to_json() for result in results], title=f"Results of {step['name']}"
    )
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "name": step["name"],
        "type": step["type"],
        "outcome": "succeeded" if summed.succeeded else "failed",
        "summary": summed.line,
        "evidence": [kept.to_json()],
        "data": _data(results, summed),
        "started_at": min(
            (record["started_at"] for record in records if "started_at" in record), default=now
        ),
        "ended_at": max((record["ended_at"] for record in records if "ended_at" in record), default=now),
    }


def _with_what_is_left(
    lost: Sequence[NodeResult], store: EvidenceStore, keys: CommandKeys
) -> list[NodeResult]:
    """``lost``, but the true result of each node that had one, and the place of each output that is whole."""
    there = store.keys_below(keys.prefix)

    def best(row: NodeResult) -> NodeResult:
        if (key := keys.result(row.node)) in there:
            return NodeResult.from_json(store.get_json(key))
        if (key := keys.output(row.node)) in there:
            return replace(row, output=store.ref(key, keys.output_title(row.node)).to_json())
        return row

    with ThreadPoolExecutor(READERS, thread_name_prefix="results") as readers:
        return list(readers.map(best, lost))


def _data(results: Sequence[NodeResult], summed: DispatchSummary) -> dict[str, Any]:
    rows = bounded(results, DATA_BYTES)
    return {
        "counts": summed.counts,
        "slowest": [{"node": r.node, "duration_s": r.duration_s} for r in summed.slowest],
        "failed": len(summed.failed),
        "results": rows,
        "results_left_out": len(results) - len(rows),
    }
