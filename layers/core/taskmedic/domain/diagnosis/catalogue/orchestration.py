"""Placement, deployments, people, hosts and the platform."""

from __future__ import annotations

from taskmedic.domain.diagnosis.catalogue.model import Category, Line

CAPACITY = (
    Category(
        "capacity.insufficient",
        "Nowhere was room for the task.",
        "No capacity to place the task",
        "Neither Fargate nor an instance of the cluster had the CPU, memory, GPU, port or attribute that "
        "the task asks for.",
        (
            Line("missing_resource", "What is short: {missing_resource}."),
            "Offer more subnets in other Availability Zones, or a second capacity provider.",
            "On EC2, scale the cluster out, or lower the task's reservation.",
            "Try again later: Fargate capacity comes back.",
        ),
    ),
    Category(
        "capacity.quota_exceeded",
        "A quota of the account is used up.",
        "Account quota reached",
        "The account may not run more of this at once.",
        (
            "Request a higher quota in Service Quotas.",
            "Until then, stop what is not needed or lower the desired count.",
        ),
    ),
    Category(
        "capacity.spot_interruption",
        "Spot capacity was reclaimed.",
        "Spot capacity was reclaimed",
        "AWS took back the Spot capacity on which the task ran. The application is not at fault; a service "
        "is given a new task.",
        (
            "Nothing, if it is rare.",
            (
                "If it is frequent, set a base on FARGATE or on-demand capacity in the capacity provider "
                "strategy."
            ),
            "See that the application ends cleanly within two minutes of SIGTERM.",
        ),
        benign=True,
    ),
)

DEPLOYMENT = (
    Category(
        "deployment.scaling_activity",
        "A deployment or scale-in replaced the task.",
        "Replaced by a deployment or scale-in",
        "The service scheduler stopped the task because the service needs it no more: a newer deployment or "
        "a lower count.",
        (
            "Nothing.",
            Line(
                "killed",
                "Its exit code 137 says that it ignored SIGTERM for the whole stopTimeout: handle SIGTERM.",
            ),
        ),
        benign=True,
    ),
    Category(
        "deployment.circuit_breaker",
        "Task after task of a deployment or service did not start, or did not stay healthy.",
        "Task after task did not start",
        "Too many tasks of the service did not start or did not stay healthy. A deployment circuit breaker, "
        "where there is one, then gives the deployment up.",
        (
            "Look at the stopped tasks: each has its own cause.",
            (
                "With rollback switched on the former deployment is coming back; else deploy the last good "
                "revision."
            ),
        ),
    ),
    Category(
        "user.stopped",
        "A person or a program called StopTask.",
        "Stopped on request",
        "Somebody, or a tool, called StopTask for this task. {said}",
        ("Nothing. CloudTrail's StopTask event says who it was.",),
        benign=True,
        many_causes=True,
    ),
)

HOST = (
    Category(
        "host.instance_terminated",
        "The EC2 instance under the task was stopped or terminated.",
        "Host went away: {instance}",
        "{instance} was stopped or terminated while the task ran on it.",
        (
            (
                "Look in the Auto Scaling group's activity for the reason: scale-in, Spot, failed status "
                "check, "
                "or a person."
            ),
            "Switch on managed termination protection and managed draining of the capacity provider.",
        ),
    ),
    Category(
        "host.instance_deregistered",
        "The container instance was deregistered from the cluster.",
        "Host deregistered: {instance}",
        "{instance} was taken out of the cluster by force, and its tasks with it.",
        (
            "CloudTrail's DeregisterContainerInstance event says who it was.",
            "Drain an instance before it is deregistered.",
        ),
    ),
    Category(
        "host.instance_draining",
        "The container instance is being drained.",
        "Host is draining: {instance}",
        "{instance} is being emptied, and the service's tasks are replaced elsewhere.",
        ("Nothing, if the service is whole again.",),
        benign=True,
    ),
    Category(
        "host.agent_disconnected",
        "The ECS agent of the host does not answer.",
        "ECS agent disconnected: {instance}",
        "The agent on {instance} lost its connection to ECS, so nothing can be placed there.",
        (
            "Restart the agent on the host (systemctl restart ecs), or replace the instance.",
            "Check the host's memory and disk, and its route to the ecs, ecs-a and ecs-t endpoints.",
        ),
    ),
)

PLATFORM = (
    Category(
        "fargate.maintenance_retirement",
        "AWS retires the platform revision the task runs on.",
        "Retired by AWS for maintenance",
        "AWS replaces the Fargate platform under the task with a patched one. A service is given a new task.",
        (
            "Nothing for a service with more than one task.",
            "A standalone task must be started again by whoever needs it.",
        ),
        benign=True,
    ),
    Category(
        "platform.internal_error",
        "ECS, Fargate or the agent failed in itself.",
        "Internal error of the platform",
        "ECS or its agent failed; nothing in the text points at the task.",
        (
            "Start the task again.",
            "If it repeats, look at AWS Health for the Region, and open a support case with the task's ARN.",
        ),
        many_causes=True,
    ),
    Category(
        "exec_agent.failed",
        "The agent of ECS Exec failed. This does not stop a task.",
        "ECS Exec agent failed in {container}",
        "The agent that runs commands in the container fell over. The task goes on without it.",
        (
            "Check the task role's ssmmessages permissions and its route to the ssmmessages endpoint.",
            "Run `taskmedic check` on the container.",
        ),
        many_causes=True,
    ),
    Category(
        "unknown.generic",
        "Nothing that was said names the cause.",
        "Cause not known",
        "{said} What would tell the cause is missing, was cut off, or is worded in a way not known here.",
        (
            (
                "Fetch each container's reason and exit code: `aws ecs describe-tasks`, within an hour of "
                "the "
                "stop."
            ),
            "Read the service's events around the stop: `aws ecs describe-services`.",
            "Read the last log lines of the containers.",
        ),
        many_causes=True,
    ),
)

ORCHESTRATION = (*CAPACITY, *DEPLOYMENT, *HOST, *PLATFORM)
