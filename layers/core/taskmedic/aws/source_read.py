"""The reading of one node source: the calls it takes, what is kept of their answers, what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.cluster_reader import ClusterReader, Query, read_clusters
from taskmedic.aws.fanout import Job
from taskmedic.aws.node_lookup import NodeLookup
from taskmedic.domain.arns import cluster_of_task, last_part
from taskmedic.domain.ecs_nodes import Origin, nodes_of, not_running
from taskmedic.domain.errors import ServiceNotFound, TaskmedicError, TaskNotFound
from taskmedic.domain.node_filter import NodeFilter
from taskmedic.domain.node_source import FilterBehavior, NodeSource, region_of
from taskmedic.domain.nodes import LOOKED_UP, Node

# More names than this are cheaper found by listing the whole cluster than by one listing each.
_NAMES_ASKED_FOR = 5


@dataclass(frozen=True)
class SourceOutcome:
    """What one source gave.

    Args:
        source: The source as a person names it.
        count: Its nodes, before selection.
        errors: What could not be read.
        notes: What was asked for and is nowhere, by name: no error, but likely a mistake.
    """

    source: str
    count: int
    errors: tuple[TaskmedicError, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        error = " ".join(str(error) for error in self.errors)
        return {"source": self.source, "count": self.count, "error": error, "notes": list(self.notes)}


class SourceRead:
    """The reading of one source. Its jobs run in several threads; the lock guards what they gather."""

    def __init__(
        self,
        source: NodeSource,
        shared_filter: NodeFilter,
        clients: Clients,
        wanted: frozenset[str],
        on_page: Callable[[int], None] | None,
    ) -> None:
        self._source = source
        self._clients = clients
        self._on_page = on_page
        self._criteria = tuple(source.criteria())
        self._filter = NodeFilter(source.filter.clauses + shared_filter.clauses)
        self._first_filter = self._filter.without(LOOKED_UP)
        self._looked_up = (wanted | self._filter.attributes) & LOOKED_UP
        self._origin = Origin(source.assume_role_arn, source.external_id, source.include_stopping)
        self._lock = Lock()
        self._nodes: list[Node] = []
        self._looked_at = 0
        self._matched: set[tuple[str, str]] = set()
        self._states: dict[str, str] = {}
        self._clusters_without: dict[str, set[str]] = {}
        self._clusters = 0
        self._errors: list[TaskmedicError] = []

    def start(self) -> Sequence[Job]:
        """The first job: reaches the account, and gives the jobs that read its clusters."""
        jobs: list[Job] = []
        try:
            if self._source.all_clusters:
                region = self._source.region
                jobs.append(read_clusters(self._ecs(region), partial(self._read, region=region), self))
            for cluster, region in self._named_clusters():
                jobs += self._read(cluster, region)
        except TaskmedicError as error:
            self.failed(error)
        return jobs

    def _ecs(self, region: str) -> Any:
        access = Access(region, self._source.assume_role_arn, self._source.external_id)
        return self._clients.get("ecs", access)

    def _named_clusters(self) -> dict[tuple[str, str], None]:
        """Clusters, each with its region: those of the source, or those in the ARNs of its tasks."""
        source = self._source
        if source.clusters or source.all_clusters:
            return dict.fromkeys((cluster, region_of(source, cluster)) for cluster in source.clusters)
        return dict.fromkeys((cluster_of_task(task), region_of(source, task)) for task in source.tasks)

    def _read(self, cluster: str, region: str) -> list[Job]:
        with self._lock:
            self._clusters += 1
        reader = ClusterReader(self._ecs(region), cluster, self)
        if self._source.tasks:
            here = [task for task in self._source.tasks if cluster_of_task(task) in {"", last_part(cluster)}]
            return reader.descriptions(here)
        return reader.listings(_queries(self._source))

    # What the readers hand over, from several threads.

    def tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        kept = []
        matched: set[tuple[str, str]] = set()
        looked_at = 0
        for task in tasks:
            for node in nodes_of(task, self._origin):
                looked_at += 1
                found = [criterion.matching(node) for criterion in self._criteria]
                matched.update(
                    (criterion.kind, value)
                    for criterion, values in zip(self._criteria, found, strict=True)
                    for value in values
                )
                if self._source.keeps(map(bool, found)) and self._first_filter.matches(node):
                    kept.append(node)
        with self._lock:
            self._nodes += kept
            self._looked_at += looked_at
            self._matched |= matched
            if self._source.tasks:
                self._states |= {
                    last_part(task["taskArn"]): not_running(task, self._origin) for task in tasks
                }
        if self._on_page and kept:
            self._on_page(len(kept))

    def service_missing(self, service: str, cluster: str) -> None:
        with self._lock:
            self._clusters_without.setdefault(service, set()).add(cluster)

    def failed(self, error: TaskmedicError) -> None:
        with self._lock:
            if str(error) not in map(str, self._errors):
                self._errors.append(error)

    # After all pages are read, in one thread.

    def want(self, lookup: NodeLookup) -> None:
        if self._looked_up:
            for node in self._nodes:
                lookup.want(node, self._looked_up)

    def complete(self, lookup: NodeLookup) -> list[Node]:
        """The nodes with what was looked up. One that the filter cannot judge, since a look-up failed, is
        left out: to keep it would be a guess.
        """
        if not self._looked_up:
            return self._nodes
        undecidable = bool(self._filter.attributes & LOOKED_UP)
        nodes = []
        for node in self._nodes:
            whole, error = lookup.completed(node, self._looked_up)
            if error:
                self.failed(error)
            if not (error and undecidable) and self._filter.matches(whole):
                nodes.append(whole)
        return nodes

    def outcome(self, count: int) -> SourceOutcome:
        label = self._source.label()
        # What is not there may be where it could not be read; what was read is told in any case.
        errors = tuple(self._errors) or tuple(self._not_there())
        if errors and not self._looked_at:
            return SourceOutcome(label, count, errors)
        return SourceOutcome(label, count, errors, tuple(self._unmatched(label, count)))

    def _not_there(self) -> Iterable[TaskmedicError]:
        """What was asked for by name and does not exist."""
        where = self._source.label()
        for service in self._missing_services():
            yield ServiceNotFound(
                f"service {service} does not exist",
                where=where,
                remedy="Check the name and the cluster; `aws ecs list-services` shows what there is.",
            )
        for task in self._source.tasks:
            state = self._states.get(last_part(task))
            if state is None:
                yield TaskNotFound(
                    f"task {task} does not exist",
                    where=where,
                    why="ECS knows no such task there, or has forgotten it: it does an hour after the stop",
                )
            elif state:
                yield TaskNotFound(f"task {task} is not running", where=where, why=f"it is {state}")

    def _missing_services(self) -> set[str]:
        """Services that ECS knows in none of the clusters; it was asked only where they are few."""
        return {name for name, without in self._clusters_without.items() if len(without) == self._clusters}

    def _unmatched(self, label: str, count: int) -> Iterable[str]:
        """What matches nothing, by name; an Exclude that excludes nothing is as suspicious as an Include."""
        if not self._looked_at:
            yield f"{label}: no running container"
            return
        told = {("service", name) for name in self._missing_services()}
        for criterion in self._criteria:
            for value in criterion.values:
                if not {(criterion.kind, value), (criterion.kind, last_part(value))} & (self._matched | told):
                    yield f"{label}: no running container has the {criterion.kind} {value}"
        for value in self._filter.ineffective:
            yield f"filter {self._filter}: {value} matches nothing, values of a list are exact (try a.*|b.*)"
        if not count and self._filter.clauses:
            yield f"filter {self._filter}: matches none of {self._looked_at} running containers"


def _queries(source: NodeSource) -> list[Query]:
    """What to ask ECS for: only the services or families that are included, where they are few."""
    narrowed = [Query()]
    if source.filter_behavior is FilterBehavior.INCLUDE:
        families = dict.fromkeys(last_part(name).partition(":")[0] for name in source.task_definitions)
        if 0 < len(source.services) <= _NAMES_ASKED_FOR:
            narrowed = [Query(service=last_part(name)) for name in source.services]
        elif 0 < len(families) <= _NAMES_ASKED_FOR:
            narrowed = [Query(family=family) for family in families]
    stopping = [replace(query, desired_status="STOPPED") for query in narrowed if source.include_stopping]
    return narrowed + stopping
