"""A task in any shape AWS gives it in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.diagnosis.builders import a_task

from taskmedic.domain.diagnosis import CATEGORIES, diagnose
from taskmedic.domain.errors import InputError, NotAStoppedTask
from taskmedic.domain.task_record import read_time
from taskmedic.domain.task_shapes import read_task, read_tasks, task_documents

STOPPED_AT = datetime(2026, 3, 4, 5, 6, 7, 890_000, UTC)
EPOCH_S = STOPPED_AT.timestamp()


def pascal(value: Any) -> Any:
    """As Step Functions writes the output of ecs:runTask.sync."""
    if isinstance(value, dict):
        return {name[0].upper() + name[1:]: pascal(inner) for name, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


TASK = (
    a_task()
    .of_service("orders")
    .revision("orders:12")
    .stopped("Essential container in task exited", "EssentialContainerExited")
    .container("app", 3, image="example/orders:7")
)
SHAPES: dict[str, Any] = {
    "EventBridge": {
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "detail": TASK.at(stoppedAt="2026-03-04T05:06:07.89Z"),
    },
    "a drill": {
        "detail-type": "ECS Task State Change",
        "source": "taskmedic.drill",
        "detail": TASK.at(stoppedAt="2026-03-04T05:06:07.890Z"),
    },
    "DescribeTasks by boto3": {"tasks": [TASK.at(stoppedAt=STOPPED_AT)], "failures": []},
    "DescribeTasks by the CLI": {"tasks": [TASK.at(stoppedAt="2026-03-04T00:06:07.890000-05:00")]},
    "DescribeTasks by an old CLI": {"tasks": [TASK.at(stoppedAt=EPOCH_S)], "failures": []},
    "StopTask": {"task": TASK.at(stoppedAt=EPOCH_S)},
    "Step Functions": pascal(dict(TASK.at(stoppedAt=int(EPOCH_S * 1000)))),
    "Step Functions, failed": {
        "Error": "States.TaskFailed",
        "Cause": json.dumps(pascal(dict(TASK.at(stoppedAt=int(EPOCH_S * 1000))))),
    },
    "bare": TASK.at(stoppedAt="2026-03-04T05:06:07.890+00:00"),
    "a list of events": [{"detail-type": "ECS Task State Change", "detail": TASK.at(stoppedAt=EPOCH_S)}],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_record(shape: str) -> None:
    (record,) = read_tasks(SHAPES[shape])

    assert record.service == "orders"
    assert record.revision == "orders:12"
    assert record.cluster == "prod"
    assert record.stop_code == "EssentialContainerExited"
    assert record.stopped_at == STOPPED_AT
    assert [(c.name, c.exit_code, c.image) for c in record.containers] == [("app", 3, "example/orders:7")]


def test_a_task_on_its_way_to_stopped_counts() -> None:
    assert read_task(a_task() | {"lastStatus": "DEPROVISIONING"}).last_status == "DEPROVISIONING"


def test_what_only_says_why_it_stopped_counts_without_a_status() -> None:
    assert read_task({"stoppedReason": "Task stopped by user"}).stopped_reason


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"detail-type": "ECS Service Action", "detail": {}}, "ECS Service Action"),
        ({"detail-type": "ECS Deployment State Change", "detail": {"lastStatus": "STOPPED"}}, "Deployment"),
        ({"tasks": []}, "the list is empty"),
        ({"taskArns": ["arn:aws:ecs:eu-west-1:123456789012:task/prod/1"]}, "taskarns"),
        (a_task() | {"lastStatus": "RUNNING", "desiredStatus": "RUNNING"}, "'RUNNING'"),
        ({"Cause": "Command failed"}, "not the JSON of an ECS task"),
        ({}, "neither lastStatus nor stopCode nor stoppedReason"),
    ],
)
def test_anything_else_is_said_not_to_be_a_stopped_task(document: Any, says: str) -> None:
    with pytest.raises(NotAStoppedTask, match=says):
        read_tasks(document)


@pytest.mark.parametrize("document", [None, 7, "text", True, [1], {"tasks": ["arn"]}])
def test_what_is_no_object_is_an_input_error(document: Any) -> None:
    with pytest.raises(InputError):
        read_tasks(document)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-04T05:06:07Z", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("2026-03-04T05:06:07", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (True, None),
        (float("nan"), None),
        (1e300, None),
        ("yesterday", None),
        (None, None),
        ({}, None),
    ],
)
def test_times_that_are_none_are_absent(value: Any, expected: datetime | None) -> None:
    assert read_time(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("137", 137), (1.0, 1), (True, None), ("x", None), (1.5, None), (-1, -1)]
)
def test_exit_codes_as_tools_write_them(value: Any, expected: int | None) -> None:
    record = read_task(a_task().container("app") | {"containers": [{"name": "app", "exitCode": value}]})

    assert record.containers[0].exit_code == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "lastStatus",
        "desiredStatus",
        "stopCode",
        "stoppedReason",
        "containers",
        "exitCode",
        "reason",
        "name",
        "stoppedAt",
        "attachments",
        "details",
        "detail",
        "tasks",
        "task",
        "Cause",
        "group",
        "managedAgents",
        "image",
    ]
)
TASK_LIKE = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


@given(JSON | TASK_LIKE)
def test_any_json_is_diagnosed_or_refused_by_a_typed_error(document: Any) -> None:
    try:
        diagnoses = [diagnose(task) for task in task_documents(document)]
    except InputError:  # NotAStoppedTask is one
        return
    for diagnosis in diagnoses:
        assert diagnosis.category in CATEGORIES
        json.dumps(diagnosis.to_json())


@given(st.dictionaries(FIELDS, TASK_LIKE, max_size=6))
def test_any_json_in_a_stopped_task_is_diagnosed(members: dict[str, Any]) -> None:
    members = {
        name: value for name, value in members.items() if name not in {"detail", "tasks", "task", "Cause"}
    }

    assert diagnose({"containers": [], **members, "lastStatus": "STOPPED"}).category in CATEGORIES


def test_a_cause_within_a_cause_ends() -> None:
    nested: Any = {"Cause": "{}"}
    for _ in range(8):  # each level doubles the backslashes
        nested = {"Cause": json.dumps(nested)}

    with pytest.raises(NotAStoppedTask):
        read_tasks(nested)


def test_json_nested_too_deeply_is_refused_not_crashed_on() -> None:
    with pytest.raises(NotAStoppedTask):
        read_tasks({"Cause": "[" * 100_000})
