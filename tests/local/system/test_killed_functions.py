"""A function's process dies during a call: the state machine tries again or reports, and never hangs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

EVENTS = Path(__file__).resolve().parents[3] / "events"


@pytest.fixture
def function(cloud):
    """``function("AcceptTrigger")``: the deployed name."""

    def name_of(logical):
        [found] = [name for name in cloud.lambdas.functions if logical in name]
        return found

    return name_of


@pytest.fixture
def out_of_memory():
    return json.loads((EVENTS / "ecs/out-of-memory.json").read_text())


def steps_of(ended):
    return {step["type"]: step for step in json.loads(ended["output"])["steps"]}


@pytest.mark.parametrize("action", ["kill_before", "kill_after"])
def test_accept_trigger_dies_at_its_claim_and_its_second_try_is_no_repeat_of_the_first(
    cloud, run, function, out_of_memory, action
):
    cloud.faults.add(
        action=action, service="dynamodb", operation="PutItem", function=function("AcceptTrigger")
    )

    ended = run(out_of_memory)

    assert (ended["status"], json.loads(ended["output"])["decision"]) == ("SUCCEEDED", "run")


def test_the_collector_dies_and_is_asked_again(cloud, run, function, out_of_memory):
    cloud.lambdas.kill_next_call(function("CollectStoppedTasks"))

    ended = run(out_of_memory)

    assert steps_of(ended)["stopped_tasks"]["outcome"] == "succeeded"


def test_a_command_whose_function_dies_is_not_run_again_and_is_reported(cloud, run, function, aws, tmp_path):
    ran = tmp_path / "ran"
    options = {"cluster": "prod", "service": "search", "command": f"echo once >> {ran}; sleep 60"}
    cloud.lambdas.kill_next_call(function("RunCommand"), 2.0)

    ended = run({"runbook": "run-command", "options": options}, timeout_s=60)

    step = steps_of(ended)["command"]
    assert ended["status"] == "SUCCEEDED"
    assert step["outcome"] == "failed"
    assert {each["outcome"] for each in step["data"]["results"]} == {"connection_lost"}
    assert "may have run" in step["data"]["results"][0]["remedy"]
    assert ran.read_text().count("once") <= 2  # two containers, once each
    assert json.loads(ended["output"])["report"]["channels"]


@pytest.mark.parametrize("action", ["kill_before", "kill_after"])
def test_a_stop_whose_function_dies_stops_that_task_once(cloud, run, function, aws, action):
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    cloud.faults.add(action=action, service="ecs", operation="StopTask", function=function("StopTask"))

    ended = run({"runbook": "stop-task", "options": {"cluster": "prod", "task": task}})

    assert steps_of(ended)["stop_task"]["outcome"] == "succeeded"
    [stopped] = aws("ecs").describe_tasks(cluster="prod", tasks=[task])["tasks"]
    assert (stopped["lastStatus"], stopped["stopCode"]) == ("STOPPED", "UserInitiated")
    assert (
        len(
            aws("ecs").list_tasks(cluster="prod", serviceName="checkout", desiredStatus="STOPPED")["taskArns"]
        )
        == 1
    )


# Its first look into the ledger comes before the note is posted, the release of its lock comes after.
@pytest.mark.parametrize("dies_at", ["GetItem", "DeleteItem"])
def test_a_report_whose_function_dies_is_made_once(cloud, run, function, dies_at):
    # Without its own webhook, whose execution would write a note of its own.
    opened = cloud.pagerduty.open_incident("search is slow", alerts=[{"summary": "slow"}], webhook=False)
    cloud.faults.add(action="kill_before", service="dynamodb", operation=dies_at, function=function("Report"))

    ended = run(
        {
            "source": "pagerduty.webhook",
            "delivery_id": "d-1",
            "subscription_id": "s-1",
            "event": {
                "id": "e-1",
                "event_type": "incident.triggered",
                "resource_type": "incident",
                "occurred_at": "2026-11-21T09:30:00Z",
                "data": {"id": opened["id"], "type": "incident", "title": "search is slow"},
            },
        }
    )

    assert ended["status"] == "SUCCEEDED"
    assert cloud.faults.in_force() == []
    assert len(cloud.pagerduty.incident(opened["id"])["notes"]) == 1


def test_a_function_that_dies_every_time_ends_in_a_failed_step_and_a_report(
    cloud, run, function, out_of_memory
):
    cloud.faults.add(action="kill_before", service="ecs", function=function("CollectStoppedTasks"), times=-1)

    ended = run(out_of_memory, timeout_s=60)

    assert ended["status"] == "SUCCEEDED"
    assert steps_of(ended)["stopped_tasks"]["outcome"] == "failed"
    assert json.loads(ended["output"])["report"]["channels"]
