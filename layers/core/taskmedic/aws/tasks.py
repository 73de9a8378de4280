"""Stopping ECS tasks, and looking at what became of them and of their service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from taskmedic.aws.errors import from_client_error, translated
from taskmedic.domain.arns import last_part
from taskmedic.domain.errors import ServiceNotFound, TaskNotFound

DESCRIBE_MAX = 100  # ECS API: DescribeTasks takes 100 tasks, ListTasks gives 100 a page
# What ECS answers to StopTask for a task it does not know (ECS API reference, StopTask, errors).
NOT_FOUND_CODES = frozenset({"InvalidParameterException", "ClientException"})


@dataclass(frozen=True)
class TaskState:
    """A task as DescribeTasks shows it. Texts are empty and times None where ECS does not say."""

    arn: str
    cluster_arn: str
    last_status: str
    service: str = ""
    stop_code: str = ""
    stopped_reason: str = ""
    health: str = ""
    created_at: datetime | None = None
    stopping_at: datetime | None = None

    @property
    def stopped(self) -> bool:
        return self.last_status == "STOPPED"


@dataclass(frozen=True)
class ServiceState:
    """How many tasks a service wants, runs and waits for."""

    desired: int
    running: int
    pending: int


class Tasks:
    """ECS tasks, by one ECS client."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs

    def describe(self, cluster: str, tasks: Sequence[str]) -> dict[str, TaskState]:
        """The tasks by their ARN; those that ECS does not know, or has forgotten, are left out.

        Raises:
            ClusterNotFound, AccessDenied, Throttled, …: ECS refused.
        """
        found: dict[str, TaskState] = {}
        for first in range(0, len(tasks), DESCRIBE_MAX):
            some = list(tasks[first : first + DESCRIBE_MAX])
            with translated("cannot describe the tasks", last_part(cluster)):
                answer = self._ecs.describe_tasks(cluster=cluster, tasks=some)
            found |= {task["taskArn"]: _state(task) for task in answer["tasks"]}
        return found

    def stop(self, cluster: str, task: str, reason: str) -> TaskState:
        """Asks ECS to stop the task. A second call for the same task changes nothing.

        Raises:
            TaskNotFound: there is no such task.
            ClusterNotFound, AccessDenied, Throttled, …: ECS refused.
        """
        try:
            answer = self._ecs.stop_task(cluster=cluster, task=task, reason=reason)
        except ClientError as error:
            said = error.response.get("Error", {})
            if said.get("Code") in NOT_FOUND_CODES and "not found" in said.get("Message", "").lower():
                raise task_not_found(cluster, task) from error
            raise from_client_error(error, "cannot stop the task", task) from error
        return _state(answer["task"])

    def service(self, cluster: str, name: str) -> ServiceState:
        """
        Raises:
            ServiceNotFound: there is no such active service.
            ClusterNotFound, AccessDenied, Throttled, …: ECS refused.
        """
        with translated("cannot describe the service", name):
            answer = self._ecs.describe_services(cluster=cluster, services=[name])
        services = [service for service in answer["services"] if service["status"] == "ACTIVE"]
        if not services:
            raise ServiceNotFound(
                f"service {name} does not exist",
                where=last_part(cluster),
                remedy="Check the service's name and its cluster.",
            )
        (service,) = services
        return ServiceState(service["desiredCount"], service["runningCount"], service["pendingCount"])

    def running_of(self, cluster: str, service: str) -> Iterator[TaskState]:
        """The service's tasks that are running or about to be, a page at a time.

        Raises:
            ClusterNotFound, ServiceNotFound, AccessDenied, Throttled, …: ECS refused.
        """
        pages = self._ecs.get_paginator("list_tasks").paginate(
            cluster=cluster, serviceName=service, desiredStatus="RUNNING"
        )
        with translated("cannot list the service's tasks", service):
            for page in pages:
                if page["taskArns"]:
                    yield from self.describe(cluster, page["taskArns"]).values()


def task_not_found(cluster: str, task: str) -> TaskNotFound:
    return TaskNotFound(
        f"task {last_part(task)} does not exist",
        where=f"cluster {last_part(cluster)}",
        why="ECS knows no such task, or it stopped more than an hour ago",
        remedy="Check the task's id and its cluster; `taskmedic nodes` lists what runs.",
    )


def _state(task: dict[str, Any]) -> TaskState:
    kind, _, name = str(task.get("group", "")).partition(":")
    return TaskState(
        arn=task["taskArn"],
        cluster_arn=task["clusterArn"],
        last_status=task["lastStatus"],
        service=name if kind == "service" else "",
        stop_code=task.get("stopCode", ""),
        stopped_reason=task.get("stoppedReason", ""),
        health=task.get("healthStatus", ""),
        created_at=task.get("createdAt"),
        stopping_at=task.get("stoppingAt"),
    )
