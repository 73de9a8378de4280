"""From a query to diagnosed groups of stopped tasks, with everything that could be read beside them.

Finding the tasks must succeed; all else is optional, is read side by side, and turns into a line of evidence
when it cannot be read. Each thing is read once, however many tasks share it: task definitions by revision,
services by ten, container instances by a hundred, and what costs a call of its own (logs, target health,
images, routes) only for the newest task of each group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from taskmedic.aws.clients import Clients
from taskmedic.aws.ledger import Ledger
from taskmedic.aws.stopped import sources
from taskmedic.aws.stopped.readings import Reading, Readings
from taskmedic.aws.stopped.surroundings import Beside, Surveyor
from taskmedic.aws.stopped.tasks import Found, Query, find_stopped
from taskmedic.domain.diagnosis import Diagnosis, DiagnosisContext, EarlierStop, Evidence, diagnose
from taskmedic.domain.diagnosis.engine import CRASH_LOOP_WINDOW
from taskmedic.domain.diagnosis.grouping import Group, grouped
from taskmedic.domain.masking import mask_document
from taskmedic.domain.task_record import TaskRecord, read_time
from taskmedic.domain.task_shapes import read_task
from taskmedic.domain.timeline import Moment, Surroundings, timeline

DEADLINE_S = 60.0
THREADS = 16
# The part of the deadline that the shared reads may use up, so that one that hangs does not cost the logs.
SHARED_PART = 0.5
# The part that looking up an event's task may use up.
EVENT_PART = 0.25


@dataclass(frozen=True)
class Case:
    """One group: its diagnosis with all that is known, its timeline, and the masked documents behind it."""

    group: Group
    moments: tuple[Moment, ...]
    documents: Mapping[str, Any]


@dataclass(frozen=True)
class Collection:
    """What came of a query: the groups, the number of tasks, and what to know about the search itself."""

    cases: tuple[Case, ...]
    count: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Service:
    """What is read once for a service."""

    described: Reading[dict[str, sources.Described]]
    stops: Reading[list[dict[str, Any]]] | None
    actions: Reading[list[dict[str, Any]]] | None


def collect(
    query: Query,
    clients: Clients,
    *,
    now: datetime,
    log_lines: int = 50,
    ledger: Ledger | None = None,
    seconds: float = DEADLINE_S,
) -> Collection:
    """Finds, reads about and diagnoses the stopped tasks of ``query``.

    Args:
        query: Which tasks.
        clients: AWS.
        now: The end of the window that ``query.since`` counts back from.
        log_lines: How many of a failed container's last lines are read; 0 reads none.
        ledger: Earlier stops and our own actions; without it a crash loop is seen only among the tasks found.
        seconds: How long all optional reading together may take.

    Raises:
        ClusterNotFound, ServiceNotFound, AccessDenied, …: the tasks themselves could not be read.
        NotAStoppedTask: the event's task has not stopped.
    """
    with Readings(threads=THREADS, seconds=seconds) as readings:
        found, notes = _found(query, clients, now, readings)
        if not found:
            return Collection((), 0, tuple(notes))
        return _Collector(query, clients, readings, ledger, log_lines).collection(found, notes)


def _found(
    query: Query, clients: Clients, now: datetime, readings: Readings
) -> tuple[list[Found], list[str]]:
    if query.event is None:
        return find_stopped(query, clients, now)
    record = read_task(query.event)
    if not record.task_arn:
        return [Found(record, query.event)], []
    # The event says nothing of health (ECS developer guide, task state change events): ask while ECS knows.
    one = replace(query, event=None, tasks=(record.task_arn,), cluster=record.cluster_arn)
    reading = readings.ask("DescribeTasks", find_stopped, one, clients, now)
    readings.settle(EVENT_PART)
    found, gone = reading.value() or ([], [])
    if found:
        return found, []
    trouble = [str(reading.trouble)] if reading.trouble else []
    return [Found(record, query.event)], trouble + gone


class _Collector:
    """The reads of one collection."""

    def __init__(
        self, query: Query, clients: Clients, readings: Readings, ledger: Ledger | None, log_lines: int
    ) -> None:
        self._access = query.access
        self._clients = clients
        self._readings = readings
        self._ledger = ledger
        self._surveyor = Surveyor(clients, query.access, readings, self._ask_definition, log_lines)
        self._definitions: dict[str, Reading[sources.Described]] = {}
        self._services: dict[tuple[str, str], _Service] = {}
        self._instances: dict[str, Reading[dict[str, sources.Described]]] = {}

    def collection(self, found: Sequence[Found], notes: Sequence[str]) -> Collection:
        self._ask_shared([one.record for one in found])
        self._readings.settle(SHARED_PART)
        diagnosed = [(one.record, diagnose(one.record, self._first_context(one.record))) for one in found]
        groups = grouped(diagnosed)
        asked = [
            self._surveyor.ask(group, self._definition(group.newest), self._service(group.newest))
            for group in groups
        ]
        self._readings.settle()
        raw = {id(one.record): one.raw for one in found}
        cases = tuple(
            self._case(group, beside, diagnosed, raw) for group, beside in zip(groups, asked, strict=True)
        )
        return Collection(cases, len(found), tuple(notes))

    def _ask_shared(self, records: Sequence[TaskRecord]) -> None:
        for arn in dict.fromkeys(r.task_definition_arn for r in records if r.task_definition_arn):
            self._ask_definition(arn)
        self._ask_services(records)
        by_cluster: dict[str, dict[str, None]] = defaultdict(dict)
        for record in records:
            if record.container_instance_arn:
                by_cluster[record.cluster_arn][record.container_instance_arn] = None
        for cluster, arns in by_cluster.items():
            for batch in _batches(list(arns), sources.INSTANCES_BATCH):
                reading = self._readings.ask(
                    "container instance", sources.instances, self._clients, self._access, cluster, batch
                )
                self._instances.update(dict.fromkeys(batch, reading))

    def _ask_definition(self, arn: str) -> Reading[sources.Described]:
        if arn not in self._definitions:
            self._definitions[arn] = self._readings.ask(
                "task definition", sources.definition, self._clients, self._access, arn
            )
        return self._definitions[arn]

    def _ask_services(self, records: Sequence[TaskRecord]) -> None:
        since: dict[tuple[str, str], datetime | None] = {}
        for record in records:
            if record.service:
                key = (record.cluster_arn, record.service)
                times = [at for at in (since.get(key), record.stopped_at) if at]
                since[key] = min(times, default=None)
        by_cluster: dict[str, list[str]] = defaultdict(list)
        for cluster, service in since:
            by_cluster[cluster].append(service)
        for cluster, names in by_cluster.items():
            for batch in _batches(names, sources.SERVICES_BATCH):
                described = self._readings.ask(
                    "service", sources.services, self._clients, self._access, cluster, batch
                )
                for name in batch:
                    first = since[cluster, name]
                    self._services[cluster, name] = self._with_ledger(described, cluster, name, first)

    def _with_ledger(
        self,
        described: Reading[dict[str, sources.Described]],
        cluster: str,
        service: str,
        first: datetime | None,
    ) -> _Service:
        if self._ledger is None or first is None:
            return _Service(described, None, None)
        since = first - CRASH_LOOP_WINDOW
        return _Service(
            described,
            self._readings.ask("ledger", self._ledger.recent_stops, cluster, service, since),
            self._readings.ask("ledger", self._ledger.recent_actions, cluster, service, since),
        )

    def _definition(self, record: TaskRecord) -> sources.Described | None:
        reading = self._definitions.get(record.task_definition_arn)
        return reading.value() if reading else None

    def _service(self, record: TaskRecord) -> sources.Described | None:
        shared = self._services.get((record.cluster_arn, record.service))
        return (shared.described.value() or {}).get(record.service) if shared else None

    def _first_context(self, record: TaskRecord) -> DiagnosisContext:
        """What decides the category: which containers are essential."""
        return DiagnosisContext(task_definition=self._definition(record))

    def _case(
        self,
        group: Group,
        beside: Beside,
        diagnosed: Sequence[tuple[TaskRecord, Diagnosis]],
        raw: Mapping[int, Mapping[str, Any]],
    ) -> Case:
        newest = group.newest
        context = DiagnosisContext(
            task_definition=self._definition(newest),
            log_tail=beside.log_tail,
            earlier_stops=self._earlier_stops(newest, diagnosed),
            changes=beside.changes,
            target_reason=beside.target_reason,
            notes=(*self._shared_notes(newest), *beside.notes),
        )
        whole = Group(diagnose(newest, context), group.records)
        shared = self._services.get((newest.cluster_arn, newest.service))
        actions = (shared.actions.value() or []) if shared and shared.actions else []
        around = Surroundings(self._service(newest), beside.log_events, actions)
        moments = timeline(newest, around)
        documents = {
            "tasks": [raw[id(record)] for record in group.records],
            "task_definition": context.task_definition,
            "service": around.service,
        }
        return Case(whole, moments, {**mask_document(documents), "logs": beside.log_events})

    def _shared_notes(self, record: TaskRecord) -> Iterable[Evidence]:
        """Troubles of the reads that others share, and the state of the host."""
        shared = self._services.get((record.cluster_arn, record.service))
        readings: list[Reading[Any] | None] = [self._definitions.get(record.task_definition_arn)]
        if shared:
            readings += [shared.described, shared.stops]
        host = self._instances.get(record.container_instance_arn)
        for reading in (*readings, host):
            if reading is not None and reading.trouble:
                yield reading.trouble
        if host is not None and (instances := host.value()) is not None:
            yield _host_line(instances.get(record.container_instance_arn))

    def _earlier_stops(
        self, record: TaskRecord, diagnosed: Sequence[tuple[TaskRecord, Diagnosis]]
    ) -> tuple[EarlierStop, ...]:
        """From the ledger and from the tasks found with it, each task once."""
        stops: dict[str, EarlierStop] = {}
        shared = self._services.get((record.cluster_arn, record.service))
        for row in (shared.stops.value() or []) if shared and shared.stops else []:
            if at := read_time(row.get("at")):
                task = str(row.get("task", ""))
                stops[task] = EarlierStop(at, str(row.get("category", "")), str(row.get("revision", "")))
        for other, diagnosis in diagnosed:
            if other.service and other.service == record.service and other.stopped_at:
                stops[other.task_arn] = EarlierStop(other.stopped_at, diagnosis.category, other.revision)
        stops.pop(record.task_arn, None)
        return tuple(stops.values())


def _host_line(instance: sources.Described | None) -> Evidence:
    if instance is None:
        return Evidence("container instance", "is gone from the cluster")
    agent = "connected" if instance.get("agentConnected") else "not connected"
    name = instance.get("ec2InstanceId", "")
    return Evidence("container instance", f"{name} is {instance.get('status', '')}, its agent is {agent}")


def _batches(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
