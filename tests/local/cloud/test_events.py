"""EventBridge delivers at least once, repeats what fails, and keeps what it cannot deliver."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

MACHINE_GONE = "arn:aws:states:us-east-1:123456789012:stateMachine:gone"


def an_entry(source="taskmedic.drill", **detail):
    return {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}


def a_pass():
    return {"Done": {"Type": "Pass", "End": True}}


@pytest.fixture
def source():
    """A source of events that no other test uses."""
    return f"test.{uuid.uuid4().hex}"


@pytest.fixture
def put(aws, cloud):
    """``put(entry, …)``: PutEvents' entries, once every delivery has ended."""

    def put_events(*entries):
        answered = aws("events").put_events(Entries=list(entries))["Entries"]
        assert cloud.events.wait_idle(20)
        return answered

    return put_events


@pytest.fixture
def messages(aws):
    """``messages(queue_url)``: bodies and attributes of what is in a queue."""

    def receive(url):
        found = (
            aws("sqs")
            .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            .get("Messages", [])
        )
        return [
            (
                json.loads(message["Body"]),
                {name: a["StringValue"] for name, a in message.get("MessageAttributes", {}).items()},
            )
            for message in found
        ]

    return receive


def test_an_event_is_the_input_of_the_execution_it_starts(put, rule, machine, source, aws):
    arn = machine(a_pass())
    rule({"source": [source]}, {"Arn": arn})

    (entry,) = put({**an_entry(source, n=1), "Resources": ["arn:of:something"], "Time": 1_760_000_000})

    (execution,) = aws("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    described = aws("stepfunctions").describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {
        "version": "0",
        "id": entry["EventId"],
        "detail-type": "Test",
        "source": source,
        "account": "123456789012",
        "time": "2025-10-09T08:53:20Z",
        "region": "us-east-1",
        "resources": ["arn:of:something"],
        "detail": {"n": 1},
    }


def test_an_event_that_fits_no_rule_goes_nowhere(put, rule, machine, source, aws):
    arn = machine(a_pass())
    rule({"source": [source], "detail": {"kind": [{"anything-but": ["quiet"]}]}}, {"Arn": arn})

    put(an_entry(source, kind="quiet"), an_entry(source))

    assert aws("stepfunctions").list_executions(stateMachineArn=arn)["executions"] == []


def test_a_target_that_is_throttled_gets_the_event_later(put, rule, machine, source, aws, cloud):
    arn = machine(a_pass())
    rule({"source": [source]}, {"Arn": arn})
    cloud.faults.add(action="error", service="states", operation="StartExecution", times=2)

    put(an_entry(source))

    assert len(aws("stepfunctions").list_executions(stateMachineArn=arn)["executions"]) == 1


def test_an_event_whose_retries_run_out_is_in_the_dead_letter_queue(
    put, rule, machine, source, queue, messages, cloud
):
    url, queue_arn = queue()
    arn = machine(a_pass())
    rule(
        {"source": [source]},
        {
            "Arn": arn,
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 900},
            "DeadLetterConfig": {"Arn": queue_arn},
        },
    )
    cloud.faults.add(action="error", service="states", operation="StartExecution", times=-1)

    put(an_entry(source, n=7))

    ((event, attributes),) = messages(url)
    assert event["detail"] == {"n": 7}
    assert attributes["TARGET_ARN"] == arn
    assert attributes["ERROR_CODE"] == "THROTTLING"
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "2"
    assert attributes["RULE_ARN"].startswith("arn:aws:events:us-east-1:123456789012:rule/test-")


def test_an_event_that_gets_too_old_is_in_the_dead_letter_queue(
    put, rule, machine, source, queue, messages, cloud
):
    url, queue_arn = queue()
    rule(
        {"source": [source]},
        {
            "Arn": machine(a_pass()),
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": queue_arn},
        },
    )
    cloud.faults.add(action="error", service="states", operation="StartExecution", times=-1)

    put(an_entry(source))

    ((_, attributes),) = messages(url)
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"


def test_an_event_for_a_target_that_is_not_there_is_not_repeated(put, rule, source, queue, messages):
    url, queue_arn = queue()
    rule({"source": [source]}, {"Arn": MACHINE_GONE, "DeadLetterConfig": {"Arn": queue_arn}})

    put(an_entry(source))

    ((_, attributes),) = messages(url)
    assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("NO_RESOURCE", "0")
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes


def test_queues_get_events_too(put, rule, source, queue, messages):
    url, queue_arn = queue()
    rule({"source": [source]}, {"Arn": queue_arn})

    put(an_entry(source, n=1))

    ((event, _),) = messages(url)
    assert event["detail"] == {"n": 1}


def test_a_target_can_have_the_event_put_into_words(put, rule, source, queue, aws):
    url, queue_arn = queue()
    transformer = {
        "InputPathsMap": {"what": "$.detail.what", "n": "$.detail.n", "gone": "$.detail.gone.by"},
        "InputTemplate": '"it said <what>, <n> times, <gone>"',
    }
    rule({"source": [source]}, {"Arn": queue_arn, "InputTransformer": transformer})

    put(an_entry(source, what='"yes"', n=3))

    (message,) = aws("sqs").receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"]) == 'it said "yes", 3 times, null'


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (an_entry("aws.ecs"), "NotAuthorizedForSource"),
        ({**an_entry(), "Detail": "{"}, "MalformedDetail"),
        ({**an_entry(), "Detail": "[1]"}, "MalformedDetail"),
        ({"Source": "x", "Detail": "{}"}, "InvalidArgument"),
    ],
)
def test_a_wrong_entry_is_refused_and_the_others_are_not(aws, entry, code):
    answered = aws("events").put_events(Entries=[entry, an_entry()])

    assert answered["FailedEntryCount"] == 1
    assert answered["Entries"][0]["ErrorCode"] == code
    assert "EventId" in answered["Entries"][1]


@pytest.mark.parametrize("entries", [[an_entry()] * 11, [an_entry(text="x" * 262_144)]])
def test_a_request_over_the_limits_is_refused(aws, entries):
    with pytest.raises(ClientError) as refused:
        aws("events").put_events(Entries=entries)

    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_an_execution_that_ends_is_told_to_rules_on_aws_states(
    rule, machine, execute, queue, messages, cloud
):
    url, queue_arn = queue()
    arn = machine({"No": {"Type": "Fail", "Error": "Wanted", "Cause": "a test"}})
    rule(
        {"source": ["aws.states"], "detail": {"stateMachineArn": [arn], "status": ["FAILED"]}},
        {"Arn": queue_arn},
    )

    ended = execute(arn, {"n": 1})

    assert cloud.events.wait_idle()
    ((event, _),) = messages(url)
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["resources"] == [ended["executionArn"]]
    assert (event["detail"]["error"], event["detail"]["cause"]) == ("Wanted", "a test")
    assert event["detail"]["input"] == '{"n": 1}'


def test_a_failure_of_taskmedic_itself_is_published_to_its_topic(cloud, aws, queue, run):
    url, queue_arn = queue()
    topic = cloud.deployment.outputs["NotifyTopicArn"]
    subscription = aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)

    run({"runbook": "there-is-none"})

    assert cloud.events.wait_idle()
    (message,) = aws("sqs").receive_message(QueueUrl=url)["Messages"]
    aws("sns").unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    assert "there-is-none" in message["Body"]
