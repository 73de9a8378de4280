"""The host or its capacity went away under a task that ran."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import (
    DOC_EVENTS,
    DOC_STOPPED,
    Rule,
    words,
)

HOST_RULES: tuple[Rule, ...] = (
    Rule(
        "spot",
        "capacity.spot_interruption",
        (
            words(
                "spot",
                "Spot Task was interrupted",
                "Spot interruption",
                "SpotInterruptionError",
                "Spot instance was interrupted",
                "Spot capacity was reclaimed",
                "spot instance termination",
            ),
        ),
        DOC_STOPPED,
        "Your Spot Task was interrupted.",
    ),
    Rule(
        "fargate-retirement",
        "fargate.maintenance_retirement",
        (
            words(
                "fargate-retirement",
                "performing maintenance on the underlying",
                "scheduled for retirement",
                "task retirement",
                "task maintenance",
                "being retired",
                "has been retired",
                "infrastructure maintenance",
                "underlying infrastructure hosting the task",
                "Fargate maintenance",
                "platform version has been deprecated",
                "PATCHING_RETIREMENT",
                "security patch",
            ),
        ),
        DOC_STOPPED,
        "ECS is performing maintenance on the underlying infrastructure hosting the task.",
    ),
    Rule(
        "instance-deregistered",
        "host.instance_deregistered",
        (
            words(
                "instance-deregistered",
                "Container instance deregistration",
                "container instance was deregistered",
                "container instance has been deregistered",
                "deregistered container instance",
                "instance deregistered",
                "deregistration forced",
                "^INACTIVE$",
                "Reason: INACTIVE",
            ),
        ),
        DOC_STOPPED,
        "Container instance deregistration forced by user",
    ),
    Rule(
        "instance-draining",
        "host.instance_draining",
        (
            words(
                "instance-draining",
                "container instance draining",
                "instance is draining",
                "instance in DRAINING",
                "set to DRAINING",
                "DRAINING status",
                "instance is being drained",
                "due to container instance draining",
                "DRAINING state",
            ),
        ),
        DOC_EVENTS,
        "(service orders) stopped a task because its container instance is in DRAINING status.",
    ),
    Rule(
        "instance-gone",
        "host.instance_terminated",
        (
            words(
                "instance-gone-subject",
                "Host EC2",
                "EC2 instance",
                "instance i-",
                "managed instance",
                "container instance",
            ),
            words(
                "instance-gone",
                ") terminated",
                ") stopped",
                "instance terminated",
                "instance stopped",
                "was terminated",
                "was stopped",
                "has been terminated",
                "is terminating",
                "is shutting down",
                "being terminated",
                "rebooted",
            ),
        ),
        DOC_STOPPED,
        "Host EC2 (instance i-0123456789abcdef0) terminated.",
    ),
    Rule(
        "agent-disconnected",
        "host.agent_disconnected",
        (
            words(
                "agent-disconnected",
                "encountered error AGENT",
                "agent is disconnected",
                "agent disconnected",
                "agent is not connected",
                "agent not connected",
                "agentConnected: false",
                "lost connection to the agent",
                "ECS agent is unreachable",
                "agent was disconnected",
                "have the agent connected",
                "agent is unreachable",
                "waiting for Amazon ECS Agent to start",
                "^AGENT$",
                "TaskFailedToStart: AGENT",
                "Reason: AGENT",
            ),
        ),
        DOC_EVENTS,
        "(service orders) was unable to place a task. The closest matching container-instance encountered "
        'error "AGENT".',
    ),
)
