"""Which tasks stopped, read from ECS in as few calls as there can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import translated
from taskmedic.aws.paging import TokenExpired, page, tokens_expire
from taskmedic.domain.errors import InputError, NotAStoppedTask
from taskmedic.domain.task_record import TaskRecord
from taskmedic.domain.task_shapes import read_task

BATCH = 100  # the most DescribeTasks takes (ECS API reference)
THREADS = 8
LISTINGS = 2  # a listing whose page token expires is read again from its first page, once


@dataclass(frozen=True)
class Query:
    """Which stopped tasks are meant.

    ``tasks`` (ids or ARNs) alone, or everything in ``cluster``, narrowed by ``service``, ``family``, or both.
    ``event`` is an ECS Task State Change's detail: that one task. ``since`` counts back from now; tasks asked
    for one by one are taken however old they are.
    """

    cluster: str = ""
    service: str = ""
    family: str = ""
    tasks: tuple[str, ...] = ()
    event: Mapping[str, Any] | None = None
    since: timedelta = timedelta(hours=1)
    access: Access = field(default_factory=Access)


@dataclass(frozen=True)
class Found:
    """A stopped task: as a record, and as AWS gave it."""

    record: TaskRecord
    raw: Mapping[str, Any]


def find_stopped(query: Query, clients: Clients, now: datetime) -> tuple[list[Found], list[str]]:
    """The tasks that stopped within the window, newest first, and a line for each one that ECS no longer
    knows.

    Raises:
        ClusterNotFound, ServiceNotFound, AccessDenied, …: the tasks could not be listed or described.
    """
    ecs = clients.get("ecs", query.access)
    arns = list(query.tasks) if query.tasks else _listed(ecs, query)
    described, missing = _described(ecs, query.cluster, arns)
    found = [Found(record, raw) for raw in described if (record := _stopped(raw)) is not None]
    first = now - query.since
    recent = [one for one in found if query.tasks or _meant(one.record, query.family, first)]
    recent.sort(key=lambda one: one.record.stopped_at or now, reverse=True)
    return recent, [f"task {arn} is not known to ECS any more" for arn in missing]


def _meant(record: TaskRecord, family: str, first: datetime) -> bool:
    """ECS lists by service or by family, not by both: the family is looked at here."""
    of_family = not family or record.revision.rpartition(":")[0] == family
    return of_family and (record.stopped_at is None or record.stopped_at >= first)


def _stopped(raw: Mapping[str, Any]) -> TaskRecord | None:
    """None for a task that runs: it was named by its id, or it has not ended yet."""
    try:
        return read_task(raw)
    except (NotAStoppedTask, InputError):
        return None


def _listed(ecs: Any, query: Query) -> list[str]:
    request: dict[str, Any] = {"cluster": query.cluster, "desiredStatus": "STOPPED"}
    if query.service:
        request["serviceName"] = query.service
    elif query.family:
        request["family"] = query.family
    for _ in range(LISTINGS):
        with translated("cannot list the stopped tasks", query.cluster), suppress(TokenExpired):
            return list(_pages(ecs, request))
    raise tokens_expire("the stopped tasks", query.cluster)


def _pages(ecs: Any, request: Mapping[str, Any]) -> Iterator[str]:
    token = ""
    while True:
        answer = page(ecs.list_tasks, request, token)
        yield from answer["taskArns"]
        token = answer.get("nextToken") or ""
        if not token:
            return


def _described(ecs: Any, cluster: str, arns: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """In full batches, side by side."""

    def describe(batch: Sequence[str]) -> Any:
        with translated("cannot describe the tasks", cluster):
            return ecs.describe_tasks(cluster=cluster, tasks=list(batch))

    batches = [arns[at : at + BATCH] for at in range(0, len(arns), BATCH)]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="describe") as pool:
        answers = list(pool.map(describe, batches))
    tasks = [task for answer in answers for task in answer["tasks"]]
    failures = [failure for answer in answers for failure in answer.get("failures", ())]
    return tasks, [str(failure.get("arn", "")) for failure in failures]
