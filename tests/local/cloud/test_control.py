"""The local cloud's own levers, over HTTP."""

from __future__ import annotations

import pytest
import urllib3
from botocore.exceptions import ClientError


@pytest.fixture
def lever(cloud):
    """``lever("POST", "faults", {…})``: status and JSON of the answer."""

    def pull(method, path, body=None):
        answer = urllib3.request(method, f"{cloud.endpoint}/_local/{path}", json=body)
        return answer.status, answer.json()

    return pull


def test_a_fault_meets_as_many_calls_as_it_says(lever, aws):
    lever("POST", "faults", {"action": "error", "service": "dynamodb", "operation": "ListTables", "times": 1})
    listing = aws("dynamodb").list_tables

    answer = listing()  # botocore's own retry has met it

    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert lever("GET", "faults") == (200, [])


def test_an_error_has_the_code_and_status_asked_for(lever, aws):
    fault = {"action": "error", "service": "sts", "code": "AccessDenied", "message": "no", "status": 403}
    lever("POST", "faults", fault)

    with pytest.raises(ClientError, match=r"\(AccessDenied\).*: no") as refused:
        aws("sts").get_caller_identity()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_delay_comes_on_top_of_another_fault(lever, aws):
    lever("POST", "faults", {"action": "delay", "service": "s3", "seconds": 0.2})
    lever("POST", "faults", {"action": "error", "service": "s3", "code": "AccessDenied", "status": 403})

    with pytest.raises(ClientError, match="AccessDenied"):
        aws("s3").list_buckets()

    assert lever("GET", "faults") == (200, [])


def test_a_process_is_killed_before_or_after_its_call_took_effect(lever, cloud, aws, function, invoke):
    table = cloud.deployment.outputs["LedgerTableName"]
    writing = function(
        "import boto3\ndynamodb = boto3.client('dynamodb')\n"
        "def handler(event, context):\n"
        f"  dynamodb.put_item(TableName={table!r}, Item={{'pk': {{'S': event['k']}}, 'sk': {{'S': 'x'}}}})\n"
    )

    def written_when_killed(action):
        lever("POST", "faults", {"action": action, "service": "dynamodb", "operation": "PutItem"})
        answer, _ = invoke(writing, {"k": action})
        assert answer["errorType"] == "Runtime.ExitError"
        return "Item" in aws("dynamodb").get_item(
            TableName=table, Key={"pk": {"S": action}, "sk": {"S": "x"}}
        )

    assert written_when_killed("kill_before") is False
    assert written_when_killed("kill_after") is True


def test_calls_are_counted_by_who_makes_them(lever, aws, function, invoke):
    asking = function("import boto3\ndef handler(e, c): boto3.client('sts').get_caller_identity()")
    lever("DELETE", "calls")

    invoke(asking)
    aws("sts").get_caller_identity()

    _, calls = lever("GET", "calls")
    assert {"function": asking.name, "service": "sts", "operation": "GetCallerIdentity", "count": 1} in calls
    assert {"function": "", "service": "sts", "operation": "GetCallerIdentity", "count": 1} in calls


def test_a_reset_leaves_the_world_as_it_was_at_the_start(lever, cloud, aws):
    outputs = cloud.deployment.outputs
    tasks = len(aws("ecs").list_tasks(cluster="prod")["taskArns"])
    aws("dynamodb").put_item(TableName=outputs["LedgerTableName"], Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    aws("s3").put_object(Bucket=outputs["EvidenceBucketName"], Key="k", Body=b"x")
    before = aws("ssm").get_parameter(Name=outputs["SwitchParameter"])["Parameter"]["Value"]
    aws("ssm").put_parameter(Name=outputs["SwitchParameter"], Value="{}", Overwrite=True)
    aws("sqs").send_message(QueueUrl=outputs["DeadLetterQueueUrl"], MessageBody="x")
    task = aws("ecs").list_tasks(cluster="prod")["taskArns"][0]
    aws("ecs").stop_task(cluster="prod", task=task)
    incident = cloud.pagerduty.open_incident("one", webhook=False)

    assert lever("POST", "reset") == (200, {})

    assert aws("dynamodb").scan(TableName=outputs["LedgerTableName"])["Items"] == []
    assert "Contents" not in aws("s3").list_objects_v2(Bucket=outputs["EvidenceBucketName"])
    assert aws("ssm").get_parameter(Name=outputs["SwitchParameter"])["Parameter"]["Value"] == before
    assert "Messages" not in aws("sqs").receive_message(QueueUrl=outputs["DeadLetterQueueUrl"])
    assert len(aws("ecs").list_tasks(cluster="prod")["taskArns"]) == tasks
    assert task not in aws("ecs").list_tasks(cluster="prod")["taskArns"]
    assert incident["id"] not in cloud.pagerduty.account.incidents


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "faults", {"action": "explode"}, 400, "unknown action 'explode'"),
        ("POST", "faults", {"action": "delay", "colour": "red"}, 400, "colour"),
        ("POST", "kills", {}, 400, "function"),
        ("GET", "nothing", None, 404, "GET /_local/nothing"),
    ],
)
def test_a_wrong_pull_says_what_is_wrong(lever, method, path, body, status, words):
    answered, value = lever(method, path, body)

    assert answered == status
    assert words in value["error"]


def test_a_reset_ends_what_runs(cloud, function, machine, aws, wait_for, tmp_path):
    begun, done = tmp_path / "begun", tmp_path / "done"
    slow = function(
        "import pathlib, time\n"
        f"def handler(e, c): pathlib.Path({str(begun)!r}).touch(); time.sleep(2); open({str(done)!r}, 'w')\n"
    )
    arn = machine(
        {
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": slow.arn, "Payload": {}},
                "End": True,
            }
        }
    )
    started = aws("stepfunctions").start_execution(stateMachineArn=arn)["executionArn"]
    wait_for(begun.exists)

    cloud.reset()

    assert cloud.executions.wait(started, 0.1) in {"ABORTED", "FAILED"}
    assert aws("stepfunctions").list_executions(stateMachineArn=arn)["executions"] == []
    assert not done.exists()
