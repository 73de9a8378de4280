"""Why tasks stopped: finds them, diagnoses them, and keeps the proof.

The step succeeds when the tasks could be read. Evidence that could not be kept, or a ledger that could not be
written, is said in the summary and costs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.evidence import EvidenceRef, EvidenceStore
from taskmedic.aws.ledger import Ledger
from taskmedic.aws.stopped import Case, Collection, Query, collect
from taskmedic.domain.arns import Arn, cluster_of_task, last_part
from taskmedic.domain.budget import OUTCOME_BYTES, SUMMARY_CHARS, json_bytes, within
from taskmedic.domain.diagnosis.page import page
from taskmedic.domain.errors import StepInvalid, TaskmedicError
from taskmedic.domain.runbooks.context import complete
from taskmedic.domain.task_record import TaskRecord
from taskmedic.settings import CollectStoppedTasksSettings

EVIDENCE_BYTES = 6_000  # about ten groups of tasks
EVIDENCE_LINES = 10
LINE_CHARS = 300
TASKS_SHOWN = 25
CAUSES_SHOWN = 5
TROUBLES_SHOWN = 3
STOPS_RECORDED = 100
THREADS = 8


def run(event: Mapping[str, Any], settings: CollectStoppedTasksSettings, clients: Clients) -> dict[str, Any]:
    """The outcome of a `stopped_tasks` step.

    Raises:
        StepInvalid: neither the step nor the trigger says where to look.
        ClusterNotFound, ServiceNotFound, AccessDenied, Throttled, …: the tasks could not be read.
    """
    began = datetime.now(UTC)
    step, trigger = event["step"], event["trigger"]
    spec = complete(step["spec"], outcomes=event.get("outcomes") or ())
    execution_arn, execution_name = event["run"]["execution_arn"], event["run"]["execution_name"]
    clients = clients.for_execution(execution_name)
    ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
    collection = collect(
        _query(spec, trigger, step["name"]),
        clients,
        now=began,
        log_lines=int(spec.get("log_lines") or 0),
        ledger=ledger,
    )
    store = EvidenceStore(clients.get("s3"), settings.evidence_bucket)
    evidence, troubles = _keep(collection, store, ledger, execution_arn)
    index_key = f"stopped-tasks/executions/{execution_name}/{step['name']}.json"
    shown, more = _shown_evidence(evidence, store, index_key)
    outcome: dict[str, Any] = {
        "name": step["name"],
        "type": "stopped_tasks",
        "outcome": "succeeded",
        "summary": _summary(collection, [*troubles, *more])[:SUMMARY_CHARS],
        "evidence": shown,
        "started_at": began.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
    }
    return {**outcome, "data": _data(collection, OUTCOME_BYTES - json_bytes(outcome))}


def _query(spec: Mapping[str, Any], trigger: Mapping[str, Any], step: str) -> Query:
    cluster, tasks = str(spec.get("cluster") or ""), tuple(spec.get("tasks") or ())
    region, role, external_id = (
        str(spec.get(name) or "") for name in ("region", "assume_role_arn", "external_id")
    )
    if not cluster and trigger.get("task_detail"):
        access = Access(region or str(trigger.get("region") or ""), role, external_id)
        return Query(event=trigger["task_detail"], access=access)
    cluster = cluster or cluster_of_task(tasks[0] if tasks else "") or str(trigger.get("cluster") or "")
    if not cluster:
        raise StepInvalid(
            f"step {step} does not know which cluster to look in",
            where="stopped_tasks.cluster",
            why="neither the step nor the trigger names one",
            remedy="Set `cluster` in the step, for instance to ${option.cluster}.",
        )
    service = str(spec.get("service") or "")
    return Query(
        cluster=cluster,
        service=service,
        family=str(spec.get("family") or ""),
        tasks=tasks,
        since=timedelta(seconds=int(spec.get("since_s") or 3600)),
        access=Access(region or _region(cluster, service, trigger), role, external_id),
    )


def _region(cluster: str, service: str, trigger: Mapping[str, Any]) -> str:
    """The region of the cluster: of its ARN, of the trigger's target, or of the trigger."""
    arn = Arn.parse(cluster)
    if arn:
        return arn.region
    for target in trigger.get("targets") or ():
        if last_part(str(target.get("cluster") or "")) == cluster and service in {"", target.get("service")}:
            return str(target.get("region") or "")
    return str(trigger.get("region") or "")


def _keep(
    collection: Collection, store: EvidenceStore, ledger: Ledger, execution_arn: str
) -> tuple[list[EvidenceRef], list[str]]:
    """Evidence to S3, then stops with their evidence to the ledger; what could not be kept is named."""
    pages: dict[int, EvidenceRef] = {}
    refs: list[EvidenceRef] = []
    troubles: dict[str, None] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="keep") as pool:
        kept = [pool.submit(_keep_case, case, store) for case in collection.cases]
        for number, future in enumerate(kept):
            try:
                refs += (found := future.result())
                pages[number] = found[0]
            except TaskmedicError as error:
                troubles[f"evidence is not kept: {error}"] = None
        stops = _stops(collection, pages, execution_arn)
        for done in [pool.submit(_record, ledger, stop) for stop in stops]:
            try:
                done.result()
            except TaskmedicError as error:
                troubles[f"the ledger is not written: {error}"] = None
    return refs, list(troubles)


def _shown_evidence(
    refs: Sequence[EvidenceRef], store: EvidenceStore, index_key: str
) -> tuple[list[dict[str, str]], list[str]]:
    """The evidence that travels: all of it, or the first and an index of all; and what went wrong."""
    whole = [ref.to_json() for ref in refs]
    shown = within(whole, EVIDENCE_BYTES)
    if len(shown) == len(whole):
        return whole, []
    try:
        index = store.put_json(index_key, whole, title=f"All evidence: {len(whole)} objects")
    except TaskmedicError as error:
        return shown, [f"the index of the evidence is not kept: {error}"]
    return [*shown, index.to_json()], []


def _keep_case(case: Case, store: EvidenceStore) -> list[EvidenceRef]:
    """The page first: it is what a person opens."""
    newest, diagnosis = case.group.newest, case.group.diagnosis
    stop = newest.stopped_at
    day = f"{stop:%Y-%m-%d}" if stop else "undated"
    of = newest.service or newest.group.removeprefix("family:") or "no-group"
    key = f"stopped-tasks/{newest.cluster or 'no-cluster'}/{of}/{day}/{newest.task_id or 'no-task'}"
    document = {
        "diagnosis": diagnosis.to_json(),
        "timeline": [moment.to_json(stop) for moment in case.moments],
        **case.documents,
    }
    return [
        store.put_text(f"{key}.txt", page(case.group, case.moments), title=diagnosis.title),
        store.put_json(f"{key}.json", document, title=f"{diagnosis.title}: all that was read"),
    ]


@dataclass(frozen=True)
class _Stop:
    """A stop as the ledger keeps it."""

    record: TaskRecord
    at: datetime
    category: str
    execution_arn: str
    evidence: str


def _stops(collection: Collection, pages: Mapping[int, EvidenceRef], execution_arn: str) -> list[_Stop]:
    """The newest stops of services."""
    stops = [
        _Stop(
            record, record.stopped_at, case.group.diagnosis.category, execution_arn, page.uri if page else ""
        )
        for number, case in enumerate(collection.cases)
        for page in [pages.get(number)]
        for record in case.group.records
        if record.service and record.task_arn and record.stopped_at
    ]
    stops.sort(key=lambda stop: stop.at, reverse=True)
    return stops[:STOPS_RECORDED]


def _record(ledger: Ledger, stop: _Stop) -> None:
    ledger.record_stop(
        stop.record.cluster_arn,
        stop.record.service,
        stop.record.task_arn,
        stop.at,
        category=stop.category,
        revision=stop.record.revision,
        execution_arn=stop.execution_arn,
        evidence=stop.evidence,
    )


def _summary(collection: Collection, troubles: Sequence[str]) -> str:
    tasks = "1 stopped task" if collection.count == 1 else f"{collection.count} stopped tasks"
    causes = [case.group.diagnosis.title for case in collection.cases]
    if len(causes) > 1:
        causes = [f"{case.group.diagnosis.title} ({len(case.group.records)})" for case in collection.cases]
    shown = "; ".join(causes[:CAUSES_SHOWN])
    if len(causes) > CAUSES_SHOWN:
        shown += f"; and {len(causes) - CAUSES_SHOWN} more causes"
    line = f"{tasks}: {shown}" if causes else "No stopped task was found"
    return ". ".join((line, *collection.notes[:2], *troubles[:TROUBLES_SHOWN]))


def _data(collection: Collection, room: int) -> dict[str, Any]:
    """What travels in the execution, at most ``room`` bytes: whole diagnoses, fewer of them if need be."""
    data: dict[str, Any] = {"diagnoses": [], "count": collection.count}
    room -= json_bytes(data) + len(', "data": ')
    return data | {"diagnoses": within(map(_shown, collection.cases), room)}


def _shown(case: Case) -> dict[str, Any]:
    one = case.group.diagnosis
    return {
        "category": one.category,
        "benign": one.benign,
        "confidence": one.confidence.value,
        "rests_on": one.rests_on,
        "title": one.title,
        "cause": one.cause,
        "advice": list(one.advice),
        "container": one.container,
        "tasks": [record.task_arn for record in case.group.records[:TASKS_SHOWN]],
        "task_count": len(case.group.records),
        "service": one.service,
        "revision": one.revision,
        "evidence": [str(line)[:LINE_CHARS] for line in one.evidence[:EVIDENCE_LINES]],
    }
