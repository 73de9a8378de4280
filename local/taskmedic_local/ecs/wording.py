"""AWS's sentences about tasks that die, in its wording."""

from __future__ import annotations

import uuid

from taskmedic_local.ecs.model import Task

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
CONTAINER_UNHEALTHY = "Task failed container health checks"
SPOT = "Your Spot Task was interrupted."
STOPPED_BY_USER = "Task stopped by user"


def image_not_found(image: str) -> str:
    """The tag is not in the registry."""
    return (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
        f"failed to resolve ref {image}: {image}: not found"
    )


def secret_denied(task: Task, secret_arn: str) -> str:
    """The execution role may not read the secret."""
    role_arn = task.definition.content.get("executionRoleArn", "")
    role = role_arn.rsplit("/", 1)[-1] or "ecsTaskExecutionRole"
    account = task.cluster.prefix.split(":")[4]
    session = f"arn:aws:sts::{account}:assumed-role/{role}/{task.id}"
    return (
        "ResourceInitializationError: unable to pull secrets or registry auth: "
        "execution resource retrieval failed: unable to retrieve secret from asm: "
        f"service call has been retried 1 time(s): failed to fetch secret {secret_arn} from secrets manager: "
        f"AccessDeniedException: User: {session} is not authorized to perform: secretsmanager:GetSecretValue "
        f"on resource: {secret_arn} because no identity-based policy allows the "
        f"secretsmanager:GetSecretValue action status code: 400, request id: {uuid.uuid4()}"
    )


def elb_unhealthy(target_group_arn: str) -> str:
    """The load balancer's health checks failed."""
    return f"Task failed ELB health checks in (target-group {target_group_arn})"


def host_terminated(instance_id: str) -> str:
    """The EC2 instance is gone."""
    return f"Host EC2 (instance {instance_id}) terminated."
