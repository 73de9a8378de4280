"""What DescribeTasks does not say about a node: its host, and the processor its task definition asks for.

Each container instance and each task definition is looked up once, however many nodes and sources share it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import translated
from taskmedic.aws.fanout import Job
from taskmedic.domain import nodes as attr
from taskmedic.domain.ecs_nodes import ContainerInstance, with_architecture, with_host
from taskmedic.domain.errors import TaskmedicError
from taskmedic.domain.nodes import Node

_BATCH = 100  # the most ECS takes in one DescribeContainerInstances
_Key = tuple[Access, str]


class NodeLookup:
    """Told of all nodes first, then run, then asked for each of them."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._instances: dict[tuple[Access, str], dict[str, None]] = defaultdict(dict)
        self._definitions: dict[_Key, None] = {}
        self._found: dict[_Key, Any] = {}
        self._failed: dict[_Key, TaskmedicError] = {}

    def want(self, node: Node, attributes: frozenset[str]) -> None:
        """Notes what has to be asked, so that ``node`` has ``attributes``."""
        access = Access.to_node(node)
        for key in self._keys(node, attributes):
            if key[1] == node.get(attr.CONTAINER_INSTANCE_ARN):
                self._instances[access, node.cluster_arn][key[1]] = None
            else:
                self._definitions[key] = None

    def jobs(self) -> list[Job]:
        """The calls, as few as there can be."""
        jobs: list[Job] = [partial(self._read_definition, *key) for key in self._definitions]
        for (access, cluster), instances in self._instances.items():
            arns = list(instances)
            jobs += [
                partial(self._read_instances, access, cluster, arns[at : at + _BATCH])
                for at in range(0, len(arns), _BATCH)
            ]
        return jobs

    def completed(self, node: Node, attributes: frozenset[str]) -> tuple[Node, TaskmedicError | None]:
        """``node`` with what was found, and why something of it is not known."""
        error = None
        for key in self._keys(node, attributes):
            error = error or self._failed.get(key)
            found = self._found.get(key)
            if isinstance(found, ContainerInstance):
                node = with_host(node, found)
            elif found is not None:
                node = with_architecture(node, found)
        return node, error

    @staticmethod
    def _keys(node: Node, attributes: frozenset[str]) -> list[_Key]:
        access = Access.to_node(node)
        keys = []
        if attributes & attr.INSTANCE_ATTRIBUTES and node.get(attr.CONTAINER_INSTANCE_ARN):
            keys.append((access, node.get(attr.CONTAINER_INSTANCE_ARN)))
        if attr.CPU_ARCHITECTURE in attributes and not node.get(attr.CPU_ARCHITECTURE):
            keys.append((access, node.get(attr.TASK_DEFINITION_ARN)))
        return keys

    def _read_instances(self, access: Access, cluster: str, arns: Sequence[str]) -> Sequence[Job]:
        """An instance that is gone by now is in the answer's ``failures``: its attributes stay absent."""
        try:
            with translated("cannot describe the container instances", cluster):
                answer = self._clients.get("ecs", access).describe_container_instances(
                    cluster=cluster, containerInstances=list(arns)
                )
        except TaskmedicError as error:
            self._failed.update({(access, arn): error for arn in arns})
        else:
            for instance in answer["containerInstances"]:
                self._found[access, instance["containerInstanceArn"]] = ContainerInstance.from_ecs(instance)
        return ()

    def _read_definition(self, access: Access, arn: str) -> Sequence[Job]:
        try:
            with translated("cannot describe the task definition", arn):
                answer = self._clients.get("ecs", access).describe_task_definition(taskDefinition=arn)
        except TaskmedicError as error:
            self._failed[access, arn] = error
        else:
            self._found[access, arn] = answer["taskDefinition"]
        return ()
