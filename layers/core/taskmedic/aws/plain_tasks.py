"""DescribeTasks as plain JSON.

botocore turns an answer into Python field by field, and times by dateutil: of the 18 ms of processor time
that a hundred tasks cost, 15 go there. A reader of ten thousand tasks that looks at no time is better off
with the JSON itself. ``before-parse`` is botocore's own hook for that; it is used for these calls only,
since others on the same client want times as times.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import orjson

_wanted: ContextVar[bool] = ContextVar("plain_tasks_wanted", default=False)


def prepare(ecs: Any) -> None:
    """Puts the hook into a client; once for each, since botocore then forgets what it knows of all hooks."""
    ecs.meta.events.register("before-parse.ecs.DescribeTasks", _take_tasks)


def describe_tasks(ecs: Any, cluster: str, tasks: Sequence[str]) -> list[dict[str, Any]]:
    """The tasks as ECS sent them, with tags; what is gone is left out. The client has been prepared.

    Raises:
        ClientError: ECS refused.
    """
    token = _wanted.set(True)
    try:
        answer = ecs.describe_tasks(cluster=cluster, tasks=list(tasks), include=["TAGS"])
    finally:
        _wanted.reset(token)
    found: list[dict[str, Any]] = answer["tasks"]
    return found


def _take_tasks(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Takes the tasks out of the answer before botocore parses it."""
    protocol = operation_model.service_model.resolved_protocol
    if not _wanted.get() or response_dict["status_code"] != 200 or protocol != "json":
        return  # botocore parses as ever
    customized_response_dict["tasks"] = orjson.loads(response_dict["body"])["tasks"]
    response_dict["body"] = b"{}"
