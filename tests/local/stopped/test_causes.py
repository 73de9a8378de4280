"""On the local cloud: every way to die that it knows ends in a diagnosis that names the cause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskmedic_local.cloud import LocalCloud

Run = Callable[..., dict[str, Any]]
WaitFor = Callable[..., Any]


@pytest.fixture(autouse=True)
def _ends_quietly(cloud: LocalCloud) -> Iterator[None]:
    """A crash loop does not go on under the tests of others."""
    yield
    cloud.reset()


@pytest.fixture
def stopped_after(
    cloud: LocalCloud, run: Run, wait_for: WaitFor, aws: Callable[[str], Any]
) -> Callable[..., dict[str, Any]]:
    """``stopped_after("exit", container="app")``: lets checkout die so; the step's outcome."""

    def after(cause: str, at_least: int = 1, **how: Any) -> dict[str, Any]:
        cloud.world.strike(cause, cluster="prod", service="checkout", **how)
        ecs = aws("ecs")

        def stopped() -> bool:
            arns = ecs.list_tasks(cluster="prod", serviceName="checkout", desiredStatus="STOPPED")["taskArns"]
            tasks = ecs.describe_tasks(cluster="prod", tasks=arns)["tasks"] if arns else []
            return sum(task["lastStatus"] == "STOPPED" for task in tasks) >= at_least

        wait_for(stopped)
        options = {"cluster": "prod", "service": "checkout"}
        done = run({"runbook": "stopped-task-errors", "options": options})
        assert done["status"] == "SUCCEEDED", done
        outcome: dict[str, Any] = json.loads(done["output"])["steps"][0]
        return outcome

    return after


@pytest.mark.parametrize(
    ("cause", "category", "says"),
    [
        ("out_of_memory", "container.oom_killed", "was killed by the kernel"),
        (
            "exit",
            "app.exit_nonzero",
            "Its log ends with: AttributeError: 'NoneType' object has no attribute 'lines'",
        ),
        ("bad_image", "image_pull.not_found", "checkout:no-such-tag"),
        (
            "denied_secret",
            "secrets.access_denied",
            "checkout-execution was not allowed to read arn:aws:secretsmanager",
        ),
        ("container_unhealthy", "container.health_check_failed", "health check command of app failed"),
        ("elb_unhealthy", "lb.health_check_failed", "load balancer got no good answer"),
        ("scale_in", "deployment.scaling_activity", "the service needs it no more"),
    ],
)
def test_the_cause_is_named(
    stopped_after: Callable[..., dict[str, Any]], cause: str, category: str, says: str
) -> None:
    diagnosis = stopped_after(cause)["data"]["diagnoses"][0]

    assert diagnosis["category"] == category
    assert says in diagnosis["cause"]


def test_a_crash_loop_is_one_diagnosis_with_many_tasks(stopped_after: Callable[..., dict[str, Any]]) -> None:
    outcome = stopped_after("crash_loop", at_least=4)

    diagnosis = outcome["data"]["diagnoses"][0]
    assert "Crash loop: " in diagnosis["cause"]
    assert diagnosis["task_count"] >= 4
    assert diagnosis["advice"][0].startswith("This repeats")


def test_evidence_is_in_the_bucket(
    stopped_after: Callable[..., dict[str, Any]], aws: Callable[[str], Any]
) -> None:
    page, document = stopped_after("exit")["evidence"]

    def stored(ref: dict[str, str]) -> str:
        text: str = aws("s3").get_object(Bucket=ref["bucket"], Key=ref["key"])["Body"].read().decode()
        return text

    assert "Timeline of the newest task" in stored(page)
    assert json.loads(stored(document))["diagnosis"]["category"] == "app.exit_nonzero"


def test_the_event_of_a_stop_is_diagnosed_and_remembered(
    cloud: LocalCloud, aws: Callable[[str], Any], wait_for: WaitFor
) -> None:
    # Given: nobody starts anything; the stop's own event does
    cloud.world.strike("out_of_memory", cluster="prod", service="checkout")

    def remembered() -> list[dict[str, Any]]:
        pages = (
            aws("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=cloud.deployment.outputs["LedgerTableName"])
        )
        items: list[dict[str, Any]] = [item for page in pages for item in page["Items"]]
        return [item for item in items if item["sk"]["S"].startswith("stop#")]

    (stop,) = wait_for(remembered, timeout_s=20)
    assert stop["category"] == {"S": "container.oom_killed"}
    assert stop["pk"] == {"S": "service#arn:aws:ecs:us-east-1:123456789012:cluster/prod/checkout"}


def test_permissions_that_are_missing_are_lines_of_evidence(
    cloud: LocalCloud, stopped_after: Callable[..., dict[str, Any]]
) -> None:
    for service, operation in (
        ("logs", "GetLogEvents"),
        ("ecs", "DescribeServices"),
        ("ecs", "DescribeTaskDefinition"),
    ):
        cloud.faults.add(
            action="error",
            service=service,
            operation=operation,
            code="AccessDeniedException",
            message="not allowed",
            times=-1,
        )

    diagnosis = stopped_after("exit")["data"]["diagnoses"][0]

    assert diagnosis["category"] == "app.exit_nonzero"
    assert any(line.startswith("service: not readable: ") for line in diagnosis["evidence"])


def test_the_note_of_an_incident_names_the_cause(cloud: LocalCloud, wait_for: WaitFor) -> None:
    cloud.world.strike("out_of_memory", cluster="prod", service="checkout")
    dimensions = [{"name": "ClusterName", "value": "prod"}, {"name": "ServiceName", "value": "checkout"}]
    details = {"Trigger": {"Namespace": "AWS/ECS", "Dimensions": dimensions}}

    incident = cloud.pagerduty.open_incident(
        "checkout is down", alerts=[{"summary": "checkout", "details": details}]
    )["id"]

    def note() -> str:
        notes = [one["content"] for one in cloud.pagerduty.incident(incident)["notes"]]
        return next((text for text in notes if "Out of memory" in text), "")

    assert "service checkout, container app" in wait_for(note, timeout_s=30)
