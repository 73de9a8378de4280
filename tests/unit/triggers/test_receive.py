"""The input of an execution, understood: three kinds, one Trigger, and errors that name the field."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.errors import InvalidTrigger
from taskmedic.domain.triggers import Received, is_own_stop, receive

EVENTS = Path(__file__).parents[3] / "events"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/prod/1d0c7a5e9b8f4c2ea6d3f1b09c7e5a21"


def received(given_input: Any) -> Received:
    return receive(
        given_input,
        execution_name="run-1",
        started_at="2026-11-21T10:00:00Z",
        account="123456789012",
        region="us-east-1",
    )


def ecs_event(**detail: Any) -> dict[str, Any]:
    event = json.loads((EVENTS / "ecs/out-of-memory.json").read_text())
    event["detail"] |= detail
    return event


def test_a_stopped_task_is_known_by_its_arn_and_version() -> None:
    trigger = received(ecs_event(version=9)).trigger

    assert trigger.kind == "task_stopped"
    assert trigger.key == f"{TASK}#9"
    assert trigger.version == 9


def test_a_stopped_task_names_its_cluster_service_account_and_region() -> None:
    target = received(ecs_event()).trigger.target

    assert (target.cluster, target.service, target.task) == ("prod", "checkout", TASK)
    assert (target.account, target.region) == ("123456789012", "us-east-1")


def test_a_standalone_task_has_no_service() -> None:
    event = json.loads((EVENTS / "ecs/batch-job-failed.json").read_text())

    assert received(event).trigger.target.service == ""


def test_the_detail_travels_as_it_came() -> None:
    event = ecs_event(somethingNew={"a": [1]}, stoppedAt="2026-11-21T09:30:25.64Z")

    assert received(event).trigger.to_json()["task_detail"] == event["detail"]


def test_a_drill_is_taken_like_the_real_event() -> None:
    assert received(ecs_event() | {"source": "taskmedic.drill"}).trigger.key == f"{TASK}#7"


def test_an_event_without_a_version_is_version_0() -> None:
    event = ecs_event()
    del event["detail"]["version"]

    assert received(event).trigger.key == f"{TASK}#0"


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"taskArn": "a task, but no ARN"}, "detail.taskArn", "not the ARN of an ECS task"),
        ({"taskArn": "arn:aws:ecs:us-east-1:1:cluster/prod"}, "detail.taskArn", "not the ARN of an ECS task"),
        ({"taskArn": None}, "detail.taskArn", "string"),
        ({"clusterArn": ""}, "detail.clusterArn", "at least 1 character"),
        ({"lastStatus": "RUNNING"}, "detail.lastStatus", "STOPPED"),
        ({"version": "seven"}, "detail.version", "integer"),
        ({"version": -1}, "detail.version", "greater than or equal to 0"),
        ({"stoppedAt": "yesterday"}, "detail.stoppedAt", "datetime"),
    ],
)
def test_a_broken_event_is_refused_by_the_name_of_its_field(
    change: dict[str, Any], field: str, why: str
) -> None:
    with pytest.raises(InvalidTrigger, match="the input is no trigger") as caught:
        received(ecs_event(**change))

    assert caught.value.where == f"field {field}"
    assert why in caught.value.why


def test_an_event_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidTrigger) as caught:
        received(ecs_event() | {"detail-type": "ECS Service Action"})

    assert caught.value.where == "field detail-type"


def test_a_webhook_is_known_by_the_id_that_pagerduty_signed() -> None:
    """The delivery's id is a header, and headers are not signed."""
    body = {"source": "pagerduty.webhook", "delivery_id": "d-1", "event": {"id": "01EVENT", "data": {}}}

    understood = received(body)

    assert understood.trigger.key == "01EVENT"
    assert understood.trigger.delivery_id == "d-1"
    assert understood.webhook == {"id": "01EVENT", "data": {}}


def test_a_webhook_without_an_event_id_is_known_by_its_delivery() -> None:
    body = {"source": "pagerduty.webhook", "delivery_id": "d-1", "event": {}}

    assert received(body).trigger.key == "d-1"


def test_a_request_by_bearer_secret_brings_target_runbook_options_and_incident() -> None:
    request = {
        "cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/prod",
        "service": "checkout",
        "runbook": "java-thread-dump",
        "options": {"pid": 7},
        "incident_id": "Q1",
    }

    understood = received({"source": "pagerduty.action", "delivery_id": "d-1", "request": request})

    assert understood.trigger.target.cluster == "prod"
    assert understood.trigger.targets == (understood.trigger.target,)
    assert understood.trigger.incident is not None
    assert understood.trigger.incident.id == "Q1"
    assert (understood.asked.runbook, understood.asked.options) == ("java-thread-dump", {"pid": "7"})


def test_a_manual_start_is_known_by_the_executions_name_and_is_about_our_own_account() -> None:
    understood = received({"runbook": "list-nodes", "options": {"cluster": "prod", "n": 3, "all": True}})

    assert understood.trigger.key == "run-1"
    assert understood.trigger.occurred_at == "2026-11-21T10:00:00Z"
    assert (understood.trigger.target.account, understood.trigger.target.region) == (
        "123456789012",
        "us-east-1",
    )
    assert understood.asked.options == {"cluster": "prod", "n": "3", "all": "true"}
    assert understood.asked.dry_run is False


@pytest.mark.parametrize(
    ("manual", "field", "why"),
    [
        ({}, "field runbook", "it is missing"),
        ({"runbok": "list-nodes"}, "field runbook", "it is missing"),
        ({"runbook": ""}, "field runbook", "at least 1 character"),
        ({"runbook": 7}, "field runbook", "7: Input should be a valid string"),
        ({"runbook": "a", "option": {}}, "field option", "there is no such field"),
        ({"runbook": "a", "options": {"x": [1]}}, "field options.x", "valid string"),
        ({"runbook": "a", "dry_run": "perhaps"}, "field dry_run", "boolean"),
        ({"source": "aws.s3"}, "field source", "'aws.s3' is none of aws.ecs"),
        ([], "the whole input", "JSON object"),
        ("list-nodes", "the whole input", "JSON object"),
        (None, "the whole input", "JSON object"),
    ],
)
def test_a_wrong_manual_input_is_refused_by_the_name_of_its_field(manual: Any, field: str, why: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        received(manual)

    assert caught.value.where == field
    assert why in caught.value.why
    assert '{"runbook": "NAME"' in caught.value.remedy


def test_every_sample_of_a_stopped_task_is_read_but_the_unreadable_one() -> None:
    for path in sorted((EVENTS / "ecs").glob("*.json")):
        event = json.loads(path.read_text())
        if path.stem == "unreadable":
            with pytest.raises(InvalidTrigger):
                received(event)
        else:
            assert received(event).trigger.kind == "task_stopped", path.name


def test_our_own_stop_is_known_by_its_reason() -> None:
    assert is_own_stop({"stoppedReason": "Taskmedic: hung (execution run-1)"})
    assert not is_own_stop({"stoppedReason": "Task stopped by user, not by Taskmedic: really"})
    assert not is_own_stop({"stoppedReason": None})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["source", "detail-type", "detail", "runbook", "options", "event", "request", "delivery_id"]
)
sources = st.sampled_from(["aws.ecs", "taskmedic.drill", "pagerduty.webhook", "pagerduty.action"])


@given(st.dictionaries(keys, json_values | sources | st.just("ECS Task State Change")))
def test_any_json_is_a_trigger_or_is_refused(anything: dict[str, Any]) -> None:
    with suppress(InvalidTrigger):
        assert received(anything).trigger.key
