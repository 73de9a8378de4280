"""The task's network interface could not be made, or its roles could not be taken on."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import AGENT, DOC_STOPPED, EC2_API, Rule, words
from taskmedic.domain.diagnosis.words import DENIED, ENI, ENI_ERROR, ROLE, START

NETWORK_RULES: tuple[Rule, ...] = (
    Rule(
        "subnet-full",
        "network.ip_exhausted",
        (
            words(
                "subnet-full",
                "InsufficientFreeAddresses",
                "InsufficientFreeAddressesInSubnet",
                "not have enough free addresses",
                "insufficient free IP",
                "no free IP",
                "no available IP",
                "not enough IP addresses",
                "does not have enough available IP",
                "insufficient IP addresses",
                "no more IP addresses",
                "PrivateIpAddressLimitExceeded",
            ),
        ),
        EC2_API,
        "Unexpected EC2 error while attempting to Create Network Interface: "
        "InsufficientFreeAddressesInSubnet",
    ),
    Rule(
        "subnet-full-by-outline",
        "network.ip_exhausted",
        (
            words(
                "subnet-full-by-outline",
                "Create Network Interface with public IP assignment enabled in subnet",
                "Create Network Interface with public IP assignment disabled in subnet",
                "create network interface in subnet",
            ),
        ),
        DOC_STOPPED,
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment "
        "enabled in subnet "
        "'subnet-0123456789abcdef0'",
        none_of=(
            words(
                "subnet-full-by-outline-not",
                DENIED,
                "TagPolicy",
                "Invalid",
                "LimitExceeded",
                "InternalError",
                "Unavailable",
                "AuthFailure",
                "Unauthorized",
                "RequestLimit",
            ),
        ),
    ),
    Rule(
        "eni-quota",
        "capacity.quota_exceeded",
        (words("eni-quota", "NetworkInterfaceLimitExceeded", "maximum number of network interfaces"),),
        EC2_API,
        "Unexpected EC2 error while attempting to Create Network Interface: NetworkInterfaceLimitExceeded",
    ),
    Rule(
        "eni-error",
        "network.eni_provisioning",
        (ENI_ERROR,),
        AGENT,
        "CannotStartContainerError: ContainerNetworkingError: failed to configure ENI: no device",
    ),
    Rule(
        "eni",
        "network.eni_provisioning",
        (ENI,),
        DOC_STOPPED,
        "Timeout waiting for network interface provisioning to complete.",
        none_of=(START,),  # runc and Docker speak of interfaces of their own bridge
    ),
)

ROLE_RULES: tuple[Rule, ...] = (
    Rule(
        "role",
        "iam.role_assume_failed",
        (ROLE,),
        DOC_STOPPED,
        "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/orders-task' that was provided "
        "for this task.",
    ),
    Rule(
        "task-credentials",
        "iam.role_assume_failed",
        (words("task-credentials", "task credentials", "role credentials", "proper trust relationship"),),
        AGENT,
        "Unable to start the task: the role has no proper trust relationship to ecs-tasks.amazonaws.com",
    ),
)
