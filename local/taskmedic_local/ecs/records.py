"""All records by account and region, and how a new task enters them."""

from __future__ import annotations

import itertools
import secrets
import threading
from dataclasses import dataclass

from taskmedic_local.ecs.errors import cluster_not_found
from taskmedic_local.ecs.model import (
    Cluster,
    Container,
    ContainerInstance,
    Json,
    Network,
    Region,
    Service,
    Task,
    TaskDefinition,
    hex_id,
)

ZONES = "abc"


@dataclass(frozen=True)
class Placement:
    """How and where a task is to run."""

    launch_type: str = "FARGATE"
    capacity_provider: str = ""
    exec_enabled: bool = False
    started_by: str = ""
    group: str = ""
    service: Service | None = None
    deployment_id: str = ""
    tags: tuple[Json, ...] = ()
    overrides: tuple[Json, ...] = ()
    instance: ContainerInstance | None = None
    subnets: tuple[str, ...] = ()


class Records:
    """Regions, made when first asked for. ``lock`` is held by whoever reads or changes anything in them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._regions: dict[tuple[str, str], Region] = {}
        self._addresses = itertools.count(1)

    def region(self, account: str, name: str) -> Region:
        """The records of an account in a region."""
        with self.lock:
            return self._regions.setdefault((account, name), Region(account, name))

    def region_of(self, cluster: Cluster) -> Region:
        """The region a cluster is in."""
        _, _, _, region, account = cluster.prefix.split(":")
        return self.region(account, region)

    def cluster(self, account: str, region: str, name_or_arn: str) -> Cluster:
        """An active cluster by its name or ARN; the empty name is ``default``.

        Raises:
            EcsError: ClusterNotFoundException.
        """
        name = (name_or_arn or "default").rsplit("/", 1)[-1]
        found = self.region(account, region).clusters.get(name)
        if found is None or found.status != "ACTIVE" or (":" in name_or_arn and name_or_arn != found.arn):
            raise cluster_not_found()
        return found

    def add_task(
        self, cluster: Cluster, definition: TaskDefinition, placement: Placement, now: float
    ) -> Task:
        """A new task of the cluster and, if it is a service's, of the service."""
        cluster.next_number += 1
        zone, network = self._network(cluster, definition, placement)
        overrides = placement.overrides or tuple({"name": each["name"]} for each in definition.containers)
        task = Task(
            id=hex_id(),
            cluster=cluster,
            definition=definition,
            containers=[Container(each["name"], each) for each in definition.containers],
            group=placement.group or f"family:{definition.family}",
            launch_type=placement.launch_type,
            availability_zone=zone,
            created_at=now,
            number=cluster.next_number,
            started_by=placement.started_by,
            deployment_id=placement.deployment_id,
            capacity_provider=placement.capacity_provider,
            platform_version="1.4.0" if placement.launch_type == "FARGATE" else "",
            network=network,
            instance=placement.instance,
            exec_enabled=placement.exec_enabled,
            tags=list(placement.tags),
            overrides={"containerOverrides": list(overrides), "inferenceAcceleratorOverrides": []},
            updated_at=now,
        )
        for container in task.containers:
            container.agent_status = "PENDING" if task.exec_enabled else ""
        cluster.tasks[task.id] = task
        if placement.service:
            placement.service.tasks[task.id] = task
        return task

    def remove_task(self, task: Task) -> None:
        """Forget a task."""
        task.cluster.tasks.pop(task.id, None)
        if service := task.cluster.services.get(task.service_name):
            service.tasks.pop(task.id, None)

    def _network(
        self, cluster: Cluster, definition: TaskDefinition, placement: Placement
    ) -> tuple[str, Network | None]:
        """Availability zone and network interface: one subnet a zone, addresses as in a default VPC."""
        number = next(self._addresses)
        zone = number % len(ZONES)
        name = f"{self.region_of(cluster).name}{ZONES[zone]}"
        if placement.instance:
            name = placement.instance.availability_zone
            zone = ZONES.index(name[-1])
        if not definition.awsvpc:
            return name, None
        subnets = placement.subnets or tuple(f"subnet-0a1b2c3d4e5f6789{each}" for each in ZONES)
        address = f"172.31.{16 * zone + number // 250 % 16}.{number % 250 + 4}"
        mac = "02:" + ":".join(secrets.token_hex(1) for _ in range(5))
        return name, Network(address, subnets[zone % len(subnets)], mac)
