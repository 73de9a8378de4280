"""What an operation of the ECS API is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from taskmedic_local.ecs.engine import Engine
from taskmedic_local.ecs.errors import client_error, invalid_parameter, service_not_found
from taskmedic_local.ecs.model import Cluster, Container, Json, Region, Service, Task, TaskDefinition
from taskmedic_local.ecs.paging import PAGE, Pager
from taskmedic_local.ecs.services import Scheduler

T = TypeVar("T")


class ExecPort(Protocol):
    """Opens sessions in containers."""

    def open_session(self, task: Task, container: Container, command: str) -> Json:
        """The ``session`` member of ExecuteCommand's answer.

        Raises:
            EcsError: TargetNotConnectedException.
        """


@dataclass(frozen=True)
class Call:
    """One call: who, where, what, and the parts of the local ECS it may use."""

    engine: Engine
    scheduler: Scheduler
    pager: Pager
    exec: ExecPort
    operation: str
    body: Json
    account: str
    region_name: str

    @property
    def region(self) -> Region:
        """The caller's account in the region of the call."""
        return self.engine.region(self.account, self.region_name)

    @property
    def cluster(self) -> Cluster:
        """The cluster asked for.

        Raises:
            EcsError: ClusterNotFoundException.
        """
        return self.engine.cluster(self.account, self.region_name, self.body.get("cluster", ""))

    def includes(self, what: str) -> bool:
        """Whether ``include`` asks for it."""
        return what in self.body.get("include", [])

    def service(self, name_or_arn: str) -> Service:
        """A service of the cluster that is not gone.

        Raises:
            EcsError: ServiceNotFoundException.
        """
        found = self.cluster.services.get(name_or_arn.rsplit("/", 1)[-1])
        if found is None or found.status == "INACTIVE":
            raise service_not_found()
        return found

    def definition(self, name: str) -> TaskDefinition:
        """An active revision by family, ``family:revision`` or ARN.

        Raises:
            EcsError: ClientException.
        """
        found = find_definition(self.region, name)
        if found is None:
            raise client_error("TaskDefinition not found.")
        if found.status != "ACTIVE":
            raise client_error("TaskDefinition is inactive")
        return found

    def page(
        self,
        member: str,
        items: Iterable[T],
        *,
        key: Callable[[T], int | str],
        show: Callable[[T], str],
        size: int = PAGE,
    ) -> Json:
        """One page of a list operation, of ``size`` items when the call does not say."""
        found, token = self.pager.page(self.operation, self.body, items, key=key, size=size)
        shown: Json = {member: [show(each) for each in found]}
        if token:
            shown["nextToken"] = token
        return shown

    def some(self, member: str, limit: int, called: str) -> list[str]:
        """A list parameter that must hold something, and not more than ``limit``.

        Raises:
            EcsError: InvalidParameterException.
        """
        names: list[str] = self.body.get(member, [])
        if not names:
            raise invalid_parameter(f"{member.capitalize()} cannot be empty.")
        if len(names) > limit:
            raise invalid_parameter(f"{called} can have at most {limit} items.")
        return names


def missing(arn: str) -> Json:
    """What a describe operation says of something that is not there."""
    return {"arn": arn, "reason": "MISSING"}


def find_definition(region: Region, name: str) -> TaskDefinition | None:
    """A revision by family (its latest active one), ``family:revision`` or ARN."""
    if name.startswith("arn:") and not name.startswith(f"{region.prefix}:task-definition/"):
        return None
    family, _, revision = name.rsplit("/", 1)[-1].partition(":")
    revisions = region.families.get(family, [])
    if not revision:
        return next((each for each in reversed(revisions) if each.status == "ACTIVE"), None)
    return next((each for each in revisions if str(each.revision) == revision), None)
