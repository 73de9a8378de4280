"""From what ECS answers to nodes: one for each container of a task. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from taskmedic.domain import nodes as attr
from taskmedic.domain.arns import Arn, last_part
from taskmedic.domain.nodes import Node

_SERVICE_GROUP = "service:"
_EXEC_AGENT = "ExecuteCommandAgent"
# In the order of ECS: … RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED. After STOPPING no container
# runs any more. Source: ECS developer guide, "Task lifecycle states".
_STOPPING = frozenset({"RUNNING", "DEACTIVATING", "STOPPING"})


@dataclass(frozen=True)
class Origin:
    """How the task was found, which its nodes keep: later calls on them go the same way."""

    assume_role_arn: str = ""
    external_id: str = ""
    include_stopping: bool = False


@dataclass(frozen=True)
class ContainerInstance:
    """The host of a task: an EC2 instance, or a machine of one's own (its id then begins with ``mi-``)."""

    instance_id: str
    agent_connected: bool

    @classmethod
    def from_ecs(cls, value: Mapping[str, Any]) -> ContainerInstance:
        return cls(str(value.get("ec2InstanceId") or ""), bool(value.get("agentConnected")))


def not_running(task: Mapping[str, Any], origin: Origin) -> str:
    """Why ``task`` has no nodes, as its state; empty when it has."""
    last = str(task.get("lastStatus", ""))
    if origin.include_stopping:
        return "" if last in _STOPPING else last
    if last == "RUNNING" and task.get("desiredStatus", "RUNNING") != "RUNNING":
        return "being stopped"
    return "" if last == "RUNNING" else last


def nodes_of(task: Mapping[str, Any], origin: Origin) -> Iterator[Node]:
    """The nodes of one task of DescribeTasks: its running containers.

    With ``include_stopping`` a task that is being stopped has nodes too, as long as its containers run.
    """
    if not_running(task, origin):
        return
    shared = _task_attributes(task, origin)
    tags = []
    for tag in task.get("tags", ()):
        key, value = tag["key"], tag.get("value", "")
        tags.append(f"{key}={value}" if value else key)
        if value:
            shared[attr.TAG_PREFIX + key] = value
    node_tags = tuple(tags)
    for container in task.get("containers", ()):
        if container.get("lastStatus") == "RUNNING":
            name = f"{shared[attr.TASK_ID]}/{container['name']}"
            yield Node(name, _container_attributes(container, shared), node_tags)


# What an answer gives as it is: attribute, and the field of the API.
_TASK_FIELDS = (
    (attr.TASK_ARN, "taskArn"),
    (attr.STARTED_BY, "startedBy"),
    (attr.LAUNCH_TYPE, "launchType"),
    (attr.CAPACITY_PROVIDER, "capacityProviderName"),
    (attr.PLATFORM_VERSION, "platformVersion"),
    (attr.PLATFORM_FAMILY, "platformFamily"),
    (attr.AVAILABILITY_ZONE, "availabilityZone"),
    (attr.TASK_HEALTH, "healthStatus"),
    (attr.CONTAINER_INSTANCE_ARN, "containerInstanceArn"),
)
_CONTAINER_FIELDS = (
    (attr.CONTAINER_NAME, "name"),
    (attr.CONTAINER_ARN, "containerArn"),
    (attr.CONTAINER_IMAGE, "image"),
    (attr.CONTAINER_IMAGE_DIGEST, "imageDigest"),
    (attr.CONTAINER_RUNTIME_ID, "runtimeId"),
    (attr.CONTAINER_STATUS, "lastStatus"),
    (attr.CONTAINER_HEALTH, "healthStatus"),
)


def _task_attributes(task: Mapping[str, Any], origin: Origin) -> dict[str, str]:
    """What all nodes of a task share."""
    place = (task.get("clusterArn", ""), task.get("taskDefinitionArn", ""), task.get("group", ""))
    attributes = {**_in_common(*place, origin), **_named_fields(task, _TASK_FIELDS)}
    attributes[attr.TASK_ID] = last_part(task["taskArn"])
    attributes[attr.EXEC_ENABLED] = "true" if task.get("enableExecuteCommand") else "false"
    if architecture := _named(task.get("attributes"), "ecs.cpu-architecture"):
        attributes[attr.CPU_ARCHITECTURE] = architecture
    if address := _private_ip(task):
        attributes[attr.PRIVATE_IP] = address
    return attributes


@lru_cache(maxsize=4096)
def _in_common(cluster_arn: str, definition_arn: str, group: str, origin: Origin) -> Mapping[str, str]:
    """What the tasks of a service have in common, put together once."""
    arn, definition = Arn.parse(cluster_arn), last_part(definition_arn)
    attributes = {
        attr.CLUSTER_ARN: cluster_arn,
        attr.CLUSTER_NAME: last_part(cluster_arn),
        attr.TASK_GROUP: group,
        attr.SERVICE_NAME: group.removeprefix(_SERVICE_GROUP) if group.startswith(_SERVICE_GROUP) else "",
        attr.TASK_DEFINITION_ARN: definition_arn,
        attr.TASK_DEFINITION: definition,
        attr.TASK_DEFINITION_FAMILY: definition.rpartition(":")[0] or definition,
        attr.REGION: arn.region if arn else "",
        attr.ACCOUNT: arn.account if arn else "",
        attr.ASSUME_ROLE_ARN: origin.assume_role_arn,
        attr.EXTERNAL_ID: origin.external_id,
    }
    return {name: text for name, text in attributes.items() if text}


def _container_attributes(container: Mapping[str, Any], shared: Mapping[str, str]) -> dict[str, str]:
    attributes = {**shared, **_named_fields(container, _CONTAINER_FIELDS)}
    for agent in container.get("managedAgents", ()):
        if agent.get("name") == _EXEC_AGENT and agent.get("lastStatus"):
            attributes[attr.EXEC_AGENT_STATUS] = agent["lastStatus"]
    return attributes


def _named_fields(value: Mapping[str, Any], fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The fields that have a value."""
    return {name: text for name, key in fields if (text := value.get(key))}


def with_host(node: Node, instance: ContainerInstance) -> Node:
    """``node`` with what its container instance adds.

    ``ECS:Docker-Exec`` says whether ``docker exec`` on the host can reach the container: the host is known,
    its agent connected, and Docker has given the container an id. Whether the host takes commands is a
    pre-flight check.
    """
    reachable = instance.instance_id and instance.agent_connected and node.get(attr.CONTAINER_RUNTIME_ID)
    added = {attr.DOCKER_EXEC: "true" if reachable else "false"}
    if instance.instance_id:
        added[attr.EC2_INSTANCE_ID] = instance.instance_id
    return replace(node, attributes={**node.attributes, **added})


def with_architecture(node: Node, definition: Mapping[str, Any]) -> Node:
    """``node`` with the processor architecture its task definition asks for; X86_64 is ECS' default."""
    asked = str(definition.get("runtimePlatform", {}).get("cpuArchitecture") or "X86_64")
    return replace(node, attributes={**node.attributes, attr.CPU_ARCHITECTURE: asked.lower()})


def _named(pairs: Iterable[Mapping[str, Any]] | None, name: str) -> str:
    for pair in pairs or ():
        if pair.get("name") == name:
            return str(pair.get("value") or "")
    return ""


def _private_ip(task: Mapping[str, Any]) -> str:
    for attachment in task.get("attachments", ()):
        address = _named(attachment.get("details"), "privateIPv4Address")
        if address:
            return address
    return ""
