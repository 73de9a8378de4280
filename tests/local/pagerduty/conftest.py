"""The report step between moto's AWS and the stand-in, both behind real sockets of their own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from taskmedic.aws.clients import Clients
from taskmedic.domain.errors import TaskmedicError
from taskmedic.pagerduty.http import Patience
from taskmedic.settings import ReportSettings
from taskmedic.steps import report
from taskmedic_local.pagerduty_standin import PagerDutyStandIn
from taskmedic_local.server import Server

EMAIL = "taskmedic@example.com"
TOKEN = "token-of-the-stand-in"
SECRET = "whsec-of-the-stand-in"


@pytest.fixture
def pagerduty() -> Iterator[PagerDutyStandIn]:
    standin: PagerDutyStandIn
    server = Server(lambda *request: standin(*request))  # noqa: PLW0108  it is made when the port is known
    standin = PagerDutyStandIn(
        url=f"http://127.0.0.1:{server.port}/pagerduty",
        token=TOKEN,
        from_email=EMAIL,
        signing_secret=SECRET,
        seconds_per_hour=0.2,
    )
    server.start()
    yield standin
    standin.close()
    server.stop()


class Aws:
    """Clients are made once: that is what takes time. Names are new each time, for moto's state is shared."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.secretsmanager = self.clients.get("secretsmanager")
        self.dynamodb = self.clients.get("dynamodb")
        self.sns = self.clients.get("sns")
        self.sqs = self.clients.get("sqs")

    def secret(self, value: dict[str, Any]) -> str:
        name = uuid.uuid4().hex
        self.secretsmanager.create_secret(Name=name, SecretString=json.dumps(value))
        return name

    def table(self) -> str:
        keys = {"pk": "HASH", "sk": "RANGE"}
        name = uuid.uuid4().hex
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    def topic(self, inbox: str) -> str:
        topic = str(self.sns.create_topic(Name=uuid.uuid4().hex)["TopicArn"])
        attributes = self.sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
        return topic


class Reporter:
    """The ``report`` function as the state machine drives it: tried again while PagerDuty is unavailable."""

    def __init__(self, aws: Aws, url: str) -> None:
        self._aws = aws
        self._inbox = aws.sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
        self.settings = ReportSettings(
            ledger_table=aws.table(),
            pagerduty_api_secret_id=aws.secret({"token": TOKEN, "from": EMAIL, "routing_key": "r" * 32}),
            pagerduty_api_url=url,
            pagerduty_events_url=url,
            notify_topic_arn=aws.topic(self._inbox),
            slack_secret_id="",
        )
        self.undelivered: list[dict[str, Any]] = []
        self.late = 0.0
        """Seconds that the clock is ahead, for waiting takes no time."""

    def once(self, event: dict[str, Any], *, remaining: float = 60.0) -> dict[str, Any]:
        """One call of the function. Waiting takes no time; no answer within 0.3 s is none."""
        patience = Patience(sleep=lambda _: None, now=lambda: time.time() + self.late, answer_s=0.3)
        return report.run(event, self.settings, self._aws.clients, lambda: remaining, patience)

    def __call__(self, event: dict[str, Any], tries: int = 6) -> dict[str, Any] | None:
        """Retry and Catch of the state ``Report``: None when the report went to the queue."""
        for attempt in range(tries):
            try:
                return self.once(event)
            except TaskmedicError as error:
                if type(error).__name__ != "PagerDutyUnavailable":  # as Step Functions matches it
                    break
                self.late += 10 * 2**attempt
        self.undelivered.append(event)
        return None

    def redrive(self) -> None:
        """What a redrive does: each message goes to the function, and stays when it fails again."""
        self.late += 3600
        for event in list(self.undelivered):
            message = {"messageId": "m-1", "body": json.dumps(event)}
            if not self.once({"Records": [message]})["batchItemFailures"]:
                self.undelivered.remove(event)

    def published(self) -> list[dict[str, Any]]:
        """What the topic's readers got so far."""
        answer = self._aws.sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    def with_slack(self, secret: dict[str, Any]) -> None:
        self.settings = replace(self.settings, slack_secret_id=self._aws.secret(secret))


@pytest.fixture(scope="module")
def moto_aws() -> Iterator[Aws]:
    """moto on a port of its own: `mock_aws` would reset the local cloud of this process."""
    server = Server(DomainDispatcherApplication(create_backend_app))
    server.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "test")
        aws = Aws()
    yield aws
    server.stop()


@pytest.fixture
def reporter(moto_aws: Aws, pagerduty: PagerDutyStandIn) -> Reporter:
    return Reporter(moto_aws, pagerduty.account.url)
