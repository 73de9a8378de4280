"""What the local ECS knows: plain records, changed only by the engine and the services' scheduler."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

EXEC_AGENT = "ExecuteCommandAgent"


def hex_id() -> str:
    """32 hexadecimal digits, as ECS names tasks."""
    return secrets.token_hex(16)


@dataclass(eq=False, repr=False, slots=True)
class TaskDefinition:
    """One revision. ``content`` holds what was registered, as the API shows it."""

    arn: str
    family: str
    revision: int
    content: Json
    registered_at: float
    tags: list[Json] = field(default_factory=list)
    status: str = "ACTIVE"
    deregistered_at: float | None = None

    @property
    def containers(self) -> list[Json]:
        """The container definitions."""
        found: list[Json] = self.content["containerDefinitions"]
        return found

    @property
    def awsvpc(self) -> bool:
        """Whether each task has a network interface of its own."""
        return self.content.get("networkMode") == "awsvpc"


@dataclass(eq=False, repr=False, slots=True)
class Container:
    """A container of a task. ``agent_status`` is empty when ECS Exec is off."""

    name: str
    definition: Json
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    runtime_id: str = ""
    image_digest: str = ""
    last_status: str = "PENDING"
    exit_code: int | None = None
    reason: str = ""
    health: str = "UNKNOWN"
    agent_status: str = ""
    agent_reason: str = ""
    agent_started_at: float | None = None

    @property
    def essential(self) -> bool:
        """Whether the task stops with this container."""
        return bool(self.definition.get("essential", True))


@dataclass(eq=False, repr=False, slots=True)
class Network:
    """The network interface of a task in awsvpc mode."""

    private_ip: str
    subnet_id: str
    mac: str
    eni_id: str = field(default_factory=lambda: f"eni-0{secrets.token_hex(8)}")
    attachment_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "PRECREATED"


@dataclass(eq=False, repr=False, slots=True)
class Task:
    """A task, from its start until ECS forgets it. Times are seconds since the epoch."""

    id: str
    cluster: Cluster
    definition: TaskDefinition
    containers: list[Container]
    group: str
    launch_type: str
    availability_zone: str
    created_at: float
    number: int = 0  # rises with each task of the cluster; pages are cut by it
    started_by: str = ""
    deployment_id: str = ""
    capacity_provider: str = ""
    platform_version: str = ""
    network: Network | None = None
    instance: ContainerInstance | None = None
    exec_enabled: bool = False
    tags: list[Json] = field(default_factory=list)
    overrides: Json = field(default_factory=dict)
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    version: int = 1
    updated_at: float = 0.0
    connectivity_at: float | None = None
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    stop_code: str = ""
    stopped_reason: str = ""

    @property
    def arn(self) -> str:
        """The long form."""
        return f"{self.cluster.prefix}:task/{self.cluster.name}/{self.id}"

    @property
    def alive(self) -> bool:
        """Whether it is meant to run."""
        return self.desired_status == "RUNNING"

    @property
    def service_name(self) -> str:
        """Empty for a standalone task."""
        return self.group.removeprefix("service:") if self.group.startswith("service:") else ""

    @property
    def health(self) -> str:
        """The worst of its essential containers' that have a health check, as DescribeTasks shows it."""
        checked = [each for each in self.containers if each.essential and "healthCheck" in each.definition]
        states = {each.health for each in checked} or {"UNKNOWN"}
        return next((state for state in ("UNHEALTHY", "UNKNOWN") if state in states), "HEALTHY")


@dataclass(eq=False, repr=False, slots=True)
class Deployment:
    """One deployment of a service."""

    id: str
    definition: TaskDefinition
    created_at: float
    updated_at: float
    status: str = "PRIMARY"
    rollout: str = "IN_PROGRESS"
    rollout_reason: str = ""
    failed_tasks: int = 0

    @property
    def started_by(self) -> str:
        """What its tasks say in ``startedBy``."""
        return self.id


@dataclass(eq=False, repr=False, slots=True)
class Service:
    """A service and its deployments, the primary one first."""

    name: str
    cluster: Cluster
    desired_count: int
    launch_type: str
    deployments: list[Deployment]
    created_at: float
    exec_enabled: bool = False
    status: str = "ACTIVE"
    content: Json = field(default_factory=dict)  # what the API shows as it was given
    tags: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)  # newest first
    tasks: dict[str, Task] = field(default_factory=dict)
    starts_held_until: float = 0.0
    start_failures: int = 0

    @property
    def arn(self) -> str:
        """The long form."""
        return f"{self.cluster.prefix}:service/{self.cluster.name}/{self.name}"

    @property
    def primary(self) -> Deployment:
        """The deployment that is wanted."""
        return self.deployments[0]

    @property
    def target_groups(self) -> list[str]:
        """ARNs of its load balancers' target groups."""
        balancers: list[Json] = self.content.get("loadBalancers", [])
        return [each["targetGroupArn"] for each in balancers if each.get("targetGroupArn")]


@dataclass(eq=False, repr=False, slots=True)
class ContainerInstance:
    """An EC2 instance that is registered with a cluster."""

    id: str
    cluster: Cluster
    ec2_instance_id: str
    availability_zone: str
    registered_at: float
    instance_type: str = "m6i.large"
    status: str = "ACTIVE"
    agent_connected: bool = True
    version: int = 1
    tags: list[Json] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """The long form."""
        return f"{self.cluster.prefix}:container-instance/{self.cluster.name}/{self.id}"


@dataclass(eq=False, repr=False, slots=True)
class Cluster:
    """A cluster. ``prefix`` is the beginning of every ARN in it."""

    name: str
    prefix: str
    status: str = "ACTIVE"
    content: Json = field(default_factory=dict)  # configuration, settings, capacityProviders as given
    tags: list[Json] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    instances: dict[str, ContainerInstance] = field(default_factory=dict)
    next_number: int = 0

    @property
    def arn(self) -> str:
        """The ARN."""
        return f"{self.prefix}:cluster/{self.name}"

    @property
    def kms_key_id(self) -> str:
        """The key of its execute command configuration; empty without one."""
        exec_settings: Json = self.content.get("configuration", {}).get("executeCommandConfiguration", {})
        return str(exec_settings.get("kmsKeyId", ""))


@dataclass(eq=False, repr=False, slots=True)
class Region:
    """Everything of one account in one region, and what is wrong there."""

    account: str
    name: str
    clusters: dict[str, Cluster] = field(default_factory=dict)
    families: dict[str, list[TaskDefinition]] = field(default_factory=dict)
    missing_images: set[str] = field(default_factory=set)
    denied_secrets: set[str] = field(default_factory=set)
    crashing_images: dict[str, Crash] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The beginning of every ECS ARN here."""
        return f"arn:aws:ecs:{self.name}:{self.account}"


@dataclass(frozen=True, slots=True)
class Crash:
    """How every container of an image ends, ``after_s`` seconds from its start."""

    exit_code: int
    log_lines: tuple[str, ...]
    after_s: float
    reason: str = ""
