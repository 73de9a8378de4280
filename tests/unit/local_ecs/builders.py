"""A local ECS whose clock the test turns, and that tells nobody but the test what happens."""

from __future__ import annotations

from typing import Any

from taskmedic_local.ecs.api import EcsApi
from taskmedic_local.ecs.causes import Causes, Order
from taskmedic_local.ecs.engine import Engine
from taskmedic_local.ecs.model import Container, ContainerInstance, Service, Task, hex_id
from taskmedic_local.ecs.services import Scheduler

ACCOUNT = "123456789012"
REGION = "eu-west-1"


class Refused(Exception):
    """An error answer of the API."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class LocalEcs:
    """The engine and the API, with what a test wants to know about them."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.events: list[dict[str, Any]] = []
        self.told: list[str] = []  # "log" for a line, else an event's desiredStatus, in their order
        self.logs: list[tuple[str, str, str]] = []
        self.gone: list[str] = []
        self.opened: list[tuple[str, str, str]] = []
        self.engine = Engine(
            emit=self._emit,
            write_logs=self._write_logs,
            containers_gone=self.gone.extend,
            clock=lambda: self.now,
        )
        self.scheduler = Scheduler(self.engine)
        self.causes = Causes(self.engine, self.scheduler)
        self.api = EcsApi(self.engine, self.scheduler, self)

    def open_session(self, task: Task, container: Container, command: str) -> dict[str, Any]:
        self.opened.append((task.id, container.name, command))
        return {"sessionId": "ecs-execute-command-0", "streamUrl": "wss://local", "tokenValue": "secret"}

    def call(
        self, operation: str, *, account: str = ACCOUNT, region: str = REGION, **body: Any
    ) -> dict[str, Any]:
        status, answer = self.api.handle(operation, body, account, region)
        if status != 200:
            raise Refused(answer["__type"], answer["message"])
        return answer

    def pass_time(self, seconds: float) -> None:
        """Let time go by in small steps, so that what follows from something follows in its time."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.engine.schedule.run_due()

    def history(self, task_arn: str) -> list[tuple[int, str]]:
        """The task's versions and states, as the events told them."""
        details = [event["detail"] for event in self.events if event["detail"]["taskArn"] == task_arn]
        return [(detail["version"], detail["lastStatus"]) for detail in details]

    def last_event(self, task_arn: str) -> dict[str, Any]:
        """The detail of the newest event of the task."""
        return next(e["detail"] for e in reversed(self.events) if e["detail"]["taskArn"] == task_arn)

    def describe(self, task_arn: str, cluster: str = "prod") -> dict[str, Any]:
        task: dict[str, Any] = self.call("DescribeTasks", cluster=cluster, tasks=[task_arn])["tasks"][0]
        return task

    def running(self, service: str = "web") -> list[str]:
        """ARNs of the service's tasks that run."""
        arns = self.call("ListTasks", cluster="prod", serviceName=service)["taskArns"]
        return [arn for arn in arns if self.describe(arn)["lastStatus"] == "RUNNING"]

    def order(self, service: Service | None = None, *, cluster: str = "prod", **how: Any) -> Order:
        """Whom a cause is to hit."""
        return Order(self.engine.cluster(ACCOUNT, REGION, cluster), service, **how)

    def _emit(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.told.append(event["detail"]["desiredStatus"])

    def _write_logs(self, task: Task, container: Container, lines: list[str]) -> None:
        self.told += ["log"] * len(lines)
        self.logs += [(task.id, container.name, line) for line in lines]


def a_definition(**more: Any) -> dict[str, Any]:
    """What RegisterTaskDefinition takes."""
    container = {"name": "app", "image": "registry/web:1", "essential": True, "memory": 512}
    sidecar = {"name": "proxy", "image": "registry/proxy:7", "essential": False}
    return {
        "family": "web",
        "networkMode": "awsvpc",
        "taskRoleArn": "arn:aws:iam::123456789012:role/web",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [container, sidecar],
        "cpu": "256",
        "memory": "512",
        **more,
    }


def a_host(ecs: LocalEcs, cluster: str) -> ContainerInstance:
    """An EC2 instance in the cluster."""
    record = ecs.engine.cluster(ACCOUNT, REGION, cluster)
    instance = ContainerInstance(hex_id(), record, "i-0123456789abcdef0", f"{REGION}a", ecs.now)
    record.instances[instance.id] = instance
    return instance
