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
from taskmedic.domain.dispatch import CALL_BUDGET_S, NodeResult, bounded, count_outcomes
from taskmedic.domain.errors import AwsError
from taskmedic.domain.nodes import Node
from taskmedic.domain.runbooks.context import complete
from taskmedic.settings import RunCommandSettings
from taskmedic.steps.command_summary import CommandKeys, summary
from taskmedic.steps.dispatcher import DispatchRules, dispatch
from taskmedic.steps.on_node import OnNode, Runner

T = TypeVar("T")

# Threads for boto3's blocking calls, and others for output on its way to S3, which some of the former await:
# were they of one pool, all could wait and none upload. A client's pool holds 32 connections.
WORKERS, UPLOADERS = 24, 8
CLOSING_S = 20  # kept free at the end of a Lambda call, to write down what came
INLINE_BYTES = 20_000  # of results, in what a call answers


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
        return summary(event, store, CommandKeys.of(event))
    with (
        ThreadPoolExecutor(WORKERS, thread_name_prefix="aws") as executor,
        ThreadPoolExecutor(UPLOADERS, thread_name_prefix="upload") as uploads,
    ):
        call_until = time.monotonic() + remaining_ms / 1000 - CLOSING_S
        batch = _Batch(event, settings, clients, executor, uploads, store, call_until)
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
    key = batch.keys.batch(_batch_id(event["batch"]))
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
        store: EvidenceStore,
        call_until: float,
    ) -> None:
        self.started_at = _now()
        self.spec: Mapping[str, Any] = event["step"]["spec"]
        self.keys = CommandKeys.of(event)
        self._event = event
        self._settings = settings
        self._clients = clients
        self._executor = executor
        self._uploads = uploads
        self._store = store
        self._begun: set[str] = set()
        self._call_until = call_until
        self._ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
        self._run_key = f"{event['run']['execution_name']}/{event['step']['name']}"

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
        return await dispatch(nodes, visit, rules, halt=halt, on_result=self._record)

    def _output(self, node: Node) -> _NodeOutput:
        self._begun.add(node.name)
        key = self.keys.output(node.name)
        output = S3Output(self._clients.get("s3"), self._settings.evidence_bucket, key, self._uploads)
        return _NodeOutput(output, self.keys.output_title(node.name))

    def _record(self, result: NodeResult) -> None:
        """Writes one node's result down at once: all that is left of it should this call break off.

        Where nothing was begun there is nothing to keep, and what an earlier call kept must stay. Nobody
        waits for it and it may fail, since a call that ends in order writes down all results together.
        """
        if result.node in self._begun:
            key, title = self.keys.result(result.node), f"Result of {result.node}"
            self._uploads.submit(self._store.put_json, key, result.to_json(), title=title)

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


def _batch_id(batch: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same nodes, so that a repeated call replaces its own results."""
    return hashlib.sha256("\n".join(node["name"] for node in batch).encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
