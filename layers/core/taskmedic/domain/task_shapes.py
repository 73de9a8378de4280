"""Reads a stopped task out of any shape in which AWS gives it.

The shapes: the detail of an EventBridge event (ISO times), DescribeTasks by boto3 (datetime) or by the AWS
CLI (ISO with offset, or epoch seconds as old versions print them), and the output of Step Functions'
``ecs:runTask.sync`` (PascalCase keys, epoch milliseconds; as a JSON text in ``Cause`` when the task failed).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from taskmedic.domain.errors import InputError, NotAStoppedTask
from taskmedic.domain.printable import printable
from taskmedic.domain.task_record import (
    LIFECYCLE,
    STOP_TIMES,
    Attachment,
    ContainerRecord,
    TaskRecord,
    read_time,
)

# lastStatus of a task that will not run again (ECS: task lifecycle).
ENDING = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"})
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


def _folded(document: Mapping[Any, Any]) -> dict[str, Any]:
    """Keys in lower case: camelCase, PascalCase and what tools make of them are read alike."""
    return {key.lower(): value for key, value in document.items() if isinstance(key, str)}


def _text(value: Any) -> str:
    return printable(value) if isinstance(value, str) else ""


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
        names = printable(", ".join(sorted(keys)[:6])[:120]) or "nothing"
        why = f"it has neither lastStatus nor stopCode nor stoppedReason, but {names}"
    raise NotAStoppedTask(
        "this is not a stopped task",
        where="lastStatus",
        why=why,
        remedy="Give an ECS Task State Change event, a DescribeTasks output, or one task of it.",
    )


def _kind(value: Any) -> str:
    return "null" if value is None else f"a JSON {type(value).__name__}"
