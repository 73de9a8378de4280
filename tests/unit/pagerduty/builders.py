"""Small worlds for the tests: webhook bodies, HTTP API events, AWS clients that remember what was asked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

SECRET = "whsec-of-the-subscription"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:remediation"


def an_event(event_type: str = "incident.triggered", **data: Any) -> dict[str, Any]:
    """The body of a V3 webhook about incident Q1."""
    incident = {
        "id": "Q1",
        "type": "incident",
        "status": "triggered",
        "title": "search is slow",
        "html_url": "https://acme-shop.pagerduty.com/incidents/Q1",
        "urgency": "high",
        "service": {"id": "PSEARCH", "type": "service_reference", "summary": "Search"},
        **data,
    }
    return {
        "event": {
            "id": "01EVENT",
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": "2026-11-21T03:12:44.310Z",
            "agent": None,
            "client": None,
            "data": incident,
        }
    }


def signature(body: bytes, secret: str = SECRET) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def a_request(
    body: bytes | dict[str, Any],
    *,
    signed: str | None = None,
    webhook_id: str = "a3d6149f",
    base64_encoded: bool = False,
    query: dict[str, str] | None = None,
    **headers: str,
) -> dict[str, Any]:
    """An HTTP API event. ``signed`` is the signature header; None signs with SECRET, empty leaves it out."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {
        "content-type": "application/json",
        "x-webhook-id": webhook_id,
        "x-webhook-subscription": "PSUBSCR",
        "x-pagerduty-signature": signature(raw) if signed is None else signed,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return {
        "version": "2.0",
        "routeKey": "POST /webhook",
        "headers": {name: value for name, value in sent.items() if value},
        "rawQueryString": urlencode(query or {}),
        "requestContext": {"requestId": "request-1"},
        "isBase64Encoded": base64_encoded,
        "body": base64.b64encode(raw).decode() if base64_encoded else raw.decode(),
    }


class FakeSecrets:
    """Secrets Manager."""

    def __init__(self, **secrets: Any) -> None:
        self.secrets = secrets
        self.reads = 0
        self.failure: Exception | None = None

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        self.reads += 1
        if self.failure:
            raise self.failure
        value = self.secrets[SecretId]
        return {"SecretString": value if isinstance(value, str) else json.dumps(value)}


class FakeStates:
    """Step Functions, as far as names go."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self.failure: Exception | None = None

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: A002, N803
        if self.failure:
            raise self.failure
        if name in self.started:
            raise refused("ExecutionAlreadyExists", "StartExecution")
        self.started[name] = json.loads(input)
        return {"executionArn": f"{stateMachineArn}:{name}"}


class FakeClients:
    """Stands for aws.clients.Clients."""

    def __init__(self, **clients: Any) -> None:
        self._clients = clients

    def get(self, service: str) -> Any:
        return self._clients[service]


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)
