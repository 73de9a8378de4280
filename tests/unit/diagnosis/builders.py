"""Tasks for tests, built word by word: ``a_task().of_service("orders").stopped("OutOfMemoryError…")``."""

from __future__ import annotations

from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-1"


def arn(kind: str, *parts: str) -> str:
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{kind}/{'/'.join(parts)}"


class TaskBuilder(dict[str, Any]):
    """A task as DescribeTasks gives it. Each method changes it and gives it back."""

    def of_service(self, name: str) -> TaskBuilder:
        return self._with(group=f"service:{name}", startedBy="ecs-svc/1234567890123456789")

    def revision(self, name: str) -> TaskBuilder:
        return self._with(taskDefinitionArn=arn("task-definition", name))

    def stopped(self, reason: str = "", code: str = "") -> TaskBuilder:
        if code:
            self["stopCode"] = code
        return self._with(stoppedReason=reason)

    def container(
        self, name: str, exit_code: int | None = None, reason: str = "", **more: Any
    ) -> TaskBuilder:
        one: dict[str, Any] = {"name": name, "lastStatus": "STOPPED", **more}
        if exit_code is not None:
            one["exitCode"] = exit_code
        if reason:
            one["reason"] = reason
        return self._with(containers=[*self["containers"], one])

    def at(self, **times: Any) -> TaskBuilder:
        return self._with(**times)

    def _with(self, **members: Any) -> TaskBuilder:
        return TaskBuilder({**self, **members})


def a_task(id_: str = "0f9e8d7c6b5a49382716051423324150", **members: Any) -> TaskBuilder:
    """A stopped task of cluster prod; nothing is said of why."""
    return TaskBuilder(
        taskArn=arn("task", "prod", id_),
        clusterArn=arn("cluster", "prod"),
        lastStatus="STOPPED",
        desiredStatus="STOPPED",
        containers=[],
        **members,
    )
