"""The records as the API and EventBridge show them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from taskmedic_local.ecs.model import (
    EXEC_AGENT,
    Cluster,
    Container,
    ContainerInstance,
    Deployment,
    Json,
    Service,
    Task,
    TaskDefinition,
)


def _present(**values: Any) -> Json:
    """Without what is None or an empty text."""
    return {name: value for name, value in values.items() if value is not None and value != ""}


def iso(seconds: float) -> str:
    """As in events: UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task(record: Task, *, tags: bool = False) -> Json:
    """A task as DescribeTasks shows it."""
    shown = {**_task(record), **_times(record)}
    shown["attachments"] = _attachments(record, "ElasticNetworkInterface")
    if record.launch_type == "FARGATE":
        shown["platformFamily"] = "Linux"
    shown["healthStatus"] = record.health
    shown["containers"] = [_described_container(record, each) for each in record.containers]
    shown["tags"] = record.tags if tags else []
    return shown


def task_event(record: Task, *, account: str, region: str, at: float) -> Json:
    """The ``ECS Task State Change`` event of the task as it is now. It carries no health, and no tags."""
    detail = {**_task(record), **{name: iso(at) for name, at in _times(record).items()}}
    detail["attachments"] = _attachments(record, "eni")
    detail["updatedAt"] = iso(record.updated_at)
    detail["containers"] = [_container_in_event(record, each) for each in record.containers]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": account,
        "time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [record.arn],
        "detail": detail,
    }


def _task(record: Task) -> Json:
    definition = record.definition.content
    return _present(
        attributes=[{"name": "ecs.cpu-architecture", "value": _architecture(record)}],
        availabilityZone=record.availability_zone,
        capacityProviderName=record.capacity_provider,
        clusterArn=record.cluster.arn,
        connectivity="CONNECTED" if record.connectivity_at else None,
        containerInstanceArn=record.instance.arn if record.instance else None,
        cpu=definition.get("cpu"),
        desiredStatus=record.desired_status,
        enableExecuteCommand=record.exec_enabled,
        ephemeralStorage={"sizeInGiB": 20} if record.launch_type == "FARGATE" else None,
        group=record.group,
        lastStatus=record.last_status,
        launchType=record.launch_type,
        memory=definition.get("memory"),
        overrides=record.overrides,
        platformVersion=record.platform_version,
        startedBy=record.started_by,
        stopCode=record.stop_code,
        stoppedReason=record.stopped_reason,
        taskArn=record.arn,
        taskDefinitionArn=record.definition.arn,
        version=record.version,
    )


def _times(record: Task) -> dict[str, float]:
    named = {
        "connectivityAt": record.connectivity_at,
        "createdAt": record.created_at,
        "pullStartedAt": record.pull_started_at,
        "pullStoppedAt": record.pull_stopped_at,
        "startedAt": record.started_at,
        "stoppingAt": record.stopping_at,
        "executionStoppedAt": record.execution_stopped_at,
        "stoppedAt": record.stopped_at,
    }
    return {name: at for name, at in named.items() if at is not None}


def _architecture(record: Task) -> str:
    return str(record.definition.content.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")).lower()


def _attachments(record: Task, kind: str) -> list[Json]:
    network = record.network
    if network is None:
        return []
    ip_name = f"ip-{network.private_ip.replace('.', '-')}.ec2.internal"
    details = {
        "subnetId": network.subnet_id,
        "networkInterfaceId": network.eni_id,
        "macAddress": network.mac,
        "privateDnsName": ip_name,
        "privateIPv4Address": network.private_ip,
    }
    if network.status == "PRECREATED":
        details = {"subnetId": network.subnet_id}
    return [
        {
            "id": network.attachment_id,
            "type": kind,
            "status": network.status,
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }
    ]


def container_arn(record: Task, container: Container) -> str:
    """The long form."""
    return f"{record.cluster.prefix}:container/{record.cluster.name}/{record.id}/{container.id}"


def _container(record: Task, container: Container) -> Json:
    definition = container.definition
    network = record.network
    attached = network is not None and network.status != "PRECREATED"
    return _present(
        containerArn=container_arn(record, container),
        taskArn=record.arn,
        name=container.name,
        image=definition["image"],
        imageDigest=container.image_digest,
        runtimeId=container.runtime_id,
        lastStatus=container.last_status,
        exitCode=container.exit_code,
        reason=container.reason,
        networkInterfaces=[{"attachmentId": network.attachment_id, "privateIpv4Address": network.private_ip}]
        if network and attached
        else [],
        cpu=str(definition.get("cpu", 0)),
        memory=_text(definition.get("memory")),
        memoryReservation=_text(definition.get("memoryReservation")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _described_container(record: Task, container: Container) -> Json:
    shown = _container(record, container)
    shown.update(healthStatus=container.health, networkBindings=[])
    if container.agent_status:
        agent = _present(
            name=EXEC_AGENT,
            lastStatus=container.agent_status,
            lastStartedAt=container.agent_started_at,
            reason=container.agent_reason,
        )
        shown["managedAgents"] = [agent]
    return shown


def _container_in_event(record: Task, container: Container) -> Json:
    shown = _container(record, container)
    if container.agent_status:
        shown["managedAgents"] = [{"name": EXEC_AGENT, "status": container.agent_status}]
    return shown


def cluster(record: Cluster, include: frozenset[str] = frozenset()) -> Json:
    """A cluster as DescribeClusters shows it."""
    counts = [each.last_status for each in record.tasks.values()]
    shown = {
        "clusterArn": record.arn,
        "clusterName": record.name,
        "status": record.status,
        "registeredContainerInstancesCount": len(record.instances),
        "runningTasksCount": counts.count("RUNNING"),
        "pendingTasksCount": sum(status in {"PROVISIONING", "PENDING", "ACTIVATING"} for status in counts),
        "activeServicesCount": sum(each.status == "ACTIVE" for each in record.services.values()),
        "statistics": [],
        "tags": record.tags if "TAGS" in include else [],
        "settings": record.content.get("settings", []) if "SETTINGS" in include else [],
        "capacityProviders": record.content.get("capacityProviders", ["FARGATE", "FARGATE_SPOT"]),
        "defaultCapacityProviderStrategy": record.content.get("defaultCapacityProviderStrategy", []),
    }
    if "CONFIGURATIONS" in include and "configuration" in record.content:
        shown["configuration"] = record.content["configuration"]
    return shown


def service(record: Service, *, tags: bool = False) -> Json:
    """A service as DescribeServices shows it."""
    tasks = [each for each in record.tasks.values() if each.alive]
    shown = {
        "serviceArn": record.arn,
        "serviceName": record.name,
        "clusterArn": record.cluster.arn,
        "loadBalancers": [],
        "serviceRegistries": [],
        "status": record.status,
        "desiredCount": record.desired_count,
        "runningCount": sum(each.last_status == "RUNNING" for each in tasks),
        "pendingCount": sum(each.last_status != "RUNNING" for each in tasks),
        "launchType": record.launch_type,
        "taskDefinition": record.primary.definition.arn,
        "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
        "deployments": [_deployment(record, each) for each in record.deployments],
        "events": record.events,
        "createdAt": record.created_at,
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "propagateTags": "NONE",
        "enableExecuteCommand": record.exec_enabled,
        **record.content,
    }
    if record.launch_type == "FARGATE":
        shown.setdefault("platformVersion", "LATEST")
        shown["platformFamily"] = "Linux"
    if tags:
        shown["tags"] = record.tags
    return shown


def _deployment(record: Service, deployment: Deployment) -> Json:
    tasks = [each for each in record.tasks.values() if each.alive and each.deployment_id == deployment.id]
    return _present(
        id=deployment.id,
        status=deployment.status,
        taskDefinition=deployment.definition.arn,
        desiredCount=record.desired_count if deployment is record.primary else len(tasks),
        pendingCount=sum(each.last_status != "RUNNING" for each in tasks),
        runningCount=sum(each.last_status == "RUNNING" for each in tasks),
        failedTasks=deployment.failed_tasks,
        createdAt=deployment.created_at,
        updatedAt=deployment.updated_at,
        launchType=record.launch_type,
        rolloutState=deployment.rollout,
        rolloutStateReason=deployment.rollout_reason,
    )


def task_definition(record: TaskDefinition) -> Json:
    """A revision as DescribeTaskDefinition shows it."""
    shown = {
        "volumes": [],
        "placementConstraints": [],
        **record.content,
        "taskDefinitionArn": record.arn,
        "family": record.family,
        "revision": record.revision,
        "status": record.status,
        "registeredAt": record.registered_at,
    }
    if record.deregistered_at:
        shown["deregisteredAt"] = record.deregistered_at
    return shown


def container_instance(record: ContainerInstance, counts: tuple[int, int], *, tags: bool = False) -> Json:
    """As DescribeContainerInstances shows it; ``counts``: its running and its pending tasks."""
    attributes = {
        "ecs.instance-type": record.instance_type,
        "ecs.availability-zone": record.availability_zone,
        "ecs.os-type": "linux",
        "ecs.cpu-architecture": "x86_64",
    }
    shown = {
        "containerInstanceArn": record.arn,
        "ec2InstanceId": record.ec2_instance_id,
        "version": record.version,
        "versionInfo": {"agentVersion": "1.98.0", "dockerVersion": "DockerVersion: 25.0.8"},
        "remainingResources": [],
        "registeredResources": [],
        "status": record.status,
        "agentConnected": record.agent_connected,
        "runningTasksCount": counts[0],
        "pendingTasksCount": counts[1],
        "attributes": [{"name": name, "value": value} for name, value in attributes.items()],
        "registeredAt": record.registered_at,
        "attachments": [],
    }
    if tags:
        shown["tags"] = record.tags
    return shown
