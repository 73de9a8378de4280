"""What a `stop_task` step would stop: the task it names, or those of the nodes, never anything wider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.tasks import Tasks, TaskState, task_not_found
from taskmedic.domain.arns import Arn, cluster_of_task, last_part
from taskmedic.domain.errors import ServiceNotFound, StepInvalid, TooManyTargets


@dataclass(frozen=True)
class Stop:
    """One task to stop: where it is and as whom it is reached."""

    cluster: str
    task: str
    service: str = ""
    region: str = ""
    assume_role_arn: str = ""
    external_id: str = ""

    @property
    def access(self) -> Access:
        return Access(self.region, self.assume_role_arn, self.external_id)


def stops_of(event: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Stop]:
    """What the step would stop, no more than it may.

    Args:
        event: With the step, and the tasks of the nodes as ``stop_tasks``.
        spec: The step's, with its texts completed.

    Raises:
        StepInvalid: the task named is empty by now, or has no cluster.
        TooManyTargets: there are more tasks than ``max_tasks``.
    """
    step = event["step"]
    if step["spec"]["task"] and not spec["task"].strip():
        raise StepInvalid(
            "the task to stop is empty once its text is completed",
            where=f"step {step['name']}, {step['spec']['task']}",
            why="the tasks of the nodes are not what was named",
        )
    stops = _stops(spec, event["stop_tasks"], event["trigger"])
    if len(stops) > spec["max_tasks"]:
        raise TooManyTargets(
            f"step {step['name']} would stop {len(stops)} tasks, and max_tasks is {spec['max_tasks']}",
            where=", ".join(last_part(stop.task) for stop in stops[:5]),
            why="nothing was stopped",
            remedy="Narrow the nodes, or raise max_tasks if that many is meant.",
        )
    return stops


def known(stop: Stop, clients: Clients) -> TaskState:
    """How ECS knows the task.

    Raises:
        TaskNotFound: it does not.
        ClusterNotFound, AccessDenied, Throttled, …: ECS refused.
    """
    found = Tasks(clients.get("ecs", stop.access)).describe(stop.cluster, [stop.task])
    for task in found.values():
        return task
    raise task_not_found(stop.cluster, stop.task)


def unwell(stops: Sequence[Stop], tasks: Sequence[TaskState], clients: Clients) -> str:
    """Which service would lose a healthy task while it runs fewer than it wants; empty when there is none.

    A task that does not run, or not well, takes nothing from its service, so that it may always be stopped.

    Raises:
        AccessDenied, Throttled, …: ECS refused.
    """
    losing = {
        (task.cluster_arn, task.service): stop.access
        for stop, task in zip(stops, tasks, strict=True)
        if task.service and task.last_status == "RUNNING" and task.health != "UNHEALTHY"
    }
    for (cluster, name), access in losing.items():
        try:
            service = Tasks(clients.get("ecs", access)).service(cluster, name)
        except ServiceNotFound:
            continue  # it is being deleted, and wants no task
        if service.running < service.desired:
            return f"service {last_part(cluster)}/{name} ran {service.running} of {service.desired} tasks"
    return ""


def _stops(
    spec: Mapping[str, Any], of_nodes: Sequence[Mapping[str, str]], trigger: Mapping[str, Any]
) -> list[Stop]:
    """The task named in the spec, or else those of the nodes; never anything wider."""
    role = spec["assume_role_arn"]
    if not spec["task"]:
        return [
            Stop(
                cluster=task["cluster_arn"],
                task=task["task_arn"],
                service=task.get("service", ""),
                region=task.get("region", ""),
                assume_role_arn=role or task.get("assume_role_arn", ""),
                external_id="" if role else task.get("external_id", ""),
            )
            for task in of_nodes
        ]
    arn = Arn.parse(spec["task"])
    cluster = spec["cluster"] or cluster_of_task(spec["task"])
    if not cluster:
        raise StepInvalid(
            "the task to stop is named without its cluster",
            where=f"task {spec['task']}",
            remedy="Give the cluster, or the task's long ARN.",
        )
    region = arn.region if arn else str(trigger.get("region") or "")
    return [Stop(cluster=cluster, task=spec["task"], region=region, assume_role_arn=role)]
