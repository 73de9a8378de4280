"""A stopped task as one plain record; ``task_shapes`` reads it out of what AWS gave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from taskmedic.domain.arns import last_part

# Epoch numbers above this are milliseconds: as seconds they would lie in the year 5138.
MILLISECONDS_FROM = 1e11
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
