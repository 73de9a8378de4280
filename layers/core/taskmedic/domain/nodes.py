"""A node: one container of one task, with attributes and tags, as Rundeck's ECS node source gives it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskmedic.domain.errors import FilterInvalid

CLUSTER_NAME: Final = "ECS:Cluster-Name"
CLUSTER_ARN: Final = "ECS:Cluster-ARN"
SERVICE_NAME: Final = "ECS:Service-Name"
TASK_ID: Final = "ECS:Task-ID"
TASK_ARN: Final = "ECS:Task-ARN"
TASK_GROUP: Final = "ECS:Task-Group"
TASK_DEFINITION: Final = "ECS:Task-Definition"
TASK_DEFINITION_FAMILY: Final = "ECS:Task-Definition-Family"
TASK_DEFINITION_ARN: Final = "ECS:Task-Definition-ARN"
STARTED_BY: Final = "ECS:Started-By"
LAUNCH_TYPE: Final = "ECS:Launch-Type"
CAPACITY_PROVIDER: Final = "ECS:Capacity-Provider"
PLATFORM_VERSION: Final = "ECS:Platform-Version"
PLATFORM_FAMILY: Final = "ECS:Platform-Family"
CPU_ARCHITECTURE: Final = "ECS:CPU-Architecture"
AVAILABILITY_ZONE: Final = "ECS:Availability-Zone"
PRIVATE_IP: Final = "ECS:Private-IP"
TASK_HEALTH: Final = "ECS:Task-Health"
EXEC_ENABLED: Final = "ECS:Exec-Enabled"
EXEC_AGENT_STATUS: Final = "ECS:Exec-Agent-Status"
CONTAINER_NAME: Final = "ECS:Container-Name"
CONTAINER_ARN: Final = "ECS:Container-ARN"
CONTAINER_IMAGE: Final = "ECS:Container-Image"
CONTAINER_IMAGE_DIGEST: Final = "ECS:Container-Image-Digest"
CONTAINER_RUNTIME_ID: Final = "ECS:Container-Runtime-ID"
CONTAINER_STATUS: Final = "ECS:Container-Status"
CONTAINER_HEALTH: Final = "ECS:Container-Health"
CONTAINER_INSTANCE_ARN: Final = "ECS:Container-Instance-ARN"
EC2_INSTANCE_ID: Final = "ECS:EC2-Instance-ID"
DOCKER_EXEC: Final = "ECS:Docker-Exec"
TAG_PREFIX: Final = "ECS:Tag-"
REGION: Final = "region"
ACCOUNT: Final = "account"
ASSUME_ROLE_ARN: Final = "assume-role-arn"
EXTERNAL_ID: Final = "external-id"

# In the order people read them. `ECS:Tag-<key>` comes on top, one for each tag of the task.
ATTRIBUTES: Final = (
    CLUSTER_NAME,
    CLUSTER_ARN,
    SERVICE_NAME,
    TASK_ID,
    TASK_ARN,
    TASK_GROUP,
    TASK_DEFINITION,
    TASK_DEFINITION_FAMILY,
    TASK_DEFINITION_ARN,
    STARTED_BY,
    LAUNCH_TYPE,
    CAPACITY_PROVIDER,
    PLATFORM_VERSION,
    PLATFORM_FAMILY,
    CPU_ARCHITECTURE,
    AVAILABILITY_ZONE,
    PRIVATE_IP,
    TASK_HEALTH,
    EXEC_ENABLED,
    EXEC_AGENT_STATUS,
    CONTAINER_NAME,
    CONTAINER_ARN,
    CONTAINER_IMAGE,
    CONTAINER_IMAGE_DIGEST,
    CONTAINER_RUNTIME_ID,
    CONTAINER_STATUS,
    CONTAINER_HEALTH,
    CONTAINER_INSTANCE_ARN,
    EC2_INSTANCE_ID,
    DOCKER_EXEC,
    REGION,
    ACCOUNT,
    ASSUME_ROLE_ARN,
    EXTERNAL_ID,
)
NAME: Final = "name"
TAGS: Final = "tags"
_ALIASES: Final = {"nodename": NAME}

# What DescribeTasks does not carry: it costs a further call, so it is there only when it is asked for.
INSTANCE_ATTRIBUTES: Final = frozenset({EC2_INSTANCE_ID, DOCKER_EXEC})
LOOKED_UP: Final = INSTANCE_ATTRIBUTES | {CPU_ARCHITECTURE}


@dataclass(frozen=True, slots=True)
class Node:
    """One container. ``name`` is ``<task id>/<container name>``; an attribute without a value is absent."""

    name: str
    attributes: Mapping[str, str]
    tags: tuple[str, ...] = ()

    def get(self, attribute: str) -> str:
        """The value of ``attribute``, of ``name`` or of ``tags`` (joined by commas); empty when absent."""
        if attribute == NAME:
            return self.name
        if attribute == TAGS:
            return ",".join(self.tags)
        return self.attributes.get(attribute, "")

    @property
    def cluster_arn(self) -> str:
        return self.get(CLUSTER_ARN)

    @property
    def task_arn(self) -> str:
        return self.get(TASK_ARN)

    @property
    def container(self) -> str:
        return self.get(CONTAINER_NAME)

    @property
    def service(self) -> str:
        return self.get(SERVICE_NAME)

    @property
    def region(self) -> str:
        return self.get(REGION)

    @property
    def account(self) -> str:
        return self.get(ACCOUNT)

    @property
    def assume_role_arn(self) -> str:
        return self.get(ASSUME_ROLE_ARN)

    @property
    def external_id(self) -> str:
        return self.get(EXTERNAL_ID)

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it one and the same container, whichever source found it."""
        return (self.attributes.get(TASK_ARN, ""), self.name)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "attributes": dict(self.attributes), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Node:
        return cls(
            name=str(value["name"]),
            attributes={str(key): str(text) for key, text in value.get("attributes", {}).items()},
            tags=tuple(str(tag) for tag in value.get("tags", ())),
        )


def attribute_named(text: str) -> str:
    """The attribute that ``text`` names, for filters, ranks and columns; ``nodename`` is ``name``.

    Raises:
        FilterInvalid: there is no such attribute. A negated clause on a mistyped one would match every node.
    """
    name = _ALIASES.get(text, text)
    if name in {NAME, TAGS} or name in ATTRIBUTES or (name.startswith(TAG_PREFIX) and name != TAG_PREFIX):
        return name
    raise FilterInvalid(f"there is no node attribute {text}", remedy=_suggestion(text))


def _suggestion(text: str) -> str:
    known = [NAME, TAGS, *ATTRIBUTES]
    folded = {item.casefold(): item for item in known} | {
        item.removeprefix("ECS:").casefold(): item for item in known
    }
    close = difflib.get_close_matches(text.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {folded[close[0]]}?"
    return f"The attributes are {NAME}, {TAGS}, {', '.join(ATTRIBUTES)} and {TAG_PREFIX}<key>."
