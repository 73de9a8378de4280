"""Everything that can be read beside a stopped task. Each function is one read; errors are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.arns import last_part
from taskmedic.domain.diagnosis.images import EcrImage
from taskmedic.domain.diagnosis.reachability import Network
from taskmedic.domain.errors import TaskmedicError
from taskmedic.domain.masking import mask_lines
from taskmedic.domain.printable import printable
from taskmedic.domain.task_record import ContainerRecord, TaskRecord

Described = dict[str, Any]

SERVICES_BATCH = 10  # the most DescribeServices takes (ECS API reference)
INSTANCES_BATCH = 100
LOG_MESSAGE_CHARS = 8000  # kept of one log event
# What ECR answers when an image or its repository is not there (ECR API reference, DescribeImages).
_NO_IMAGE = {"ImageNotFoundException", "RepositoryNotFoundException"}


class NotReadable(TaskmedicError):
    """Something cannot be read for a reason that is no refusal: a log driver keeps nothing we could read."""


def definition(clients: Clients, access: Access, arn: str) -> Described:
    """A task definition, by ARN or ``family:revision``."""
    with translated("cannot describe the task definition", last_part(arn)):
        answer = clients.get("ecs", access).describe_task_definition(taskDefinition=arn)
    return dict(answer["taskDefinition"])


def services(clients: Clients, access: Access, cluster: str, names: Sequence[str]) -> dict[str, Described]:
    """Up to ten services by name, with their events and deployments."""
    with translated("cannot describe the services", ", ".join(names)):
        answer = clients.get("ecs", access).describe_services(cluster=cluster, services=list(names))
    return {service["serviceName"]: service for service in answer["services"]}


def instances(clients: Clients, access: Access, cluster: str, arns: Sequence[str]) -> dict[str, Described]:
    """Up to a hundred container instances by ARN; one that is gone is not among them."""
    with translated("cannot describe the container instances", cluster):
        answer = clients.get("ecs", access).describe_container_instances(
            cluster=cluster, containerInstances=list(arns)
        )
    return {instance["containerInstanceArn"]: instance for instance in answer["containerInstances"]}


@dataclass(frozen=True)
class LogStream:
    """Where the awslogs driver put a container's output."""

    group: str
    stream: str
    region: str = ""


def log_stream(
    record: TaskRecord, container: ContainerRecord, container_definition: Mapping[str, Any]
) -> LogStream:
    """The stream of one container.

    Raises:
        NotReadable: its log driver is not awslogs, or does not say where it writes.
    """
    configuration = container_definition.get("logConfiguration") or {}
    driver = configuration.get("logDriver")
    if driver != "awslogs":
        raise NotReadable(f"its log driver is {driver}" if driver else "it has no log driver")
    options = configuration.get("options") or {}
    group = options.get("awslogs-group")
    if not group:
        raise NotReadable("its log driver names no awslogs-group")
    prefix = options.get("awslogs-stream-prefix")
    # Without a prefix (EC2 only) Docker names the stream after the container's id.
    stream = f"{prefix}/{container.name}/{record.task_id}" if prefix else container.runtime_id
    if not stream:
        raise NotReadable(
            "its log stream cannot be told: neither awslogs-stream-prefix nor runtimeId is known"
        )
    return LogStream(group, stream, options.get("awslogs-region") or "")


def log_tail(clients: Clients, access: Access, stream: LogStream, lines: int) -> list[Described]:
    """The last ``lines`` events of the stream, oldest first, fit to be shown and stored.

    Secrets are masked, a long message is cut, and what steers a terminal is gone.
    """
    access = Access(stream.region or access.region, access.role_arn, access.external_id)
    with translated("cannot read the log", f"{stream.group} {stream.stream}"):
        answer = clients.get("logs", access).get_log_events(
            logGroupName=stream.group, logStreamName=stream.stream, limit=lines, startFromHead=False
        )
    return _fit_to_show(answer["events"])


def _fit_to_show(events: Sequence[Described]) -> list[Described]:
    # Half as much again is masked as is kept: what the cut goes through is seen as what it is.
    most = LOG_MESSAGE_CHARS * 3 // 2
    messages = (str(event.get("message", ""))[:most].replace("\r\n", "\n") for event in events)
    shown = mask_lines([printable(message).replace("\r", "") for message in messages])
    return [{**event, "message": text[:LOG_MESSAGE_CHARS]} for event, text in zip(events, shown, strict=True)]


def target_health(clients: Clients, access: Access, target_group: str) -> list[Described]:
    """Each target of the group with its state and reason code."""
    with translated("cannot describe the target health", target_group):
        answer = clients.get("elbv2", access).describe_target_health(TargetGroupArn=target_group)
    return list(answer["TargetHealthDescriptions"])


def image_pushed_at(clients: Clients, access: Access, image: EcrImage) -> datetime | None:
    """When the image was pushed; None when ECR has no such image or repository."""
    access = Access(image.region, access.role_arn, access.external_id)
    with translated("cannot look the image up in ECR", image.repository):
        try:
            answer = clients.get("ecr", access).describe_images(
                registryId=image.account, repositoryName=image.repository, imageIds=[image.id]
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_IMAGE:
                return None
            raise
    pushed: datetime = answer["imageDetails"][0]["imagePushedAt"]
    return pushed


def network(
    clients: Clients, access: Access, subnet: str, groups: Sequence[str], public_ip: bool | None
) -> Network:
    """The subnet's route table, its VPC's endpoints, and the task's security groups."""
    ec2 = clients.get("ec2", access)
    with translated("cannot describe the network", subnet):
        tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])[
            "RouteTables"
        ]
        vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        in_vpc = {"Name": "vpc-id", "Values": [vpc]}
        if not tables:  # a subnet without a table of its own uses the VPC's main one
            main = {"Name": "association.main", "Values": ["true"]}
            tables = ec2.describe_route_tables(Filters=[in_vpc, main])["RouteTables"]
        endpoints = ec2.describe_vpc_endpoints(Filters=[in_vpc])["VpcEndpoints"]
        described = ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"] if groups else ()
    return Network(
        subnet=subnet,
        public_ip=public_ip,
        route_table=tables[0] if tables else None,
        endpoints=endpoints,
        security_groups=described,
    )
