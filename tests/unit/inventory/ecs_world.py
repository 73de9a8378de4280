"""A small ECS in memory, with pages, limits and refusals of the real one; and builders for what it holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from taskmedic.aws.clients import Access
from taskmedic.domain.errors import RoleNotAssumable

ACCOUNT = "111111111111"
REGION = "eu-west-1"


def cluster_arn(name: str, *, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"arn:aws:ecs:{region}:{account}:cluster/{name}"


def a_task(
    number: int = 1,
    *,
    cluster: str = "prod",
    service: str = "checkout",
    family: str = "checkout",
    revision: int = 3,
    containers: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    account: str = ACCOUNT,
    region: str = REGION,
    **changes: Any,
) -> dict[str, Any]:
    """A task as DescribeTasks gives it: on Fargate, running, one container; ``changes`` are fields."""
    task_id = f"{number:032x}"
    arn = f"arn:aws:ecs:{region}:{account}"
    task: dict[str, Any] = {
        "taskArn": f"{arn}:task/{cluster}/{task_id}",
        "clusterArn": cluster_arn(cluster, account=account, region=region),
        "taskDefinitionArn": f"{arn}:task-definition/{family}:{revision}",
        "group": f"service:{service}" if service else f"family:{family}",
        "startedBy": f"ecs-svc/{number}",
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "availabilityZone": f"{region}{'abc'[number % 3]}",
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "healthStatus": "HEALTHY",
        "enableExecuteCommand": True,
        "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}],
        "attachments": [
            {
                "type": "ElasticNetworkInterface",
                "details": [{"name": "privateIPv4Address", "value": f"10.0.{number // 250}.{number % 250}"}],
            }
        ],
        "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        "containers": [
            a_container(arn, cluster, task_id, name, image)
            for name, image in (containers or {"app": "shop/checkout:1.0"}).items()
        ],
    }
    return task | changes


def a_container(arn: str, cluster: str, task_id: str, name: str, image: str) -> dict[str, Any]:
    return {
        "name": name,
        "containerArn": f"{arn}:container/{cluster}/{task_id}/{name}",
        "image": image,
        "imageDigest": f"sha256:{name}",
        "runtimeId": f"{task_id}-{name}",
        "lastStatus": "RUNNING",
        "healthStatus": "UNKNOWN",
        "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}],
    }


def refused(code: str, operation: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, operation)


@dataclass
class EcsWorld:
    """One account and region. ``calls`` counts calls; ``on`` holds faults, called before an answer."""

    clusters: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    on: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    page_size: int = 100
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def with_tasks(self, *tasks: dict[str, Any]) -> EcsWorld:
        for task in tasks:
            self.clusters.setdefault(task["clusterArn"].rsplit("/", 1)[1], []).append(task)
        return self

    def _called(self, operation: str, request: dict[str, Any]) -> None:
        with self._lock:
            self.calls[operation] += 1
            self.requests.append((operation, request))
        if operation in self.on:
            self.on[operation](request)

    def _cluster(self, operation: str, name: str) -> list[dict[str, Any]]:
        if name.rsplit("/", 1)[-1] not in self.clusters:
            raise refused("ClusterNotFoundException", operation, "Cluster not found.")
        return self.clusters[name.rsplit("/", 1)[-1]]

    def list_clusters(self, **request: Any) -> dict[str, Any]:
        self._called("ListClusters", request)
        return self._page("clusterArns", [cluster_arn(name) for name in self.clusters], request)

    def list_tasks(self, **request: Any) -> dict[str, Any]:
        self._called("ListTasks", request)
        tasks = self._cluster("ListTasks", request["cluster"])
        service, family = request.get("serviceName"), request.get("family")
        if service and not any(task["group"] == f"service:{service}" for task in tasks):
            raise refused("ServiceNotFoundException", "ListTasks", "Service not found.")
        arns = [
            task["taskArn"]
            for task in tasks
            if task["desiredStatus"] == request.get("desiredStatus", "RUNNING")
            and (not service or task["group"] == f"service:{service}")
            and (not family or f":task-definition/{family}:" in task["taskDefinitionArn"])
        ]
        return self._page("taskArns", arns, request)

    def _page(self, key: str, items: list[str], request: dict[str, Any]) -> dict[str, Any]:
        at = int(request.get("nextToken", "0"))
        size = min(request.get("maxResults", 100), self.page_size)
        more = {"nextToken": str(at + size)} if at + size < len(items) else {}
        return {key: items[at : at + size], **more}

    def describe_tasks(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeTasks", request)
        assert 1 <= len(request["tasks"]) <= 100
        ids = {task.rsplit("/", 1)[-1] for task in request["tasks"]}
        tasks = [
            task
            for task in self._cluster("DescribeTasks", request["cluster"])
            if task["taskArn"].rsplit("/", 1)[1] in ids
        ]
        return {"tasks": tasks, "failures": [{"reason": "MISSING"}] * (len(ids) - len(tasks))}

    def describe_container_instances(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeContainerInstances", request)
        assert 1 <= len(request["containerInstances"]) <= 100
        found = [
            {"containerInstanceArn": arn, **self.instances[arn]}
            for arn in request["containerInstances"]
            if arn in self.instances
        ]
        return {"containerInstances": found, "failures": []}

    def describe_task_definition(self, **request: Any) -> dict[str, Any]:
        self._called("DescribeTaskDefinition", request)
        return {"taskDefinition": self.definitions[request["taskDefinition"]]}


class WorldClients:
    """In place of ``Clients``: a world for each region and role."""

    def __init__(self, worlds: EcsWorld | dict[tuple[str, str], EcsWorld]) -> None:
        self._worlds = worlds
        self.asked: list[Access] = []

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> EcsWorld:
        access = access or Access()
        self.asked.append(access)
        if isinstance(self._worlds, EcsWorld):
            return self._worlds
        if (access.region, access.role_arn) not in self._worlds:
            raise RoleNotAssumable("the role cannot be assumed", where=access.role_arn, why="not trusted")
        return self._worlds[access.region, access.role_arn]

    def for_execution(self, execution_name: str) -> WorldClients:
        return self


def names(nodes: Iterator[Any] | Any) -> list[str]:
    """``<number of the task>/<container>``, short enough to read in a failing test."""
    return [f"{int(node.name.split('/')[0], 16)}/{node.container}" for node in nodes]
