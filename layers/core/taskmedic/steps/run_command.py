"""The ``command`` step: runs a command in a batch of nodes, and sums up what came of all batches."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from taskmedic.aws.clients import Clients
from taskmedic.aws.evidence import EvidenceStore
from taskmedic.aws.exec import ExecRunner
from taskmedic.aws.host_command import HostRunner
from taskmedic.aws.ledger import Ledger
from taskmedic.aws.output import S3Output
from taskmedic.domain.command import CommandSpec
from taskmedic.domain.dispatch import (
    CALL_BUDGET_S,
    DispatchSummary,
    NodeResult,
    bounded,
    broken_off,
    count_outcomes,
    summarise,
)
from taskmedic.domain.errors import AwsError
from taskmedic.domain.nodes import Node
from taskmedic.domain.runbooks.context import complete
from taskmedic.settings import RunCommandSettings
from taskmedic.steps.dispatcher import DispatchRules, dispatch
from taskmedic.steps.on_node import OnNode, Runner

T = TypeVar("T")

# Threads for boto3's blocking calls, and others for output on its way to S3, which some of the former await:
# were they of one pool, all could wait and none upload. A client's pool holds 32 connections.
WORKERS, UPLOADERS = 24, 8
CLOSING_S = 20  # kept free at the end of a Lambda call, to write down what came
INLINE_BYTES = 20_000  # of results, in what a call answers
DATA_BYTES = 18_000  # of a step outcome's data, which may have 20,000


def run(
    event: Mapping[str, Any],
    settings: RunCommandSettings,
    clients: Clients,
    remaining_ms: int = CALL_BUDGET_S * 1000,
    *,
    exec_runner: Runner | None = None,
    host_runner: Runner | None = None,
) -> dict[str, Any]:
    """One call of the function: a batch (``event["batch"]``), or the summary of all (``event["summarize"]``).

    Args:
        remaining_ms: What Lambda leaves of the call, in milliseconds.
        exec_runner: In place of ECS Exec.
        host_runner: In place of SSM Run Command.

    Raises:
        AwsError: the results cannot be written down.
    """
    clients = clients.for_execution(event["run"]["execution_name"])
    store = EvidenceStore(clients.get("s3"), settings.evidence_bucket)
    if "summarize" in event:
        return summary(event, store)
    with (
        ThreadPoolExecutor(WORKERS, thread_name_prefix="aws") as executor,
        ThreadPoolExecutor(UPLOADERS, thread_name_prefix="upload") as uploads,
    ):
        call_until = time.monotonic() + remaining_ms / 1000 - CLOSING_S
        batch = _Batch(event, settings, clients, executor, uploads, call_until)
        role = batch.spec.get("assume_role_arn", "")
        results = asyncio.run(
            batch.visited(
                exec_runner or ExecRunner(clients, executor, role),
                host_runner or HostRunner(clients, executor, role),
            )
        )
    record = {
        "started_at": batch.started_at,
        "ended_at": _now(),
        "results": [result.to_json() for result in results],
    }
    key = f"{batch.prefix}results/{_batch_id(event['batch'])}.json"
    kept = store.put_json(key, record, title=f"Results of {event['step']['name']}, one batch")
    return {
        "counts": count_outcomes(results),
        "results": bounded(results, INLINE_BYTES),
        "results_ref": kept.to_json(),
    }


def command_spec(spec: Mapping[str, Any], node: Node, outcomes: Sequence[Mapping[str, Any]]) -> CommandSpec:
    """The command of a step for one node.

    Raises:
        StepInvalid: its text names something that the node or the earlier steps do not have.
        CommandInvalid: it cannot be delivered.
    """
    asked = complete(
        {key: spec[key] for key in ("script", "argv") if spec.get(key)},
        node=node.to_json(),
        outcomes=outcomes,
        quote=True,
    )
    return CommandSpec(
        script=asked.get("script", ""),
        argv=tuple(asked.get("argv", ())),
        shell=bool(spec.get("shell", True)),
        timeout_s=float(spec.get("timeout_s") or 60),
    )


class _Batch:
    """One batch of one step of one execution."""

    def __init__(
        self,
        event: Mapping[str, Any],
        settings: RunCommandSettings,
        clients: Clients,
        executor: Executor,
        uploads: Executor,
        call_until: float,
    ) -> None:
        self.started_at = _now()
        self.spec: Mapping[str, Any] = event["step"]["spec"]
        execution, step = event["run"]["execution_name"], event["step"]["name"]
        self.prefix = f"commands/{execution}/{step}/"
        self._event = event
        self._settings = settings
        self._clients = clients
        self._executor = executor
        self._uploads = uploads
        self._call_until = call_until
        self._ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
        self._run_key = f"{execution}/{step}"

    async def visited(self, exec_runner: Runner, host_runner: Runner) -> list[NodeResult]:
        """Runs the command on every node of the batch."""
        options: Mapping[str, Any] = self._event.get("dispatch") or {}
        visit = OnNode(
            spec_for=lambda node: command_spec(self.spec, node, self._event.get("outcomes") or ()),
            exec_runner=exec_runner,
            host_runner=host_runner,
            locks=self._ledger,
            owner=f"{self._run_key}/{uuid.uuid4().hex}",
            output_for=self._output,
            executor=self._executor,
            via=self.spec.get("via") or "exec",
            run_key="" if self.spec.get("may_repeat") else self._run_key,
            call_until=self._call_until,
            all_until=self._all_until(options),
        )
        rules = DispatchRules(
            threads=int(self._event.get("threads") or 1),
            keep_going=bool(options.get("keep_going")),
            first_success=bool(self.spec.get("first_success")),
        )
        nodes = [Node.from_json(node) for node in self._event["batch"]]
        halt = _LedgerHalt(self._ledger, self._run_key, self._executor)
        return await dispatch(nodes, visit, rules, halt=halt)

    def _output(self, node: Node) -> _NodeOutput:
        key = f"{self.prefix}{node.name}.txt"
        output = S3Output(self._clients.get("s3"), self._settings.evidence_bucket, key, self._uploads)
        return _NodeOutput(output, f"Output of {self._event['step']['name']} on {node.name}")

    def _all_until(self, options: Mapping[str, Any]) -> float:
        """The end of the time for all nodes, which batches share: it counts from the step's start."""
        if not options.get("timeout"):
            return math.inf
        began = datetime.fromisoformat(self._event.get("step_started_at") or self.started_at)
        passed = (datetime.now(UTC) - began).total_seconds()
        return time.monotonic() + float(options["timeout"]) - passed


@dataclass(frozen=True)
class _NodeOutput:
    """A node's output on its way to S3."""

    output: S3Output
    title: str

    def write(self, data: bytes) -> None:
        self.output.write(data)

    def finish(self) -> dict[str, str] | None:
        place = self.output.finish(self.title)
        return place.to_json() if place else None


@dataclass
class _LedgerHalt:
    """A halt that all batches of the step see.

    A ledger that does not answer halts this batch, but ends no command that is running.
    """

    ledger: Ledger
    id: str
    executor: Executor
    known: str = field(default="")

    async def reason(self) -> str:
        if not self.known:
            try:
                if await self._off_loop(self.ledger.halted):
                    self.known = "another batch of this step ended the dispatch"
            except AwsError as error:
                self.known = f"it cannot be seen whether another batch ended the dispatch: {error.text()}"
        return self.known

    async def call(self, reason: str) -> None:
        self.known = self.known or reason
        try:
            await self._off_loop(self.ledger.halt)
        except AwsError as error:
            self.known += f"; other batches could not be told: {error.text()}"

    async def _off_loop(self, call: Callable[[str], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, call, self.id)


def summary(event: Mapping[str, Any], store: EvidenceStore) -> dict[str, Any]:
    """The step's outcome over all batches.

    Whole results are read from S3, since a batch's answer is bounded. A batch whose call broke off has none
    there: the state machine says which batch it was, and why.
    """
    step = event["step"]
    records = [store.get_json(batch["key"]) for batch in event["summarize"] if "key" in batch]
    results = [NodeResult.from_json(row) for record in records for row in record["results"]]
    if broken := [batch for batch in event["summarize"] if "error" in batch]:
        batches = event["batches"] or store.get_json(event["batches_ref"]["key"])
        for batch in broken:
            names = [node["name"] for node in batches[batch["at"]]]
            results += broken_off(names, batch["error"], batch["why"])
    summed = summarise(results, first_success=bool(step["spec"].get("first_success")))
    kept = store.put_json(
        f"commands/{event['run']['execution_name']}/{step['name']}/results.json",
        [result.to_json() for result in results],
        title=f"Results of {step['name']}",
    )
    now = _now()
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


def _data(results: Sequence[NodeResult], summed: DispatchSummary) -> dict[str, Any]:
    rows = bounded(results, DATA_BYTES)
    return {
        "counts": summed.counts,
        "slowest": [{"node": r.node, "duration_s": r.duration_s} for r in summed.slowest],
        "failed": len(summed.failed),
        "results": rows,
        "results_left_out": len(results) - len(rows),
    }


def _batch_id(batch: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same nodes, so that a repeated call replaces its own results."""
    return hashlib.sha256("\n".join(node["name"] for node in batch).encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
