"""From what ECS answers to nodes: one for each container of a task. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in task.get("tags", ()) if tag.get("key")}
    shared = _present(_task_attributes(task, origin) | {attr.TAG_PREFIX + key: tags[key] for key in tags})
    node_tags = tuple(sys.intern(f"{key}={text}" if text else key) for key, text in tags.items())
    task_id = shared[attr.TASK_ID]
    for container in task.get("containers", ()):
        if container.get("lastStatus") == "RUNNING":
            own = _present(_container_attributes(container))
            yield Node(f"{task_id}/{container['name']}", {**shared, **own}, node_tags)


def _task_attributes(task: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    task_arn, cluster_arn = str(task["taskArn"]), str(task.get("clusterArn", ""))
    definition = last_part(str(task.get("taskDefinitionArn", "")))
    group = str(task.get("group") or "")
    arn = Arn.parse(task_arn)
    return {
        attr.CLUSTER_NAME: last_part(cluster_arn),
        attr.CLUSTER_ARN: cluster_arn,
        attr.SERVICE_NAME: group.removeprefix(_SERVICE_GROUP) if group.startswith(_SERVICE_GROUP) else "",
        attr.TASK_ID: last_part(task_arn),
        attr.TASK_ARN: task_arn,
        attr.TASK_GROUP: group,
        attr.TASK_DEFINITION: definition,
        attr.TASK_DEFINITION_FAMILY: definition.rpartition(":")[0] or definition,
        attr.TASK_DEFINITION_ARN: task.get("taskDefinitionArn"),
        attr.STARTED_BY: task.get("startedBy"),
        attr.LAUNCH_TYPE: task.get("launchType"),
        attr.CAPACITY_PROVIDER: task.get("capacityProviderName"),
        attr.PLATFORM_VERSION: task.get("platformVersion"),
        attr.CPU_ARCHITECTURE: _named(task.get("attributes"), "ecs.cpu-architecture"),
        attr.AVAILABILITY_ZONE: task.get("availabilityZone"),
        attr.PRIVATE_IP: _private_ip(task),
        attr.TASK_HEALTH: task.get("healthStatus"),
        attr.EXEC_ENABLED: "true" if task.get("enableExecuteCommand") else "false",
        attr.CONTAINER_INSTANCE_ARN: task.get("containerInstanceArn"),
        attr.REGION: arn.region if arn else "",
        attr.ACCOUNT: arn.account if arn else "",
        attr.ASSUME_ROLE_ARN: origin.assume_role_arn,
        attr.EXTERNAL_ID: origin.external_id,
    }


def _container_attributes(container: Mapping[str, Any]) -> dict[str, Any]:
    agents = {agent.get("name"): agent.get("lastStatus") for agent in container.get("managedAgents", ())}
    return {
        attr.EXEC_AGENT_STATUS: agents.get(_EXEC_AGENT),
        attr.CONTAINER_NAME: container["name"],
        attr.CONTAINER_ARN: container.get("containerArn"),
        attr.CONTAINER_IMAGE: container.get("image"),
        attr.CONTAINER_IMAGE_DIGEST: container.get("imageDigest"),
        attr.CONTAINER_RUNTIME_ID: container.get("runtimeId"),
        attr.CONTAINER_STATUS: container.get("lastStatus"),
        attr.CONTAINER_HEALTH: container.get("healthStatus"),
    }


def with_host(node: Node, instance: ContainerInstance) -> Node:
    """``node`` with what its container instance adds.

    ``ECS:Docker-Exec`` says whether ``docker exec`` on the host can reach the container: the host is known,
    its agent connected, and Docker has given the container an id. Whether the host takes commands is a
    pre-flight check.
    """
    reachable = instance.instance_id and instance.agent_connected and node.get(attr.CONTAINER_RUNTIME_ID)
    added = _present(
        {attr.EC2_INSTANCE_ID: instance.instance_id, attr.DOCKER_EXEC: "true" if reachable else "false"}
    )
    return replace(node, attributes={**node.attributes, **added})


def with_architecture(node: Node, definition: Mapping[str, Any]) -> Node:
    """``node`` with the processor architecture its task definition asks for; X86_64 is ECS' default."""
    asked = str(definition.get("runtimePlatform", {}).get("cpuArchitecture") or "X86_64")
    return replace(node, attributes={**node.attributes, attr.CPU_ARCHITECTURE: asked.lower()})


def _named(pairs: Any, name: str) -> str:
    return next((str(pair.get("value") or "") for pair in pairs or () if pair.get("name") == name), "")


def _private_ip(task: Mapping[str, Any]) -> str:
    for attachment in task.get("attachments", ()):
        address = _named(attachment.get("details"), "privateIPv4Address")
        if address:
            return address
    return ""


def _present(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Without what has no value. Equal texts are kept once: thousands of nodes share most of them."""
    return {key: sys.intern(str(text)) for key, text in attributes.items() if text}
