"""One container of the local cloud, to run commands in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskmedic_local.cloud import LocalCloud
from taskmedic_local.ecs.model import Container, Task


class Target:
    """A container and how to reach it."""

    def __init__(self, cloud: LocalCloud, ecs: Any, task: Task, container: Container) -> None:
        self.cloud = cloud
        self.task = task
        self.container = container
        self._ecs = ecs

    def execute(self, command: str) -> dict[str, Any]:
        """The session of ecs:ExecuteCommand."""
        answer: dict[str, Any] = self._ecs.execute_command(
            cluster=self.task.cluster.name,
            task=self.task.arn,
            container=self.container.name,
            command=command,
            interactive=True,
        )["session"]
        return answer

    @property
    def home(self) -> Path:
        """The container's folder; it is not there before the first command."""
        return self.cloud.world.gateway.sandbox.path(self.container.runtime_id)

    def timing(self, **waits: float) -> None:
        """Change waits of the agents; for sessions opened from now on, until the next reset."""
        gateway = self.cloud.world.gateway
        gateway.timing = dataclasses.replace(gateway.timing, **waits)


@pytest.fixture
def target(cloud: LocalCloud, aws: Callable[[str], Any]) -> Target:
    """Container ``app`` of a task of ``checkout``."""
    task = next(iter(cloud.world.cluster("prod").services["checkout"].tasks.values()))
    return Target(cloud, aws("ecs"), task, task.containers[0])
