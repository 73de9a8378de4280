"""ECS, a person or the host ended a task that had started; and out of memory, which nothing outranks."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.host import HOST_RULES
from taskmedic.domain.diagnosis.rules.model import (
    AGENT,
    DOC_CIRCUIT,
    DOC_EVENTS,
    DOC_EXEC,
    DOC_HEALTH,
    DOC_STOPPED,
    Rank,
    Rule,
    words,
)
from taskmedic.domain.stops import OWN_STOP_PREFIX

_FIRST: tuple[Rule, ...] = (
    Rule(
        "own-stop",
        "user.stopped",
        (words("own-stop", f"^{OWN_STOP_PREFIX}"),),  # what follows is why we did it, in anybody's words
        "taskmedic.domain.stops",
        f"{OWN_STOP_PREFIX}hung, thread dump taken",
    ),
    Rule(
        "exec-agent",
        "exec_agent.failed",
        (
            words(
                "exec-agent",
                "ExecuteCommandAgent",
                "ExecAgent",
                "exec agent",
                "execute command agent",
                "SSM agent",
                "amazon-ssm-agent",
                "CannotCreateContainerExec",
                "CannotStartContainerExec",
                "CannotInspectContainerExec",
            ),
        ),
        DOC_EXEC,
        "ExecuteCommandAgent exited: the amazon-ssm-agent process stopped",
        rank=Rank.CONSEQUENCE,
    ),
    Rule(
        "out-of-memory",
        "container.oom_killed",
        (
            words(
                "out-of-memory",
                "OutOfMemory",
                "killed due to memory usage",
                "OOM-killed",
                "OOMKilled",
                "OOM killer",
                "killed by the OOM",
                "exceeded its memory limit",
                "memory limit too low",
                "out of memory: kill",
            ),
        ),
        DOC_STOPPED,
        "OutOfMemoryError: Container killed due to memory usage",
    ),
)

_SCHEDULER: tuple[Rule, ...] = (
    Rule(
        "scaling",
        "deployment.scaling_activity",
        (
            words(
                "scaling",
                "Scaling activity initiated",
                "service is scaling in",
                "has begun draining connections on",
                "has stopped 1 running tasks",
                "running tasks: (task",
                "Service scheduler replaced the task",
                "Successfully set desired count to",  # Application Auto Scaling
                "stopped by deployment ecs-svc/",
            ),
        ),
        DOC_STOPPED,
        "Scaling activity initiated by (deployment ecs-svc/1234567890123456789)",
    ),
    Rule(
        "circuit-breaker",
        "deployment.circuit_breaker",
        (
            words(
                "circuit-breaker",
                "circuit breaker",
                "deployment failed: tasks failed to start",
                "deployment failed: task failed",
                "SERVICE_DEPLOYMENT_FAILED",
                "rolling back to",
                "tasks failed to start",
                "deployment failed",
            ),
        ),
        DOC_CIRCUIT,
        "(service orders) (deployment ecs-svc/123) deployment failed: tasks failed to start.",
    ),
    Rule(
        "load-balancer",
        "lb.health_check_failed",
        (
            words(
                "load-balancer-subject",
                "ELB health check",
                "ELB healthcheck",
                "load balancer",
                "target-group",
                "target group",
                "(elb ",
                "Lattice",
                "in (elb",
                "unhealthy in elb",
            ),
            words(
                "load-balancer",
                "failed ELB health check",
                "Lattice health check",
                "failed load balancer health check",
                "is unhealthy",
                "are unhealthy",
                "health checks failed",
                "healthcheck failed",
                "healthchecks failed",
                "failed ELB healthcheck",
                "failed health check",
                "UnhealthyThreshold",
                "is not healthy",
                "TARGET IS NOT FOUND",
                "TARGET GROUP IS NOT FOUND",
                "unhealthy target",
                "fails health check",
                "failing health check",
            ),
        ),
        DOC_EVENTS,
        "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
        "targetgroup/orders/0123456789abcdef)",
    ),
    Rule(
        "container-health",
        "container.health_check_failed",
        (
            words(
                "container-health",
                "failed container health check",
                "container health check failed",
                "failed a container health check",
                "failing container health check",
                "failed its container health check",
                "unhealthy container",
                "container unhealthy",
                "Docker health check",
                "container became unhealthy",
                "failed the container health check",
            ),
        ),
        DOC_HEALTH,
        "Task failed container health checks",
    ),
    Rule(
        "stopped-by-user",
        "user.stopped",
        (
            words(
                "stopped-by-user",
                "stopped by user",
                "stopped by the user",
                "cancelled by user",
                "canceled by user",
                "terminated by user",
                "stopped manually",
                "manually stopped",
                "stopped via",
                "StopTask",
                "user requested",
                "requested by user",
                "stopped by",
                "killed by the user",
                "killed by user",
                "terminated by the user",
                "user request",
                "cancelled by",
                "canceled by",
            ),
        ),
        DOC_STOPPED,
        "Task stopped by user",
    ),
    Rule(
        "stopped-before-pull",
        "unknown.generic",
        (
            words(
                "stopped-before-pull", "TaskStoppedBeforePullBegin", "stopped before image pull could begin"
            ),
        ),
        AGENT,
        "TaskStoppedBeforePullBeginError: Task stopped before image pull could begin for task: 0123",
        rank=Rank.OUTLINE,
    ),
)

ORCHESTRATION_RULES: tuple[Rule, ...] = (*_FIRST, *HOST_RULES, *_SCHEDULER)

# What ECS itself says of a stop that somebody asked for. The other words of these rules (a roll-back, an
# unhealthy container) are as well those of the people and tools that call StopTask.
_SAID_OF_A_REQUEST = {"scaling", "spot", "instance-deregistered", "instance-draining", "instance-gone"}
REQUEST_RULES: tuple[Rule, ...] = tuple(r for r in ORCHESTRATION_RULES if r.name in _SAID_OF_A_REQUEST)
