"""ExecuteCommand."""

from __future__ import annotations

from taskmedic_local.ecs import render
from taskmedic_local.ecs.api_tasks import find_task
from taskmedic_local.ecs.call import Call
from taskmedic_local.ecs.errors import invalid_parameter, task_not_found
from taskmedic_local.ecs.model import Container, Json, Task

NOT_ENABLED = (
    "The execute command failed because execute command was not enabled when the task was run or the execute "
    "command agent isn't running. Wait and try again or run a new task with execute command enabled and try "
    "again."
)


def execute_command(call: Call) -> Json:
    body = call.body
    if not body["interactive"]:
        raise invalid_parameter("Interactive is the only mode supported currently.")
    task = find_task(call.cluster, body["task"])
    if task is None:
        raise task_not_found()
    container = _container(task, body.get("container", ""))
    if not task.exec_enabled or container.agent_status != "RUNNING":
        raise invalid_parameter(NOT_ENABLED)
    return {
        "clusterArn": task.cluster.arn,
        "taskArn": task.arn,
        "containerArn": render.container_arn(task, container),
        "containerName": container.name,
        "interactive": True,
        "session": call.exec.open_session(task, container, body["command"]),
    }


def _container(task: Task, name: str) -> Container:
    if not name and len(task.containers) > 1:
        raise invalid_parameter("A container name must be specified for a task with more than one container.")
    for container in task.containers:
        if name in {"", container.name}:
            return container
    raise invalid_parameter(f"The container {name} was not found in the task.")


OPERATIONS = {"ExecuteCommand": execute_command}
