"""What an execution decides, and that the decision with its reason is in the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

EVENTS = Path(__file__).parents[3] / "events"
PROD = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"


def sample(name: str, **detail: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"ecs/{name}.json").read_text())
    event["detail"] |= detail
    return event


@pytest.fixture
def outputs(aws: Callable[[str], Any]) -> dict[str, str]:
    (stack,) = aws("cloudformation").describe_stacks(StackName="taskmedic")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture
def ledger(cloud: Any, outputs: dict[str, str]) -> Callable[[str], dict[str, dict[str, Any]]]:
    """``ledger("trigger#key")``: the items under that key, by their sort key."""
    table = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1").resource(
        "dynamodb", endpoint_url=cloud.endpoint
    ).Table(outputs["LedgerTableName"])  # fmt: skip

    def read(key: str) -> dict[str, dict[str, Any]]:
        found = table.query(
            KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": key}, ConsistentRead=True
        )
        return {item["sk"]: item for item in found["Items"]}

    return read


@pytest.fixture
def messages(aws: Callable[[str], Any]) -> Callable[[str], list[dict[str, Any]]]:
    """``messages(queue_url)``: what waits in a queue."""

    def read(queue: str) -> list[dict[str, Any]]:
        answer = aws("sqs").receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return list(answer.get("Messages", []))

    return read


def done(execution: dict[str, Any]) -> dict[str, Any]:
    """The output of an execution that succeeded."""
    assert execution["status"] == "SUCCEEDED", execution
    output: dict[str, Any] = json.loads(execution["output"])
    return output


def test_a_stopped_task_is_diagnosed_and_the_decision_is_written_down(run: Any, ledger: Any) -> None:
    event = sample("out-of-memory")

    output = done(run(event))

    assert (output["decision"], output["runbook"]) == ("run", "diagnose")
    assert list(output) == ["decision", "reason", "report", "runbook", "steps", "trigger"]
    (step,) = output["steps"]
    assert {"name", "type", "outcome", "summary", "evidence"} <= step.keys()
    assert step["data"]["diagnoses"][0]["category"] == "container.oom_killed"
    detail = event["detail"]
    decision = ledger(f"trigger#{detail['taskArn']}#{detail['version']}")["decision"]
    assert decision["decision"] == "run"
    assert (
        decision["reason"] == "runbook diagnose answers the stopped task of service checkout in cluster prod"
    )


def test_the_same_event_again_is_seen_and_explained_and_nothing_is_done(run: Any, ledger: Any) -> None:
    event = sample("exit-code")
    first = run(event)

    again = done(run(event))

    assert (again["decision"], again["steps"], again["report"]) == ("skip", [], None)
    name = first["executionArn"].rsplit(":", 1)[-1]
    assert again["reason"] == f"seen before: execution {name} has this trigger"
    items = ledger(f"trigger#{event['detail']['taskArn']}#7")
    assert items["decision"]["decision"] == "run"
    (repeat,) = [item for key, item in items.items() if key.startswith("repeat#")]
    assert (repeat["decision"], repeat["reason"]) == ("skip", again["reason"])


@pytest.mark.parametrize("version", [6, 8])
def test_another_event_of_the_same_stop_does_nothing(run: Any, version: int) -> None:
    """ECS sends a stopped task's event again, with another version, when something of it changed."""
    first = run(sample("exit-code", version=7))

    other = done(run(sample("exit-code", version=version)))

    assert (other["decision"], other["steps"]) == ("skip", [])
    name = first["executionArn"].rsplit(":", 1)[-1]
    assert (
        other["reason"]
        == f"seen before: execution {name} has the stop of this task, by version 7 of its event"
    )


def test_a_trigger_whose_execution_died_undecided_is_taken_by_the_next(
    run: Any, cloud: Any, outputs: Any, messages: Any, wait_for: Any, ledger: Any
) -> None:
    """A killed process writes nothing down. What the dead-letter queue holds can be started again."""
    [function] = [name for name in cloud.lambdas.functions if "AcceptTrigger" in name]
    event = sample("exit-code")
    cloud.faults.add(
        action="kill_before", service="ssm", operation="GetParameter", function=function, times=-1
    )
    died = run(event, timeout_s=60)
    assert died["status"] == "FAILED"
    key = f"trigger#{event['detail']['taskArn']}#{event['detail']['version']}"
    assert "decision" not in ledger(key)["decision"]
    (message,) = wait_for(lambda: messages(outputs["DeadLetterQueueUrl"]))
    cloud.faults.clear()

    again = run(json.loads(message["Body"]))

    assert done(again)["decision"] == "run"
    assert ledger(key)["decision"]["execution_arn"] == again["executionArn"]
    assert done(run(event))["reason"].startswith("seen before")


def test_our_own_stop_starts_nothing_even_past_the_pattern(run: Any) -> None:
    output = done(run(sample("own-stop")))

    assert (output["decision"], output["reason"]) == ("skip", "our own stop: ECS's reason says so")


def test_our_own_stop_is_known_by_the_ledger_when_its_reason_is_lost(run: Any, aws: Any) -> None:
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    done(run({"runbook": "stop-task", "options": {"cluster": "prod", "task": task}}))

    event = sample("exit-code", taskArn=task)
    del event["detail"]["stopCode"]
    ours = done(run(event))

    assert (ours["decision"], ours["reason"]) == ("skip", "our own stop: the ledger says so")


def test_a_task_that_ended_by_itself_before_our_stop_came_is_none_of_ours(run: Any, aws: Any) -> None:
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    done(run({"runbook": "stop-task", "options": {"cluster": "prod", "task": task}}))

    assert done(run(sample("exit-code", taskArn=task)))["decision"] == "run"


def test_the_stop_of_a_runbook_is_in_the_ledger_and_starts_no_other_execution(
    run: Any, aws: Any, cloud: Any, ledger: Any
) -> None:
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]

    output = done(
        run({"runbook": "replace-task", "options": {"cluster": "prod", "task": task, "reason": "hung"}})
    )

    assert [(step["type"], step["outcome"]) for step in output["steps"]] == [
        ("command", "succeeded"),
        ("stop_task", "succeeded"),
    ]
    assert output["steps"][1]["summary"].endswith("is STOPPED; checkout is whole again")
    actions = [item for key, item in ledger(f"service#{PROD}/checkout").items() if key.startswith("action#")]
    assert [(action["task"], action["reason"][:15]) for action in actions] == [(task, "Taskmedic: hung")]
    machine = cloud.info["state_machines"]["remediation"]
    executions = aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert len(executions) == 1


def test_two_runs_replace_the_tasks_of_one_service_one_after_the_other(aws: Any, cloud: Any) -> None:
    """Each on its own leaves the service one task; both at once would leave it none."""
    machine = cloud.info["state_machines"]["remediation"]
    tasks = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"]
    assert len(tasks) == 2
    # The first to stop a task is long in seeing that the service is whole again.
    cloud.faults.add(action="delay", service="ecs", operation="DescribeServices", seconds=2)

    started = [
        aws("stepfunctions").start_execution(
            stateMachineArn=machine,
            input=json.dumps({"runbook": "replace-task", "options": {"cluster": "prod", "task": task}}),
        )["executionArn"]
        for task in tasks
    ]
    for arn in started:
        cloud.executions.wait(arn, 60)

    outputs = (done(aws("stepfunctions").describe_execution(executionArn=arn)) for arn in started)
    replaced = sorted((output["steps"][1] for output in outputs), key=lambda step: step["ended_at"])
    assert [step["outcome"] for step in replaced] == ["succeeded", "succeeded"]
    stops = sorted(
        task["stoppingAt"] for task in aws("ecs").describe_tasks(cluster="prod", tasks=tasks)["tasks"]
    )
    assert stops[0] < datetime.fromisoformat(replaced[0]["ended_at"]) <= stops[1]


def test_a_runbook_that_has_acted_too_often_leaves_the_trigger_to_one_that_looks(
    run: Any, aws: Any, cloud: Any, outputs: Any
) -> None:
    incident = cloud.pagerduty.open_incident("checkout is slow", alerts=[], webhook=False)["id"]
    now = int(time.time())
    taken = [{"M": {"execution": {"S": str(n)}, "at": {"N": str(now)}}} for n in range(20)]
    aws("dynamodb").put_item(
        TableName=outputs["LedgerTableName"],
        Item={
            "pk": {"S": "attempts#container-diagnostics"},
            "sk": {"S": f"{PROD}/checkout"},
            "taken": {"L": taken},
            "revision": {"N": "20"},
        },
    )
    request = {"cluster": "prod", "service": "checkout", "incident_id": incident}

    first, second = (
        done(run({"source": "pagerduty.action", "delivery_id": f"d-{number}", "request": request}))
        for number in range(2)
    )
    by_hand = done(
        run({"runbook": "container-diagnostics", "options": {"cluster": "prod", "service": "checkout"}})
    )

    reason = "container-diagnostics has acted 20 times on prod/checkout within 1 h: a person should look"
    assert [(one["decision"], one["runbook"]) for one in (first, second)] == [
        ("run", "stopped-task-errors")
    ] * 2
    assert all(reason in one["reason"] for one in (first, second))
    notes = [note["content"] for note in cloud.pagerduty.incident(incident)["notes"]]
    assert sum(f"Left out:\n- {reason}" in note for note in notes) == 2  # an incident is told each time
    assert by_hand["decision"] == "run"


def test_an_event_that_cannot_be_read_fails_and_is_kept_whole(
    run: Any, outputs: Any, messages: Any, wait_for: Any
) -> None:
    event = sample("unreadable")

    failed = run(event)

    assert (failed["status"], failed["error"]) == ("FAILED", "InvalidTrigger")
    assert "field detail.taskArn" in failed["cause"]
    (message,) = wait_for(lambda: messages(outputs["DeadLetterQueueUrl"]))
    assert json.loads(message["Body"]) == event
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "InvalidTrigger"
    assert "detail.taskArn" in message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


def test_a_mistake_of_a_person_fails_and_is_not_kept(run: Any, outputs: Any, messages: Any) -> None:
    failed = run({"runbok": "list-nodes"})

    assert failed["error"] == "InvalidTrigger"
    assert messages(outputs["DeadLetterQueueUrl"]) == []


def test_the_kill_switch_holds_from_the_next_trigger_on(run: Any, aws: Any, outputs: Any) -> None:
    def switch(value: str) -> None:
        aws("ssm").put_parameter(Name=outputs["SwitchParameter"], Value=value, Overwrite=True)

    switch('{"enabled": false}')
    off = done(run(sample("exit-code")))
    switch('{"runbooks": {"diagnose": false}}')
    one_off = done(run(sample("out-of-memory")))
    switch('{"enabled": true}')
    on = done(run(sample("image-not-found")))

    assert (off["decision"], off["reason"]) == ("skip", "everything is switched off by the kill switch")
    assert one_off["reason"] == "runbook diagnose is switched off by the kill switch"
    assert on["decision"] == "run"


def test_a_kill_switch_that_nobody_can_read_stops_everything_and_loses_nothing(
    run: Any, aws: Any, outputs: Any, messages: Any, wait_for: Any, ledger: Any
) -> None:
    aws("ssm").put_parameter(Name=outputs["SwitchParameter"], Value="off!", Overwrite=True)
    event = sample("exit-code")

    failed = run(event)

    assert (failed["status"], failed["error"]) == ("FAILED", "SettingMissing")
    assert "the kill switch cannot be understood" in failed["cause"]
    (message,) = wait_for(lambda: messages(outputs["DeadLetterQueueUrl"]))
    assert json.loads(message["Body"]) == event
    key = f"trigger#{event['detail']['taskArn']}#{event['detail']['version']}"
    assert ledger(key)["decision"]["decision"] == "failed"

    # And when the switch is mended, what waits in the queue is started again
    aws("ssm").put_parameter(Name=outputs["SwitchParameter"], Value='{"enabled": true}', Overwrite=True)
    assert done(run(json.loads(message["Body"])))["decision"] == "run"
    assert ledger(key)["decision"]["decision"] == "run"


def test_a_dry_run_finds_the_containers_and_does_nothing_to_them(run: Any) -> None:
    given = json.loads((EVENTS / "manual/dry-run.json").read_text())

    output = done(run(given))

    assert output["decision"] == "dry_run"
    (step,) = output["steps"]
    assert (step["outcome"], step["summary"]) == ("planned", "would run in 2 containers")
    assert len(step["data"]["nodes"]) == 2


def test_a_dry_run_of_a_stop_promises_nothing_that_would_be_refused(run: Any, aws: Any) -> None:
    tasks = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"]

    def summary(runbook: str, **options: str) -> str:
        steps = done(run({"runbook": runbook, "options": options, "dry_run": True}))["steps"]
        return str(steps[-1]["summary"])

    assert summary("stop-task", cluster="prod", task=tasks[0]) == f"would stop task {tasks[0].split('/')[-1]}"
    gone = summary("stop-task", cluster="prod", task="0123456789abcdef0123456789abcdef")
    assert gone.startswith("would be refused: TaskNotFound: task 0123456789abcdef")
    nowhere = summary("stop-task", cluster="nope", task=tasks[0].split("/")[-1])
    assert nowhere.startswith("would be refused: ClusterNotFound: cluster nope does not exist")
    assert aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"] == tasks


@pytest.mark.parametrize(
    "name", ["list-nodes", "stopped-task-errors", "run-command", "container-diagnostics"]
)
def test_each_sample_of_a_manual_start_runs(run: Any, name: str) -> None:
    given = json.loads((EVENTS / f"manual/{name}.json").read_text())

    output = done(run(given))

    assert output["runbook"] == name
    assert {step["outcome"] for step in output["steps"]} == {"succeeded"}


@pytest.mark.parametrize("name", ["stop-task", "replace-task"])
def test_a_sample_that_names_a_task_says_that_there_is_none(run: Any, name: str) -> None:
    """The task of the sample does not exist: nothing is stopped, and the text says what to look at."""
    given = json.loads((EVENTS / f"manual/{name}.json").read_text())

    steps = done(run(given))["steps"]

    failed = next(step for step in steps if step["outcome"] == "failed")
    assert given["options"]["task"] in failed["summary"]


def test_more_than_forty_containers_go_through_a_distributed_map(run: Any, aws: Any, wait_for: Any) -> None:
    aws("ecs").update_service(cluster="prod", service="search", desiredCount=42)

    def take_commands() -> int:
        tasks = aws("ecs").list_tasks(cluster="prod", serviceName="search")["taskArns"]
        found = aws("ecs").describe_tasks(cluster="prod", tasks=tasks)["tasks"]
        agents = [
            agent for task in found for box in task["containers"] for agent in box.get("managedAgents", ())
        ]
        return sum(agent["lastStatus"] == "RUNNING" for agent in agents)

    wait_for(lambda: take_commands() == 42)  # the agents come a little after their tasks
    options = {"cluster": "prod", "service": "search", "command": "exit 3"}

    output = done(run({"runbook": "run-command", "options": options}, timeout_s=60))

    (step,) = output["steps"]
    assert step["outcome"] == "failed"
    assert step["summary"] == "0 of 42 nodes exited 0; 42 x exit 3"
    assert step["data"]["counts"] == {"exited": 42}


def test_a_hung_task_is_replaced_also_when_its_containers_do_not_answer(
    run: Any, aws: Any, cloud: Any
) -> None:
    """`on_failure: continue`: the diagnostics fail, and the stop is still done."""
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    for container in ("app", "proxy"):
        cloud.world.connect_agent(cloud.world.container("prod", task, container), connected=False)

    output = done(run({"runbook": "replace-task", "options": {"cluster": "prod", "task": task}}))

    assert [(step["name"], step["outcome"]) for step in output["steps"]] == [
        ("diagnostics", "failed"),
        ("replace", "succeeded"),
    ]


def test_without_its_nodes_no_step_runs_and_the_report_says_so(run: Any) -> None:
    options = {"cluster": "prod", "task": "0123456789abcdef0123456789abcdef"}

    output = done(run({"runbook": "replace-task", "options": options}))

    assert [(step["name"], step["outcome"]) for step in output["steps"]] == [
        ("find_nodes", "failed"),
        ("diagnostics", "skipped"),
        ("replace", "skipped"),
    ]
    assert output["report"]["channels"]
