"""The ways to die, as they look from outside: codes, reasons in AWS's words, logs, and who comes after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.local_ecs.builders import ACCOUNT, REGION, LocalEcs, a_definition, a_host

from taskmedic_local.ecs.causes import CauseInvalid
from taskmedic_local.ecs.model import Task


@pytest.fixture
def die(web: LocalEcs) -> Callable[..., tuple[dict[str, Any], list[Task]]]:
    """The last event of the first task that was hit, after all is over; and all that were hit."""

    def strike(cause: str, **how: Any) -> tuple[dict[str, Any], list[Task]]:
        service = web.engine.cluster(ACCOUNT, REGION, "prod").services["web"]
        tasks = web.causes.strike(cause, web.order(service, **how))
        web.pass_time(60)
        return web.last_event(tasks[0].arn), tasks

    return strike


def _container(detail: dict[str, Any], name: str = "app") -> dict[str, Any]:
    return next(each for each in detail["containers"] if each["name"] == name)


def test_out_of_memory(web: LocalEcs, die: Any) -> None:
    detail, _ = die("out_of_memory")
    assert (detail["stopCode"], detail["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    app = _container(detail)
    assert (app["exitCode"], app["reason"]) == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert _container(detail, "proxy")["exitCode"] == 0
    assert len(web.running()) == 2


def test_a_bad_exit_leaves_its_stack_trace_in_the_log_before_the_event_tells(web: LocalEcs, die: Any) -> None:
    die("exit", exit_code=3)
    assert web.told.index("log") < web.told.index("STOPPED")


def test_a_bad_exit(web: LocalEcs, die: Any) -> None:
    detail, (task,) = die("exit", exit_code=3, log_lines=("boom",))
    assert _container(detail)["exitCode"] == 3
    assert "reason" not in _container(detail)
    assert web.logs == [(task.id, "app", "boom")]


def test_a_bad_exit_of_a_side_car_stops_nothing(web: LocalEcs) -> None:
    service = web.engine.cluster(ACCOUNT, REGION, "prod").services["web"]
    (task,) = web.causes.strike("exit", web.order(service, container="proxy"))
    web.pass_time(60)
    described = web.describe(task.arn)
    assert described["lastStatus"] == "RUNNING"
    assert _container(described, "proxy")["lastStatus"] == "STOPPED"


def test_a_bad_image_fails_the_new_tasks_and_spares_the_old(web: LocalEcs, die: Any) -> None:
    before = web.running()
    detail, _ = die("bad_image", image_tag="9.9")
    assert detail["stopCode"] == "TaskFailedToStart"
    assert detail["stoppedReason"] == (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
        "failed to resolve ref registry/web:9.9: registry/web:9.9: not found"
    )
    assert "exitCode" not in _container(detail)
    assert "startedAt" not in detail
    assert web.running() == before


def test_a_denied_secret(web: LocalEcs, die: Any) -> None:
    detail, _ = die("denied_secret", secret="arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-1")
    assert detail["stopCode"] == "TaskFailedToStart"
    reason = detail["stoppedReason"]
    assert reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth: ")
    assert "AccessDeniedException" in reason
    assert (
        "secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-1"
        in reason
    )
    assert len(web.running()) == 2


def test_a_failing_health_check_of_the_container(web: LocalEcs, die: Any) -> None:
    detail, _ = die("container_unhealthy")
    assert (detail["stopCode"], detail["stoppedReason"]) == (
        "ServiceSchedulerInitiated",
        "Task failed container health checks",
    )


def test_a_failing_health_check_of_the_load_balancer(web: LocalEcs, die: Any) -> None:
    detail, _ = die("elb_unhealthy")
    assert detail["stoppedReason"] == "Task failed ELB health checks in (target-group arn:aws:elb:tg/web)"


def test_a_crash_loop_goes_on_with_every_new_task(web: LocalEcs, die: Any) -> None:
    _, tasks = die("crash_loop", after_s=1, exit_code=2)
    assert len(tasks) == 2
    stopped = [e["detail"] for e in web.events if e["detail"]["lastStatus"] == "STOPPED"]
    assert len(stopped) > 2
    assert {_container(detail)["exitCode"] for detail in stopped} == {2}


def test_scaling_in(web: LocalEcs, die: Any) -> None:
    detail, tasks = die("scale_in")
    assert len(tasks) == 1
    assert detail["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    assert len(web.running()) == 1


def test_a_hang_stops_nothing(web: LocalEcs) -> None:
    service = web.engine.cluster(ACCOUNT, REGION, "prod").services["web"]
    (task,) = web.causes.strike("hang", web.order(service))
    web.pass_time(60)
    assert _container(web.describe(task.arn))["healthStatus"] == "UNHEALTHY"
    assert task.arn in web.running()
    assert web.logs


def test_a_lost_host_takes_every_task_on_it(ecs: LocalEcs) -> None:
    ecs.call(
        "RegisterTaskDefinition",
        **a_definition(family="job", networkMode="bridge", requiresCompatibilities=["EC2"]),
    )
    host = a_host(ecs, "prod")
    arns = [
        task["taskArn"]
        for task in ecs.call("RunTask", cluster="prod", taskDefinition="job", launchType="EC2", count=3)[
            "tasks"
        ]
    ]
    ecs.pass_time(30)
    tasks = ecs.causes.strike("host_gone", ecs.order(cluster="prod"))
    ecs.pass_time(30)
    assert sorted(task.arn for task in tasks) == sorted(arns)
    for arn in arns:
        detail = ecs.last_event(arn)
        assert detail["stopCode"] == "TerminationNotice"
        assert detail["stoppedReason"] == "Host EC2 (instance i-0123456789abcdef0) terminated."
    assert ecs.call("ListContainerInstances", cluster="prod")["containerInstanceArns"] == []
    assert host.status == "INACTIVE"


def test_spot_takes_only_what_runs_on_spot(ecs: LocalEcs) -> None:
    ecs.call(
        "CreateService",
        cluster="prod",
        serviceName="web",
        taskDefinition="web",
        desiredCount=1,
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}],
    )
    ecs.pass_time(30)
    service = ecs.engine.cluster(ACCOUNT, REGION, "prod").services["web"]
    (task,) = ecs.causes.strike("spot", ecs.order(service))
    ecs.pass_time(30)
    detail = ecs.last_event(task.arn)
    assert (detail["stopCode"], detail["stoppedReason"]) == (
        "SpotInterruption",
        "Your Spot Task was interrupted.",
    )
    assert detail["capacityProviderName"] == "FARGATE_SPOT"


@pytest.mark.parametrize(
    ("cause", "how", "complaint"),
    [
        ("fire", {}, "cause: 'fire' is not known"),
        ("spot", {}, "does not run on FARGATE_SPOT"),
        ("host_gone", {}, "runs on Fargate"),
        ("exit", {"container": "db"}, "has no container 'db'"),
    ],
)
def test_what_cannot_be_done_is_said(web: LocalEcs, cause: str, how: dict[str, str], complaint: str) -> None:
    service = web.engine.cluster(ACCOUNT, REGION, "prod").services["web"]
    with pytest.raises(CauseInvalid, match=complaint):
        web.causes.strike(cause, web.order(service, **how))
