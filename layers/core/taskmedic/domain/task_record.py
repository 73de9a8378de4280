"""A stopped task, whatever shape AWS gave it in, as one plain record.

The shapes: the detail of an EventBridge event (ISO times), DescribeTasks by boto3 (datetime) or by the AWS
CLI (ISO with offset, or epoch seconds as old versions print them), and the output of Step Functions'
``ecs:runTask.sync`` (PascalCase keys, epoch milliseconds; as a JSON text in ``Cause`` when the task failed).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from taskmedic.domain.arns import last_part
from taskmedic.domain.errors import InputError, NotAStoppedTask

# Epoch numbers above this are milliseconds: as seconds they would lie in the year 5138.
MILLISECONDS_FROM = 1e11
# lastStatus of a task that will not run again (ECS: task lifecycle).
ENDING = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"})
SCHEDULER_PREFIX = "ecs-svc/"


@dataclass(frozen=True)
class ContainerRecord:
    """One container of a task. ``exit_code`` is None when it never ran, or when AWS does not say."""

    name: str
    reason: str = ""
    exit_code: int | None = None
    image: str = ""
    image_digest: str = ""
    runtime_id: str = ""
    health: str = ""
    managed_agents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Attachment:
    """An attachment (network interface, volume, …): its type, status and details."""

    type: str
    status: str
    details: Mapping[str, str]


@dataclass(frozen=True)
class TaskRecord:
    """One task. Absent texts are "", absent times None; times are in UTC."""

    task_arn: str = ""
    cluster_arn: str = ""
    task_definition_arn: str = ""
    group: str = ""
    started_by: str = ""
    launch_type: str = ""
    capacity_provider: str = ""
    platform_version: str = ""
    availability_zone: str = ""
    container_instance_arn: str = ""
    stop_code: str = ""
    stopped_reason: str = ""
    last_status: str = ""
    desired_status: str = ""
    times: Mapping[str, datetime] = field(default_factory=dict)
    containers: tuple[ContainerRecord, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def task_id(self) -> str:
        return last_part(self.task_arn)

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return last_part(self.cluster_arn)

    @property
    def service(self) -> str:
        """The service's name; empty for a standalone task."""
        return self.group.removeprefix("service:") if self.group.startswith("service:") else ""

    @property
    def of_service(self) -> bool:
        """Whether a service's scheduler started it."""
        return bool(self.service) or self.started_by.startswith(SCHEDULER_PREFIX)

    @property
    def revision(self) -> str:
        """``family:revision`` of its task definition."""
        return last_part(self.task_definition_arn)

    def time(self, name: str) -> datetime | None:
        """The life-cycle time of that name: ``stoppedAt``, ``startedAt``, …"""
        return self.times.get(name)

    @property
    def stopped_at(self) -> datetime | None:
        """When it stopped, or the best that is known of it."""
        return next((self.times[name] for name in STOP_TIMES if name in self.times), None)


# Where the moment of the stop is read, best first.
STOP_TIMES = ("stoppedAt", "executionStoppedAt", "stoppingAt")
# The life cycle in its order.
LIFECYCLE = (
    "createdAt",
    "connectivityAt",
    "pullStartedAt",
    "pullStoppedAt",
    "startedAt",
    "stoppingAt",
    "executionStoppedAt",
    "stoppedAt",
)


def read_tasks(document: Any) -> list[TaskRecord]:
    """Every task in ``document``: an event, a DescribeTasks or StopTask output, a list of these, or a bare
    task.

    Raises:
        InputError: ``document`` holds nothing that could be a task.
        NotAStoppedTask: it holds something else, or a task that has not stopped.
    """
    return [read_task(task) for task in task_documents(document)]


def task_documents(document: Any) -> list[Any]:
    """The task-shaped parts of ``document``, taken out of what they came in but not yet read.

    Raises:
        NotAStoppedTask: it is an event of another kind, or an output that holds no task.
    """
    if isinstance(document, list):
        return [task for part in document for task in task_documents(part)]
    if not isinstance(document, Mapping):
        return [document]
    keys = _folded(document)
    if "detail-type" in keys or "detail" in keys:
        return [_detail(keys)]
    if isinstance(keys.get("cause"), str):
        return task_documents(_parsed_cause(keys["cause"]))
    return _listed_tasks(keys) or [document]


def _listed_tasks(keys: Mapping[str, Any]) -> list[Any]:
    """What DescribeTasks, RunTask and StopTask list; empty when this is none of their outputs."""
    for name in ("tasks", "task"):
        inner = keys.get(name)
        if isinstance(inner, Mapping):
            return [inner]
        if isinstance(inner, list) and inner:
            return inner
        if isinstance(inner, list):
            raise NotAStoppedTask(
                "the output holds no task",
                where=name,
                why="the list is empty",
                remedy="ECS forgets a stopped task after about an hour; read its event instead.",
            )
    return []


def read_task(document: Any) -> TaskRecord:
    """``document`` as a record. An event's envelope is taken off.

    Raises:
        InputError: it is no JSON object.
        NotAStoppedTask: it is no ECS task, or a task that has not stopped and is not about to.
    """
    if not isinstance(document, Mapping):
        raise InputError(
            "a task must be a JSON object",
            where="input",
            why=f"this is {_kind(document)}",
            remedy="Give an ECS Task State Change event, a DescribeTasks output, or one task of it.",
        )
    if "containers" not in document and "Containers" not in document:
        inner = task_documents(document)
        if len(inner) == 1 and inner[0] is not document:
            return read_task(inner[0])
    keys = _folded(document)
    record = TaskRecord(
        **{name: _text(keys.get(name.replace("_", ""))) for name in _TEXTS},
        capacity_provider=_text(keys.get("capacityprovidername")),
        times={name: at for name in LIFECYCLE if (at := read_time(keys.get(name.lower()))) is not None},
        containers=tuple(_container(c) for c in _maps(keys.get("containers"))),
        attachments=tuple(_attachment(a) for a in _maps(keys.get("attachments"))),
    )
    _must_have_stopped(record, keys)
    return record


def read_time(value: Any) -> datetime | None:
    """A time in any of AWS's forms, in UTC; None when it is none of them.

    Numbers are epoch seconds, or milliseconds when they are too large for that.
    """
    try:
        if isinstance(value, datetime):
            at = value
        elif isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            at = datetime.fromtimestamp(value / 1000 if value > MILLISECONDS_FROM else value, UTC)
        else:
            return None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


_TEXTS = (
    "task_arn",
    "cluster_arn",
    "task_definition_arn",
    "group",
    "started_by",
    "launch_type",
    "platform_version",
    "availability_zone",
    "container_instance_arn",
    "stop_code",
    "stopped_reason",
    "last_status",
    "desired_status",
)


def _folded(document: Mapping[Any, Any]) -> dict[str, Any]:
    """Keys in lower case: camelCase, PascalCase and what tools make of them are read alike."""
    return {key.lower(): value for key, value in document.items() if isinstance(key, str)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _maps(value: Any) -> Iterable[Mapping[Any, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


def _container(document: Mapping[Any, Any]) -> ContainerRecord:
    keys = _folded(document)
    return ContainerRecord(
        name=_text(keys.get("name")),
        reason=_text(keys.get("reason")),
        exit_code=_exit_code(keys.get("exitcode")),
        image=_text(keys.get("image")),
        image_digest=_text(keys.get("imagedigest")),
        runtime_id=_text(keys.get("runtimeid")),
        health=_text(keys.get("healthstatus")),
        managed_agents=tuple(
            (_text(agent.get("name")), _text(agent.get("reason")))
            for agent in map(_folded, _maps(keys.get("managedagents")))
        ),
    )


def _exit_code(value: Any) -> int | None:
    """Whole numbers, also as text or as 1.0; anything else is no exit code."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str) and len(value) < 20 and value.strip().lstrip("-").isdecimal():
        try:
            return int(value)
        except ValueError:
            return None
    return value if isinstance(value, int) else None


def _attachment(document: Mapping[Any, Any]) -> Attachment:
    keys = _folded(document)
    details = {
        _text(pair.get("name")): _text(pair.get("value")) for pair in map(_folded, _maps(keys.get("details")))
    }
    return Attachment(type=_text(keys.get("type")), status=_text(keys.get("status")), details=details)


def _detail(keys: Mapping[str, Any]) -> Any:
    kind = keys.get("detail-type")
    if isinstance(kind, str) and kind != "ECS Task State Change":
        raise NotAStoppedTask(
            "this is not a stopped task",
            where="detail-type",
            why=f"it is an event of the kind {kind[:80]!r}",
            remedy="Give an ECS Task State Change event of a stopped task.",
        )
    return keys.get("detail")


def _parsed_cause(cause: str) -> Any:
    """The task that Step Functions writes as JSON text into the cause of a failed ``ecs:runTask.sync``."""
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError) as error:
        raise NotAStoppedTask(
            "this is not a stopped task",
            where="Cause",
            why="its text is not the JSON of an ECS task",
            remedy="Give the output of ecs:runTask.sync whole.",
        ) from error
    return {} if isinstance(parsed, Mapping) and "Cause" in parsed else parsed


def _must_have_stopped(record: TaskRecord, keys: Mapping[str, Any]) -> None:
    status, desired = record.last_status.upper(), record.desired_status.upper()
    says_why = bool(record.stop_code or record.stopped_reason or record.times.keys() & set(STOP_TIMES))
    if status in ENDING or desired == "STOPPED" or (not status and says_why):
        return
    if status:
        why = f"its lastStatus is {record.last_status[:40]!r}"
    else:
        names = ", ".join(sorted(keys)[:6])[:120] or "nothing"
        why = f"it has neither lastStatus nor stopCode nor stoppedReason, but {names}"
    raise NotAStoppedTask(
        "this is not a stopped task",
        where="lastStatus",
        why=why,
        remedy="Give an ECS Task State Change event, a DescribeTasks output, or one task of it.",
    )


def _kind(value: Any) -> str:
    return "null" if value is None else f"a JSON {type(value).__name__}"
