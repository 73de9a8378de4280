"""What the pre-flight checks look at, for one container of one task, and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

# What an IAM simulation says of one action; "conditional": only a real call can tell.
Permission = Literal["allowed", "denied", "conditional"]
Status = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be looked up: why, and the permission that would let us."""

    why: str
    allow: str = ""


@dataclass(frozen=True)
class ContainerDefinition:
    """What the task definition says about the container and its task."""

    task_role_arn: str = ""
    network_mode: str = ""
    pid_mode: str = ""
    read_only_root: bool = False
    writable_mounts: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # names only; the task's overrides included


@dataclass(frozen=True)
class ExecConfiguration:
    """The cluster's ``executeCommandConfiguration``."""

    kms_key_id: str = ""
    logging: str = "DEFAULT"
    log_group: str = ""
    bucket: str = ""
    key_prefix: str = ""


@dataclass(frozen=True)
class KeyState:
    """The KMS key of the cluster's sessions; ``state`` is KMS's word, ``Enabled`` when it can be used."""

    state: str
    arn: str = ""  # the key's own, also where the cluster names an alias


@dataclass(frozen=True)
class Network:
    """The way out of an awsvpc task's subnet."""

    public_ip: str = ""
    endpoint: str = ""  # the ssmmessages endpoint of the VPC
    endpoint_private_dns: bool = True
    default_route: str = (
        ""  # NAT gateway, transit gateway, …; an internet gateway does not help without an address
    )


@dataclass(frozen=True)
class Facts:
    """All that the checks look at, for one container of one task. An absent part is ``Unknown``."""

    exec_enabled: bool
    agent_status: str
    container_status: str
    launch_type: str
    platform_version: str = ""
    platform_family: str = ""
    region: str = ""
    container_agent: str | Unknown = ""
    definition: ContainerDefinition | Unknown = field(default_factory=ContainerDefinition)
    exec_configuration: ExecConfiguration | Unknown = field(default_factory=ExecConfiguration)
    permissions: Mapping[str, Permission] | Unknown = field(default_factory=dict)
    key: KeyState | Unknown | None = None
    network: Network | Unknown | None = None


@dataclass(frozen=True)
class Finding:
    """One check's answer. ``fix`` is one line, empty when there is nothing to change."""

    check: str
    status: Status
    detail: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        return asdict(self)
