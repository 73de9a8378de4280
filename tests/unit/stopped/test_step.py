"""The `stopped_tasks` step: what it is asked, what it keeps, what travels on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.stopped.fake_aws import FakeAws, error, orders_definition, orders_task

from taskmedic.aws.clients import Access
from taskmedic.domain.budget import OUTCOME_BYTES
from taskmedic.domain.errors import AccessDenied, ClusterNotFound, StepInvalid
from taskmedic.settings import CollectStoppedTasksSettings
from taskmedic.steps import collect_stopped_tasks

SETTINGS = CollectStoppedTasksSettings("ledger", "evidence")
SPEC = {"cluster": "", "service": "", "family": "", "tasks": [], "since_s": 3600, "log_lines": 50}
KEY = "stopped-tasks/prod/orders/2026-03-04/0a1b2c3d4e5f60718293a4b5c6d7e8f9"
EVENT = (
    orders_task()
    .stopped("Essential container in task exited", "EssentialContainerExited")
    .container("app", 1)
    .at(stoppedAt="2026-03-04T05:00:00Z", createdAt="2026-03-04T04:00:00Z")
)


def run(aws: FakeAws, trigger: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    event = {
        "run": {"execution_arn": "arn:aws:states:eu-west-1:1:execution:remediation:x", "execution_name": "x"},
        "trigger": {"kind": "manual", "region": "eu-west-1", "targets": [], **(trigger or {})},
        "step": {"name": "why", "type": "stopped_tasks", "on_failure": "stop", "spec": SPEC | spec},
        "outcomes": [],
    }
    return collect_stopped_tasks.run(event, SETTINGS, aws)  # type: ignore[arg-type] - stands in for Clients


@pytest.fixture
def aws() -> FakeAws:
    fake = FakeAws(EVENT)
    fake.definitions = {"orders:6": orders_definition(6), "orders:7": orders_definition(7)}
    return fake


def test_the_task_of_the_event_is_diagnosed(aws: FakeAws) -> None:
    outcome = run(aws, {"kind": "task_stopped", "task_detail": dict(EVENT)})

    assert (outcome["name"], outcome["type"], outcome["outcome"]) == ("why", "stopped_tasks", "succeeded")
    (diagnosis,) = outcome["data"]["diagnoses"]
    assert diagnosis["category"] == "app.exit_nonzero"
    assert diagnosis["tasks"] == [EVENT["taskArn"]]
    assert outcome["summary"] == "1 stopped task: app exited with code 1"
    json.dumps(outcome)


def test_evidence_is_kept_under_service_date_and_task(aws: FakeAws) -> None:
    outcome = run(aws, {"task_detail": dict(EVENT)})

    assert [ref["key"] for ref in outcome["evidence"]] == [f"{KEY}.txt", f"{KEY}.json"]
    assert b"What to do" in aws.objects[f"{KEY}.txt"]
    document = json.loads(aws.objects[f"{KEY}.json"])
    assert set(document) == {"diagnosis", "timeline", "tasks", "task_definition", "service", "logs"}
    assert "only-in-the-definition" not in aws.objects[f"{KEY}.json"].decode()


def test_the_stop_is_written_to_the_ledger(aws: FakeAws) -> None:
    run(aws, {"task_detail": dict(EVENT)})

    (item,) = aws.items
    assert item["pk"] == {"S": "service#arn:aws:ecs:eu-west-1:123456789012:cluster/prod/orders"}
    assert item["sk"]["S"].startswith("stop#2026-03-04T05:00:00.000Z#")
    assert item["category"] == {"S": "app.exit_nonzero"}
    assert item["evidence"] == {"S": f"s3://evidence/{KEY}.txt"}


@pytest.mark.parametrize(
    ("operation", "says"), [("put_object", "evidence is not kept"), ("put_item", "the ledger is not written")]
)
def test_what_cannot_be_kept_is_said_and_fails_nothing(aws: FakeAws, operation: str, says: str) -> None:
    aws.fail[operation] = error("AccessDeniedException", operation)

    outcome = run(aws, {"task_detail": dict(EVENT)})

    assert outcome["outcome"] == "succeeded"
    assert says in outcome["summary"]
    assert outcome["data"]["diagnoses"]


def test_tasks_that_cannot_be_read_fail_the_step_by_name(aws: FakeAws) -> None:
    aws.fail["list_tasks"] = error("AccessDeniedException", "ListTasks")
    with pytest.raises(AccessDenied):
        run(aws, cluster="prod")

    aws.fail["list_tasks"] = error("ClusterNotFoundException", "ListTasks")
    with pytest.raises(ClusterNotFound):
        run(aws, cluster="nowhere")


def test_a_step_that_knows_no_cluster_is_invalid(aws: FakeAws) -> None:
    with pytest.raises(StepInvalid, match=r"which cluster to look in \(stopped_tasks.cluster\)"):
        run(aws)


@pytest.mark.parametrize(
    ("trigger", "spec", "region"),
    [
        ({}, {"cluster": "prod"}, "eu-west-1"),
        ({}, {"cluster": "arn:aws:ecs:us-east-2:123456789012:cluster/prod"}, "us-east-2"),
        (
            {"targets": [{"cluster": "prod", "service": "orders", "region": "ap-south-1"}]},
            {"cluster": "prod", "service": "orders"},
            "ap-south-1",
        ),
        ({"task_detail": dict(EVENT), "region": "sa-east-1"}, {}, "sa-east-1"),
    ],
)
def test_the_region_is_that_of_the_cluster(
    aws: FakeAws, trigger: dict[str, Any], spec: dict[str, Any], region: str
) -> None:
    run(aws, trigger, **spec)

    access = aws.accesses["describe_tasks"]
    assert access is not None
    assert access.region == region


@pytest.mark.parametrize(
    ("trigger", "named"),
    [({}, {"cluster": "prod", "tasks": [EVENT["taskArn"]]}), ({"task_detail": dict(EVENT)}, {})],
)
def test_another_account_is_read_by_the_role_of_the_step(
    aws: FakeAws, trigger: dict[str, Any], named: dict[str, Any]
) -> None:
    access = Access("ap-south-1", "arn:aws:iam::222222222222:role/taskmedic", "shop")
    there = {"region": access.region, "assume_role_arn": access.role_arn, "external_id": access.external_id}

    run(aws, trigger, **named, **there)

    for operation in ("describe_tasks", "describe_task_definition", "describe_services"):
        assert aws.accesses[operation] == access
    assert aws.accesses["put_item"] is None  # evidence and ledger are ours


def test_tasks_by_arn_bring_their_cluster(aws: FakeAws) -> None:
    assert run(aws, tasks=[EVENT["taskArn"]])["data"]["count"] == 1


def test_nothing_found_is_said(aws: FakeAws) -> None:
    aws.tasks = {}

    outcome = run(aws, cluster="prod")

    assert (outcome["summary"], outcome["data"]) == (
        "No stopped task was found",
        {"diagnoses": [], "count": 0},
    )


def test_what_travels_stays_below_its_limit(aws: FakeAws) -> None:
    # Given: 300 tasks, each with an image of its own that is missing
    for n in range(300):
        image = f"example/{'long-name-' * 20}{n}:1"
        reason = f"CannotPullContainerError: manifest for {image} not found"
        task = orders_task(f"{n:032x}").stopped(reason).at(stoppedAt="2999-01-01T00:00:00Z")
        aws.tasks[task["taskArn"]] = task

    outcome = run(aws, cluster="prod")

    assert outcome["data"]["count"] == 300
    assert 3 < len(outcome["data"]["diagnoses"]) < 300
    assert len(json.dumps(outcome)) <= OUTCOME_BYTES
    # What does not travel is found by the index.
    *_, index = outcome["evidence"]
    assert index["title"] == "All evidence: 600 objects"
    listed = json.loads(aws.objects[index["key"]])
    assert {ref["key"] for ref in listed} <= aws.objects.keys()
    assert listed[: len(outcome["evidence"]) - 1] == outcome["evidence"][:-1]


def test_a_large_group_names_its_newest_tasks_and_its_number(aws: FakeAws) -> None:
    aws.tasks = {}
    for n in range(40):
        task = orders_task(f"{n:032x}").stopped("OutOfMemoryError: Container killed due to memory usage")
        aws.tasks[task["taskArn"]] = task.at(stoppedAt="2999-01-01T00:00:00Z")

    (diagnosis,) = run(aws, cluster="prod")["data"]["diagnoses"]

    assert (len(diagnosis["tasks"]), diagnosis["task_count"]) == (25, 40)
