"""A webhook of PagerDuty starts an execution: verify, start, answer, and nothing else.

The status decides what PagerDuty does (its docs, "Webhook Behavior"): a 2xx is done; a 5xx, 429 or no answer
within 5 s is sent again for up to 48 h; any other 4xx is dropped, and three dropped in a row disable the
subscription. So everything authentic gets 202, whatever becomes of it, and every fault of ours a 5xx.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from taskmedic.aws.clients import Clients
from taskmedic.aws.errors import from_client_error, translated
from taskmedic.aws.secrets import MAX_AGE_S, Secrets, secrets_of
from taskmedic.domain.errors import InvalidTrigger, SettingMissing, TaskmedicError, Throttled
from taskmedic.pagerduty.events import event_of, ignored_because
from taskmedic.pagerduty.requests import MAX_BODY_BYTES, Received, action_of, json_object, shortened
from taskmedic.pagerduty.signature import is_authentic, is_one_of
from taskmedic.settings import ReceiveWebhookSettings

SIGNATURE: Final = "x-pagerduty-signature"
BEARER: Final = "bearer "
# A warm process may not know a secret added a moment ago. Forgeries cannot make it look more often than this.
REFRESH_AFTER_S: Final = 30.0

logger = Logger(child=True)


@dataclass(frozen=True)
class Reply:
    """What is answered, and why."""

    status: int
    decision: str
    reason: str
    execution: str = ""


def run(event: Mapping[str, Any], settings: ReceiveWebhookSettings, clients: Clients) -> dict[str, Any]:
    """Answers one HTTP request of the webhook's URL.

    Args:
        event: API Gateway's HTTP API event, payload format 2.0.
        settings: The function's.
        clients: For Secrets Manager and Step Functions.
    """
    try:
        reply = _reply(Received.from_http_api(event), settings, clients)
    except InvalidTrigger as error:
        reply = Reply(400, "refused", error.text())
    except TaskmedicError as error:
        reply = _failed(error)
    logger.info(reply.reason, extra={"decision": reply.decision, "execution": reply.execution})
    body = {"decision": reply.decision, "reason": reply.reason}
    if reply.execution:
        body["execution"] = reply.execution
    return {
        "statusCode": reply.status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }


def _failed(error: TaskmedicError) -> Reply:
    """A fault of ours: a 5xx, so that PagerDuty sends it again. The cause is for the log only."""
    logger.error(error.text(), extra={"error": type(error).__name__})
    status = 503 if isinstance(error, Throttled) else 500
    return Reply(status, "failed", "not handled for a reason of ours; send it again")


def execution_name(delivery_id: str) -> str:
    """The name of the execution that a delivery starts: the same delivery again is no second run.

    Step Functions keeps a name for 90 days, PagerDuty repeats a delivery for 2.
    """
    return f"pd-{hashlib.sha256(delivery_id.encode(errors='surrogatepass')).hexdigest()[:32]}"


def _reply(received: Received, settings: ReceiveWebhookSettings, clients: Clients) -> Reply:
    if len(received.body) > MAX_BODY_BYTES:
        return Reply(
            413, "refused", f"the body is over {MAX_BODY_BYTES} bytes; PagerDuty sends none of that size"
        )
    secrets = secrets_of(clients)
    secret_id = settings.pagerduty_webhook_secret_id
    if signatures := received.header(SIGNATURE):
        for max_age_s in (MAX_AGE_S, REFRESH_AFTER_S):
            if is_authentic(received.body, signatures, _signing_secrets(secrets, secret_id, max_age_s)):
                return _delivery(received, settings, clients)
        return Reply(403, "refused", "the signature is wrong")
    authorization = received.header("authorization")
    if authorization[: len(BEARER)].lower() == BEARER:
        token = authorization[len(BEARER) :].strip()
        for max_age_s in (MAX_AGE_S, REFRESH_AFTER_S):
            if is_one_of(
                token, _listed(secrets.json(secret_id, max_age_s=max_age_s), "bearer_secrets", secret_id)
            ):
                return _action(received, settings, clients)
        return Reply(403, "refused", "the bearer secret is wrong, or this way in is not switched on")
    return Reply(401, "refused", "neither a signature nor a bearer secret was sent")


def _delivery(received: Received, settings: ReceiveWebhookSettings, clients: Clients) -> Reply:
    """An authentic V3 webhook."""
    try:
        event = json_object(received.body).get("event")
    except InvalidTrigger as error:
        return Reply(202, "ignored", error.text())
    if not isinstance(event, dict):
        return Reply(202, "ignored", "the body has no event")
    known = event_of(event)
    if reason := ignored_because(known):
        return Reply(202, "ignored", reason)
    delivery_id = received.header("x-webhook-id") or known.id or hashlib.sha256(received.body).hexdigest()
    start = {
        "source": "pagerduty.webhook",
        "delivery_id": delivery_id,
        "subscription_id": received.header("x-webhook-subscription"),
        "event": shortened(event, known),
    }
    return _start(
        start, delivery_id, f"{known.event_type} of incident {known.incident_id}", settings, clients
    )


def _action(received: Received, settings: ReceiveWebhookSettings, clients: Clients) -> Reply:
    """A request with the bearer secret. Without an id of its own, two requests are two runs."""
    request = action_of(received)
    delivery_id = received.header("x-webhook-id") or received.header("idempotency-key") or received.request_id
    start = {"source": "pagerduty.action", "delivery_id": delivery_id, "request": request}
    return _start(start, f"action:{delivery_id}", "request by bearer secret", settings, clients)


def _start(
    start: Mapping[str, Any], key: str, what: str, settings: ReceiveWebhookSettings, clients: Clients
) -> Reply:
    name = execution_name(key)
    with translated("cannot start the execution", settings.state_machine_arn):
        try:
            clients.get("stepfunctions").start_execution(
                stateMachineArn=settings.state_machine_arn, name=name, input=json.dumps(start)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise from_client_error(
                    error, "cannot start the execution", settings.state_machine_arn
                ) from error
            return Reply(202, "duplicate", f"{what}: sent before", name)
    return Reply(202, "started", what, name)


def _signing_secrets(secrets: Secrets, secret_id: str, max_age_s: float) -> list[str]:
    """The secrets a signature may be made with.

    Raises:
        SettingMissing: there is none yet; better than a 403, which would lose the events.
    """
    listed = _listed(secrets.json(secret_id, max_age_s=max_age_s), "signing_secrets", secret_id)
    if not listed:
        raise SettingMissing(
            "no signing secret is stored",
            where=secret_id,
            remedy='Add the webhook subscription\'s secret to "signing_secrets".',
        )
    return listed


def _listed(secret: Mapping[str, Any], name: str, where: str) -> list[str]:
    value = secret.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingMissing(
            f'"{name}" is no list of texts', where=where, remedy="docs/pagerduty.md shows its form."
        )
    return [one for one in value if one]
