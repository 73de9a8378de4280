"""A crash-looping service: many events at once, none lost, each decision written down."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from taskmedic_cli import stack

EVENT = json.loads((Path(__file__).resolve().parents[3] / "events/ecs/exit-code.json").read_text())
TASKS = 200


def event_of(number):
    event = copy.deepcopy(EVENT)
    arn = event["detail"]["taskArn"].rsplit("/", 1)[0] + f"/{number:032x}"
    event["detail"] |= {"taskArn": arn}
    return event


def test_200_events_of_a_crash_loop_all_end_and_all_are_in_the_ledger(cloud, aws, wait_for):
    machine = cloud.info["state_machines"]["remediation"]
    states = aws("stepfunctions")
    before = cloud.executions.count()

    for first in range(0, TASKS, 10):
        entries = [
            {
                "Source": "taskmedic.drill",
                "DetailType": EVENT["detail-type"],
                "Detail": json.dumps(event["detail"]),
            }
            for event in map(event_of, range(first, first + 10))
        ]
        assert aws("events").put_events(Entries=entries)["FailedEntryCount"] == 0

    wait_for(lambda: cloud.executions.count() - before >= TASKS, timeout_s=200)
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
    assert [each["status"] for page in pages for each in page["executions"]] == ["SUCCEEDED"] * TASKS
    outputs = {
        out["OutputKey"]: out["OutputValue"]
        for out in aws("cloudformation").describe_stacks(StackName=stack.DEFAULT_NAME)["Stacks"][0]["Outputs"]
    }
    pages = aws("dynamodb").get_paginator("scan").paginate(TableName=outputs["LedgerTableName"])
    decisions = [item for page in pages for item in page["Items"] if item["sk"]["S"] == "decision"]
    assert len({item["pk"]["S"] for item in decisions}) == TASKS
    assert all(item["reason"]["S"] for item in decisions)
    queue = outputs["DeadLetterQueueUrl"]
    count = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert count["Attributes"]["ApproximateNumberOfMessages"] == "0"
