"""What is read for the newest task of a group alone: its log, what changed, and what its kind of failure asks
for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.stopped import sources
from taskmedic.aws.stopped.readings import Reading, Readings
from taskmedic.domain.arns import last_part
from taskmedic.domain.diagnosis import Evidence
from taskmedic.domain.diagnosis.changes import changes_between
from taskmedic.domain.diagnosis.grouping import Group
from taskmedic.domain.diagnosis.images import EcrImage
from taskmedic.domain.diagnosis.reachability import NEEDED, reachability
from taskmedic.domain.task_record import ContainerRecord, TaskRecord

LOGS_OF = 2  # containers of a task whose logs are read
_TARGET_GROUP = re.compile(
    r"arn:aws[\w\-]{0,12}:elasticloadbalancing:[\w\-]{0,30}:\d{0,12}:targetgroup/[\w\-]{1,64}/\w{1,32}"
)
Described = Mapping[str, Any]


@dataclass
class Beside:
    """The reads of one group, and what they gave. Ask for it after they have settled."""

    record: TaskRecord
    family: str
    definition: Described | None
    logs: dict[str, Reading[list[sources.Described]]] = field(default_factory=dict)
    former: Reading[sources.Described] | None = None
    health: dict[str, Reading[list[sources.Described]]] = field(default_factory=dict)
    image: tuple[str, Reading[Any]] | None = None
    network: Reading[Any] | None = None
    said: list[Evidence] = field(default_factory=list)

    @property
    def log_events(self) -> dict[str, list[sources.Described]]:
        return {name: events for name, reading in self.logs.items() if (events := reading.value())}

    @property
    def log_tail(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(str(event.get("message", "")) for event in events)
            for name, events in self.log_events.items()
        }

    @property
    def changes(self) -> tuple[str, ...]:
        former = self.former.value() if self.former else None
        return changes_between(former, self.definition) if former and self.definition else ()

    @property
    def target_reason(self) -> str:
        """What the load balancer says of this task's own target; empty when that is gone or well."""
        own = {value for a in self.record.attachments for value in a.details.values()}
        for target in (target for reading in self.health.values() for target in reading.value() or ()):
            health = target.get("TargetHealth") or {}
            mine = (target.get("Target") or {}).get("Id") in own
            if mine and health.get("State") not in {"healthy", "initial"}:
                return ": ".join(filter(None, (health.get("Reason"), health.get("Description"))))
        return ""

    @property
    def notes(self) -> tuple[Evidence, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[Evidence]:
        yield from self.said
        yield from self._troubles()
        for reading in self.health.values():
            if (targets := reading.value()) is not None:
                yield Evidence(reading.what, _counted(targets))
        if self.image and not self.image[1].trouble:
            name, reading = self.image
            pushed = reading.value()
            what = f"was pushed {pushed:%Y-%m-%d %H:%M} UTC" if pushed else "is not in ECR"
            yield Evidence("ECR", f"{name} {what}")
        if self.network and (network := self.network.value()) is not None:
            yield from (Evidence("network", line) for line in reachability(network, self.family))

    def _troubles(self) -> Iterator[Evidence]:
        image = self.image[1] if self.image else None
        if self.former and (trouble := self.former.trouble):
            yield Evidence("task definition before", trouble.text)
        for reading in (*self.logs.values(), *self.health.values(), image, self.network):
            if reading is not None and reading.trouble:
                yield reading.trouble


class Surveyor:
    """Asks what a group needs, each thing once for all groups."""

    def __init__(
        self,
        clients: Clients,
        access: Access,
        readings: Readings,
        definition: Callable[[str], Reading[sources.Described]],
        log_lines: int,
    ) -> None:
        self._clients = clients
        self._access = access
        self._readings = readings
        self._definition = definition
        self._log_lines = log_lines
        self._asked: dict[tuple[Any, ...], Reading[Any]] = {}

    def ask(self, group: Group, definition: Described | None, service: Described | None) -> Beside:
        """Starts the reads for the group's newest task."""
        diagnosis, record = group.diagnosis, group.newest
        beside = Beside(record, diagnosis.family, definition)
        if not diagnosis.benign:
            self._ask_former(beside)
            self._ask_logs(beside, diagnosis.container)
        if diagnosis.category == "lb.health_check_failed":
            self._ask_health(beside, service or {})
        if diagnosis.family == "image_pull":
            self._ask_image(beside, diagnosis.container)
        if diagnosis.family in NEEDED and diagnosis.category.endswith(
            (".network", ".download_failed", ".other")
        ):
            self._ask_network(beside, service or {})
        return beside

    def _once(self, what: str, call: Callable[..., Any], *args: Any) -> Reading[Any]:
        key = (call, *args)
        if key not in self._asked:
            self._asked[key] = self._readings.ask(what, call, self._clients, self._access, *args)
        return self._asked[key]

    def _ask_former(self, beside: Beside) -> None:
        family, _, number = beside.record.task_definition_arn.rpartition(":")
        if family and number.isdecimal() and int(number) > 1:
            beside.former = self._definition(f"{family}:{int(number) - 1}")

    def _ask_logs(self, beside: Beside, failed: str) -> None:
        record = beside.record
        if not self._log_lines or not (
            record.time("startedAt") or any(c.exit_code is not None for c in record.containers)
        ):
            return
        for container in _worth_reading(record, failed):
            try:
                stream = sources.log_stream(record, container, _definition_of(beside.definition, container))
            except sources.NotReadable as error:
                beside.said.append(Evidence(f"log of {container.name}", f"not readable: {error}"))
                continue
            beside.logs[container.name] = self._once(
                f"log of {container.name}", sources.log_tail, stream, self._log_lines
            )

    def _ask_health(self, beside: Beside, service: Described) -> None:
        """Asks the group that the message names; where it names none, each that the service has."""
        said = "\n".join((beside.record.stopped_reason, *(c.reason for c in beside.record.containers)))
        has = [lb["targetGroupArn"] for lb in service.get("loadBalancers") or () if lb.get("targetGroupArn")]
        groups = dict.fromkeys(_TARGET_GROUP.findall(said) or has)
        for group in groups:
            what = "target health" if len(groups) == 1 else f"target health of {group.split('/')[-2]}"
            beside.health[group] = self._once(what, sources.target_health, group)

    def _ask_image(self, beside: Beside, failed: str) -> None:
        containers = beside.record.containers
        chosen = (
            [c for c in containers if c.name == failed] or [c for c in containers if c.reason] or containers
        )
        image = EcrImage.parse(chosen[0].image) if chosen else None
        if image:
            name = f"{image.repository}:{image.tag}"
            beside.image = name, self._once("ECR", sources.image_pushed_at, image)

    def _ask_network(self, beside: Beside, service: Described) -> None:
        awsvpc = (service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        subnets = [a.details["subnetId"] for a in beside.record.attachments if a.details.get("subnetId")]
        subnet = next(iter(subnets or awsvpc.get("subnets") or ()), "")
        if subnet:
            public_ip = awsvpc["assignPublicIp"] == "ENABLED" if "assignPublicIp" in awsvpc else None
            groups = tuple(awsvpc.get("securityGroups") or ())
            beside.network = self._once("network", sources.network, subnet, groups, public_ip)


def _worth_reading(record: TaskRecord, failed: str) -> list[ContainerRecord]:
    """The failed container; without one, those that ended badly; without these, the first."""
    chosen = [c for c in record.containers if c.name == failed] if failed else []
    chosen = chosen or [c for c in record.containers if c.exit_code] or list(record.containers)
    return chosen[:LOGS_OF]


def _definition_of(definition: Described | None, container: ContainerRecord) -> Described:
    if definition is None:
        raise sources.NotReadable("its task definition could not be read")
    for one in definition.get("containerDefinitions") or ():
        if one.get("name") == container.name:
            return dict(one)
    raise sources.NotReadable(
        f"{last_part(str(definition.get('taskDefinitionArn', '')))} has no such container"
    )


def _counted(targets: list[sources.Described]) -> str:
    """``2 healthy, 1 unhealthy (Target.Timeout)``."""
    counts: dict[str, int] = {}
    for target in targets:
        health = target.get("TargetHealth") or {}
        reason = f" ({health['Reason']})" if health.get("Reason") else ""
        state = f"{health.get('State', 'unknown')}{reason}"
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no targets"
