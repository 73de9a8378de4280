"""Operations on tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from taskmedic_local.ecs import render, wording
from taskmedic_local.ecs.call import Call, missing
from taskmedic_local.ecs.errors import invalid_parameter, task_not_found
from taskmedic_local.ecs.model import Cluster, ContainerInstance, Json, Task, TaskDefinition
from taskmedic_local.ecs.records import Placement
from taskmedic_local.ecs.services import least_busy, subnets_of

ID_LENGTHS = (32, 36)
RUN_AT_MOST = 10


def list_tasks(call: Call) -> Json:
    return call.page("taskArns", _wanted(call), key=lambda each: each.number, show=lambda each: each.arn)


def _wanted(call: Call) -> Iterator[Task]:
    """The cluster's tasks that pass every filter of the call, oldest first."""
    cluster, body = call.cluster, call.body
    tasks = cluster.tasks
    if body.get("serviceName"):
        tasks = call.service(body["serviceName"]).tasks
    instance = body.get("containerInstance")
    checks: dict[str, Callable[[Task], object]] = {
        "family": lambda task: task.definition.family,
        "startedBy": lambda task: task.started_by,
        "launchType": lambda task: task.launch_type,
    }
    wanted = [(check, body[name]) for name, check in checks.items() if body.get(name)]
    desired = body.get("desiredStatus", "RUNNING")
    for task in tasks.values():
        if task.desired_status != desired or any(check(task) != value for check, value in wanted):
            continue
        if instance and (task.instance is None or task.instance.id != instance.rsplit("/", 1)[-1]):
            continue
        yield task


def describe_tasks(call: Call) -> Json:
    cluster = call.cluster
    tags = call.includes("TAGS")
    found, failures = [], []
    for name in call.some("tasks", 100, "taskIds"):
        task = find_task(cluster, name)
        if task is None:
            failures.append(missing(f"{cluster.prefix}:task/{cluster.name}/{name.rsplit('/', 1)[-1]}"))
        else:
            found.append(render.task(task, tags=tags))
    return {"tasks": found, "failures": failures}


def find_task(cluster: Cluster, name: str) -> Task | None:
    """A task of the cluster by id or ARN, unless ECS has forgotten it.

    Raises:
        EcsError: InvalidParameterException, when the name can be no task's.
    """
    task_id = name.rsplit("/", 1)[-1]
    if len(task_id) not in ID_LENGTHS:
        raise invalid_parameter("task length should be one of [32,36]")
    task = cluster.tasks.get(task_id)
    return None if task is None or (name.startswith("arn:") and name != task.arn) else task


def stop_task(call: Call) -> Json:
    task = find_task(call.cluster, call.body["task"])
    if task is None:
        raise task_not_found()
    reason = call.body.get("reason") or wording.STOPPED_BY_USER
    call.engine.stop(task, code="UserInitiated", reason=reason)
    return {"task": render.task(task)}


def run_task(call: Call) -> Json:
    body = call.body
    cluster = call.cluster
    definition = call.definition(body["taskDefinition"])
    count = body.get("count", 1)
    if not 1 <= count <= RUN_AT_MOST:
        raise invalid_parameter(f"count must be between 1 and {RUN_AT_MOST}.")
    placement = _placement(call, cluster, definition)
    tasks = [call.engine.begin(cluster, definition, placement) for _ in range(count)]
    return {"tasks": [render.task(task, tags=True) for task in tasks], "failures": []}


def _placement(call: Call, cluster: Cluster, definition: TaskDefinition) -> Placement:
    body = call.body
    overrides = body.get("overrides", {}).get("containerOverrides", [])
    names = [each["name"] for each in definition.containers]
    for name in (each.get("name") for each in overrides):
        if name not in names:
            raise invalid_parameter(
                f"Override for container named {name} is not a container in the TaskDefinition."
            )
    if body.get("enableExecuteCommand") and not definition.content.get("taskRoleArn"):
        raise invalid_parameter(
            "The task couldn't be run because a valid taskRoleArn is not being used. "
            "Specify a valid task role in your task definition and try again."
        )
    provider = next((each["capacityProvider"] for each in body.get("capacityProviderStrategy", [])), "")
    launch_type = body.get("launchType") or ("FARGATE" if provider.startswith("FARGATE") else "EC2")
    return Placement(
        launch_type=launch_type,
        capacity_provider=provider,
        exec_enabled=body.get("enableExecuteCommand", False),
        started_by=body.get("startedBy", ""),
        group=body.get("group", ""),
        tags=tuple(body.get("tags", [])),
        overrides=tuple(overrides),
        instance=_host(cluster) if launch_type == "EC2" else None,
        subnets=subnets_of(body),
    )


def _host(cluster: Cluster) -> ContainerInstance:
    instance = least_busy(cluster)
    if instance is None:
        raise invalid_parameter("No Container Instances were found in your cluster.")
    return instance


OPERATIONS = {
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
    "StopTask": stop_task,
    "RunTask": run_task,
}
