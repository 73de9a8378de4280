"""A client of one's own, with boto3 only, against the local cloud's endpoint."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
import urllib3

from taskmedic_cli import stack

EVENTS = Path(__file__).resolve().parents[3] / "events"
JOBS = {
    "list-nodes": {"cluster": "prod"},
    "stopped-task-errors": {"cluster": "prod", "service": "checkout"},
    "run-command": {
        "cluster": "prod",
        "service": "checkout",
        "container": "app",
        "command": "echo hello; exit 0",
    },
}


@pytest.fixture
def outputs(aws):
    [deployed] = aws("cloudformation").describe_stacks(StackName=stack.DEFAULT_NAME)["Stacks"]
    return {out["OutputKey"]: out["OutputValue"] for out in deployed["Outputs"]}


@pytest.fixture
def execution_of(cloud, aws, wait_for):
    """``execution_of(predicate over the input)``: the execution so started, once it has ended."""

    def find(matches):
        states = aws("stepfunctions")

        def started():
            listed = states.list_executions(
                stateMachineArn=cloud.info["state_machines"]["remediation"], maxResults=100
            )["executions"]
            described = (states.describe_execution(executionArn=each["executionArn"]) for each in listed)
            return next((each for each in described if matches(json.loads(each["input"]))), None)

        arn = wait_for(started)["executionArn"]
        cloud.executions.wait(arn, 30.0)
        return states.describe_execution(executionArn=arn)

    return find


def put(aws, event):
    entry = {
        "Source": "taskmedic.drill",
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event["resources"],
    }
    answer = aws("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    return answer["Entries"][0]["EventId"]


def post(cloud, body, **headers):
    signature = hmac.new(cloud.info["webhook_secret"].encode(), body, hashlib.sha256).hexdigest()
    given = {"X-PagerDuty-Signature": f"v1={signature}", "X-Webhook-Id": "a-delivery"} | headers
    return urllib3.request(
        "POST", cloud.info["webhook_url"], body=body, headers=given, retries=False, timeout=10
    )


def test_an_event_on_the_bus_starts_an_execution_that_names_the_cause(aws, execution_of):
    event_id = put(aws, json.loads((EVENTS / "ecs/out-of-memory.json").read_text()))

    ended = execution_of(lambda given: given.get("id") == event_id)

    output = json.loads(ended["output"])
    assert ended["status"] == "SUCCEEDED"
    assert set(output) == {"decision", "reason", "runbook", "trigger", "steps", "report"}
    assert output["runbook"] == "diagnose"
    [step] = output["steps"]
    assert {"name", "type", "outcome", "summary", "evidence"} <= set(step)
    assert step["data"]["diagnoses"][0]["category"] == "container.oom_killed"


def test_a_signed_webhook_is_taken_and_starts_an_execution(cloud, execution_of):
    opened = cloud.pagerduty.open_incident("search is slow", alerts=[{"summary": "slow"}], webhook=False)
    incident = {"id": opened["id"], "type": "incident", "status": "triggered", "title": "search is slow"}
    event = {"id": "01ABC", "event_type": "incident.triggered", "resource_type": "incident", "data": incident}
    body = json.dumps({"event": event | {"occurred_at": "2026-11-21T09:30:00Z", "agent": None}}).encode()

    answer = post(cloud, body)

    assert answer.status == 202
    ended = execution_of(lambda given: given.get("delivery_id") == "a-delivery")
    assert ended["status"] == "SUCCEEDED"
    assert ended["executionArn"].endswith(json.loads(answer.data)["execution"])


@pytest.mark.parametrize("runbook", JOBS)
def test_each_job_starts_by_hand(run, runbook):
    ended = run({"runbook": runbook, "options": JOBS[runbook]})

    output = json.loads(ended["output"])
    assert ended["status"] == "SUCCEEDED"
    assert [step["outcome"] for step in output["steps"]] == ["succeeded"]


def test_the_job_stop_task_stops_the_task_it_was_given_and_no_other(aws, run):
    ecs = aws("ecs")
    before = ecs.list_tasks(cluster="prod", serviceName="checkout")["taskArns"]

    ended = run({"runbook": "stop-task", "options": {"cluster": "prod", "task": before[0]}})

    assert json.loads(ended["output"])["steps"][0]["outcome"] == "succeeded"
    stopped = ecs.describe_tasks(cluster="prod", tasks=before)["tasks"]
    assert {task["taskArn"]: task["lastStatus"] for task in stopped} == {
        before[0]: "STOPPED",
        before[1]: "RUNNING",
    }


def test_the_output_of_a_command_is_in_the_execution(run):
    ended = run(
        {"runbook": "run-command", "options": JOBS["run-command"] | {"command": "echo hello; exit 3"}}
    )

    [step] = json.loads(ended["output"])["steps"]
    assert step["outcome"] == "failed"
    assert [(each["exit_code"], each["head"]) for each in step["data"]["results"]] == [(3, "hello\n")] * 2


def test_tasks_are_listed_in_pages_of_a_hundred(aws):
    ecs = aws("ecs")
    ecs.create_service(cluster="batch", serviceName="wide", taskDefinition="search", desiredCount=130)

    first = ecs.list_tasks(cluster="batch", serviceName="wide")
    second = ecs.list_tasks(cluster="batch", serviceName="wide", nextToken=first["nextToken"])

    assert (len(first["taskArns"]), len(second["taskArns"])) == (100, 30)
    assert "nextToken" not in second


def test_ledger_and_evidence_can_be_read(aws, run, outputs):
    ended = run(json.loads((EVENTS / "ecs/exit-code.json").read_text()))

    items = aws("dynamodb").scan(TableName=outputs["LedgerTableName"])["Items"]
    [decision] = [item for item in items if item["sk"]["S"] == "decision"]
    assert decision["execution_arn"]["S"] == ended["executionArn"]
    assert decision["reason"]["S"] == json.loads(ended["output"])["reason"]
    ref = json.loads(ended["output"])["steps"][0]["evidence"][0]
    assert ref["bucket"] == outputs["EvidenceBucketName"]
    assert aws("s3").get_object(Bucket=ref["bucket"], Key=ref["key"])["ContentLength"] > 0
