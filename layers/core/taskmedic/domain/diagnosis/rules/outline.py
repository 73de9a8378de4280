"""The text says which part of the start failed and no more: it was cut off, or it never said why."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import (
    AGENT,
    DOC_EVENTS,
    DOC_RESOURCE,
    DOC_STOPPED,
    Rank,
    Rule,
    words,
)
from taskmedic.domain.diagnosis.words import CREATE, ECR_AUTH, LOGS, PLACEMENT, SECRET, START

OUTLINE_RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-auth-outline",
        "image_pull.auth",
        (ECR_AUTH,),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve ecr "
        "registry auth:",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "secret-outline",
        "secrets.access_denied",
        (SECRET,),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret "
        "from asm:",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "logs-outline",
        "logs.config",
        (LOGS,),
        DOC_RESOURCE,
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver:",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "create-outline",
        "container.create_failed",
        (CREATE,),
        DOC_STOPPED,
        "CannotCreateContainerError: API error (400): the container has no name",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "start-outline",
        "container.start_failed",
        (START,),
        DOC_STOPPED,
        "CannotStartContainerError: failed to get container status",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "resource-outline",
        "platform.internal_error",
        (
            words(
                "resource-outline",
                "resource cannot be initialized for task",
                "error initializing resource",
                "cgroup resource",
                "setup cgroup",
            ),
        ),
        AGENT,
        "ResourceInitializationError: resource cannot be initialized for task 0123",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "service-does-not-start",
        "deployment.circuit_breaker",
        (words("service-does-not-start", "unable to consistently start tasks"),),
        DOC_EVENTS,
        "(service orders) is unable to consistently start tasks successfully.",
        rank=Rank.OUTLINE,
    ),
    Rule(
        "placement-outline",
        "capacity.insufficient",
        (PLACEMENT,),
        DOC_STOPPED,
        "(service orders) was unable to place a task.",
        # an event around a reason that was cut off: the place was found
        none_of=(
            words(
                "placement-outline-not",
                "ResourceInitializationError",
                "Reason: Task failed to start",
                "Reason: Essential container",
            ),
        ),
        rank=Rank.OUTLINE,
    ),
)
