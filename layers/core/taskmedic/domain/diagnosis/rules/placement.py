"""No place was found for the task, or one of its containers waited for another in vain."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import (
    AGENT,
    DOC_EVENTS,
    DOC_STOPPED,
    EC2_API,
    Rank,
    Rule,
    words,
)

CAPACITY_RULES: tuple[Rule, ...] = (
    Rule(
        "quota",
        "capacity.quota_exceeded",
        (
            words(
                "quota",
                "reached the limit on the number",
                "above your limit",
                "exceeds your limit",
                "exceeded your limit",
                "current vCPU limit",
                "VcpuLimitExceeded",
                "InstanceLimitExceeded",
                "MaxSpotInstanceCountExceeded",
                "service quota",
                "quota exceeded",
                "exceeds the quota",
                "limit on the number of vCPUs",
                "ServiceQuotaExceeded",
                "reached the maximum number of",
                "provisioning capacity limit was exceeded",
            ),
        ),
        DOC_EVENTS,
        "(service orders) was unable to place a task. Reason: You've reached the limit on the number of "
        "vCPUs you can "
        "run concurrently.",
    ),
    Rule(
        "no-capacity",
        "capacity.insufficient",
        (
            words(
                "no-capacity",
                "RESOURCE:CPU",
                "RESOURCE:MEMORY",
                "RESOURCE:GPU",
                "RESOURCE:ENI",
                "RESOURCE:PORTS",
                "RESOURCE:FARGATE",
                "RESOURCE:DISK",
                "RESOURCE:INFERENCE",
                "Capacity is unavailable",
                "no container instance met all of its requirements",
                "no container instances were found",
                "No Container Instances",
                "already using a port required",
                "placement constraint",
                "have enough CPU",
                "have enough memory",
                "insufficient CPU",
                "insufficient memory",
                "insufficient GPU",
                "insufficient capacity",
                "insufficient resources",
                "has insufficient",
                "InsufficientInstanceCapacity",
                "Insufficient instance capacity",
                "InsufficientCapacity",
                "insufficient EC2 capacity",
                "not have sufficient",
                "no Spot capacity",
                "resources could not be found",
                "do not currently have sufficient",
                "missing an attribute required",
                "is missing an attribute",
                "EMPTY CAPACITY PROVIDER",
                "^ATTRIBUTE$",
                "TaskFailedToStart: ATTRIBUTE",
                "Reason: ATTRIBUTE",
                "^LOCATION$",
                "no capacity available",
                "no instance type",
                "UnfulfillableCapacity",
                "not enough capacity",
                "capacity not available",
                "capacity provider does not",
                "launch type is not compatible",
                "not compatible with",
                "UnsupportedOperation: The requested configuration",
                "does not support the requested",
                "instances that meet the job requirements",  # AWS Batch, whose jobs are tasks
                "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT -",
                "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE -",
                "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY -",
            ),
        ),
        DOC_EVENTS,
        "(service orders) was unable to place a task because no container instance met all of its "
        "requirements. The "
        "closest matching container-instance 0123 has insufficient memory available.",
    ),
    Rule(
        "ec2-capacity",
        "capacity.insufficient",
        (
            words(
                "ec2-capacity-subject",
                "Unexpected EC2 error",
                "EC2 error",
                "RunInstances",
                "CreateFleet",
                "managed instance",
            ),
            words("ec2-capacity", "capacity", "Unsupported: Your requested instance type"),
        ),
        EC2_API,
        "ResourceInitializationError: Unexpected EC2 error while launching: Unsupported: Your requested "
        "instance type is "
        "not supported in your requested Availability Zone",
    ),
)

DEPENDENCY_RULES: tuple[Rule, ...] = (
    Rule(
        "dependency-timeout",
        "dependency.timeout",
        (
            words(
                "dependency-timeout-subject",
                "dependency",
                "dependsOn",
                "dependencies",
                "container ordering",
                "startTimeout",
            ),
            words("dependency-timeout", "timed out", "timeout", "time out"),
        ),
        AGENT,
        "dependency graph: container ordering dependency [migrate] for target [orders] has timed out.",
        rank=Rank.CONSEQUENCE,
    ),
    Rule(
        "dependency",
        "dependency.container_failed",
        (
            words(
                "dependency",
                "dependency graph",
                "TaskDependencyError",
                "container ordering dependency",
                "dependsOn",
                "dependency did not",
                "dependency container",
                "dependent container",
                "dependency failed",
                "depends on container",
                "dependency will never start",
                "container dependency",
                "did not reach the required",
                "dependency not satisfied",
                "task dependency",
                "did not exit successfully",
            ),
        ),
        AGENT,
        "dependency graph: failed to resolve container ordering dependency [migrate] for target [orders] as "
        "the "
        "dependency did not exit successfully",
        rank=Rank.CONSEQUENCE,
    ),
)

PLATFORM_RULES: tuple[Rule, ...] = (
    Rule(
        "internal-error",
        "platform.internal_error",
        (
            words(
                "internal-error",
                "InternalError",
                "Internal error",
                "Internal service error",
                "InternalServerError",
                "ServerException",
                "Service unavailable",
                "unexpected error occurred",
                "An unexpected error",
                "ServiceUnavailable",
                "InternalFailure",
                "CgroupError",
                "Agent could not",
                "ContainerRuntimeError",
                "EphemeralStorage provisioning",
            ),
        ),
        DOC_STOPPED,
        "InternalError: The agent could not start the task.",
        rank=Rank.CONSEQUENCE,
    ),
)

PLACEMENT_RULES: tuple[Rule, ...] = (*CAPACITY_RULES, *DEPENDENCY_RULES, *PLATFORM_RULES)
