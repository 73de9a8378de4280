"""Where the local cloud's own services send things: state machines, queues, topics and functions."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from taskmedic_local.functions import REGION


class Targets:
    """boto3 clients of the local cloud itself, made when first used."""

    def __init__(self, endpoint: str) -> None:
        self._session = boto3.Session("local", "local", region_name=REGION)
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,
                    endpoint_url=self._endpoint,
                    config=Config(
                        retries={"total_max_attempts": 1}, max_pool_connections=32, read_timeout=900
                    ),
                )
            return self._clients[service]

    def send(self, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Gives ``event`` to the target of a rule.

        Raises:
            ClientError: the target refuses it.
            BotoCoreError: the target did not answer.
        """
        arn = str(target["Arn"])
        text = transformed(target, event)
        match arn.split(":")[2]:
            case "states":
                name = f"{event['id']}_{uuid.uuid4()}"
                self.client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=text)
            case "sqs":
                self.send_message(arn, text, {})
            case "sns":
                self.client("sns").publish(TopicArn=arn, Message=text)
            case "lambda":
                self.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text)
            case service:
                raise NotImplementedError(f"the local cloud delivers no events to {service}")

    def send_message(self, queue_arn: str, body: str, attributes: Mapping[str, str]) -> None:
        """Puts a message with string attributes into a queue."""
        self.client("sqs").send_message(
            QueueUrl=self.queue_url(queue_arn),
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def queue_url(self, queue_arn: str) -> str:
        account, name = queue_arn.split(":")[4:6]
        return f"{self._endpoint}/{account}/{name}"


def transformed(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """What a rule's target gets of ``event``: all of it, or what its ``InputTransformer`` makes of it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    transformer = target.get("InputTransformer")
    if transformer is None:
        return json.dumps(event)
    text = str(transformer["InputTemplate"])
    for name, path in transformer.get("InputPathsMap", {}).items():
        value = _at(event, path)
        # A string stands without its quotes: the template has them where they are wanted.
        text = text.replace(
            f"<{name}>", json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value)
        )
    return text


def _at(event: Any, path: str) -> Any:
    """The value at a path of names, ``$.detail.status``; None when it is not there."""
    for name in path.split(".")[1:]:
        event = event.get(name) if isinstance(event, Mapping) else None
    return event
