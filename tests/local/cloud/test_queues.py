"""A queue's messages go to the function that is mapped to it, and come back when it fails."""

from __future__ import annotations

import json

import pytest

from taskmedic_local.deploy import QueueMapping
from taskmedic_local.queues import QueuePollers
from taskmedic_local.targets import Targets


@pytest.fixture
def mapped(cloud, queue):
    """``mapped(function, partial_failures=False)``: the URL of a queue that is polled for that function."""
    running = []

    def start(function, *, partial_failures=False):
        url, arn = queue()
        mapping = QueueMapping(arn, function.name, 5, partial_failures)
        pollers = QueuePollers([mapping], cloud.lambdas, Targets(cloud.endpoint), cloud.time_scale)
        pollers.start()
        running.append(pollers)
        return url

    yield start
    for pollers in running:
        pollers.close()


def noting(path, then=""):
    return (
        "import json\n"
        "def handler(event, context):\n"
        "  for record in event['Records']:\n"
        f"    open({str(path)!r}, 'a').write(json.dumps(record) + '\\n')\n"
        f"  {then or 'return None'}\n"
    )


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def waiting(aws, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
        for name in names
    )


def test_a_message_that_is_handled_is_gone(function, mapped, aws, wait_for, tmp_path):
    url = mapped(function(noting(tmp_path / "seen")))

    aws("sqs").send_message(QueueUrl=url, MessageBody="hello")

    (record,) = wait_for(lambda: records(tmp_path / "seen"))
    assert (record["body"], record["eventSource"]) == ("hello", "aws:sqs")
    wait_for(lambda: waiting(aws, url) == 0)


def test_a_message_that_fails_comes_back(function, mapped, aws, wait_for, tmp_path):
    url = mapped(function(noting(tmp_path / "seen", "raise ValueError")))

    aws("sqs").send_message(QueueUrl=url, MessageBody="again")

    wait_for(lambda: len(records(tmp_path / "seen")) >= 2)
    assert waiting(aws, url) == 1


def test_only_those_that_are_reported_come_back(function, mapped, aws, wait_for, tmp_path):
    report = (
        "return {'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in event['Records'] "
        "if r['body'] == 'bad']}"
    )
    url = mapped(function(noting(tmp_path / "seen", report)), partial_failures=True)

    for text in ("good", "bad"):
        aws("sqs").send_message(QueueUrl=url, MessageBody=text)

    wait_for(lambda: [r["body"] for r in records(tmp_path / "seen")].count("bad") >= 2)
    assert [r["body"] for r in records(tmp_path / "seen")].count("good") == 1
