"""Event source mappings: messages of a queue go to a function, as Lambda's pollers do it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.sqs.models import sqs_backends

from taskmedic_local.deploy import QueueMapping
from taskmedic_local.functions import ACCOUNT, REGION
from taskmedic_local.lambdas import Lambdas, Result, TooManyRequests
from taskmedic_local.targets import Targets

log = logging.getLogger(__name__)

POLL_S = 0.1


class QueuePollers:
    """One thread a mapping."""

    def __init__(
        self, mappings: Iterable[QueueMapping], lambdas: Lambdas, targets: Targets, time_scale: float
    ) -> None:
        self._lambdas = lambdas
        self._targets = targets
        self._time_scale = time_scale
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[mapping], name=f"poll-{mapping.function}", daemon=True)
            for mapping in mappings
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def _run(self, mapping: QueueMapping) -> None:
        url = self._targets.queue_url(mapping.queue_arn)
        queue = sqs_backends[ACCOUNT][REGION].queues[mapping.queue_arn.rpartition(":")[2]]
        while not self._stop.wait(POLL_S):
            if not queue._messages:  # looked up past the API, which would cost a twentieth of a core
                continue
            try:
                self._poll(mapping, url)
            except (ClientError, BotoCoreError) as error:
                log.debug("polling %s: %s", url, error)

    def _poll(self, mapping: QueueMapping, url: str) -> None:
        sqs = self._targets.client("sqs")
        messages = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(mapping.batch_size, 10),
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return
        failed = self._deliver(mapping, messages)
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if failed:
            self._make_visible(url, [m["ReceiptHandle"] for m in messages if m["MessageId"] in failed])

    def _deliver(self, mapping: QueueMapping, messages: list[dict[str, Any]]) -> set[str]:
        """The ids of the messages that are to be tried again."""
        everything = {message["MessageId"] for message in messages}
        payload = {"Records": [_record(message, mapping.queue_arn) for message in messages]}
        function = self._lambdas.functions[mapping.function]
        try:
            result = self._lambdas.invoke(function, json.dumps(payload).encode())
        except (TooManyRequests, ConnectionAbortedError):
            return everything
        if result.function_error:
            return everything
        return _reported(result) & everything if mapping.partial_failures else set()

    def _make_visible(self, url: str, receipts: list[str]) -> None:
        """Failed messages come back after the queue's visibility time-out, compressed."""
        sqs = self._targets.client("sqs")
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])[
            "Attributes"
        ]
        seconds = max(1, round(int(attributes["VisibilityTimeout"]) * self._time_scale))
        for receipt in receipts:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=seconds)


def _record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    attributes = {
        name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def _reported(result: Result) -> set[str]:
    answer = json.loads(result.payload or b"null") or {}
    return {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", [])}
