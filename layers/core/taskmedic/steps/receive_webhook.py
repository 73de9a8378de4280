"""A webhook of PagerDuty starts an execution: verify, start, answer, and nothing else.

The status decides what PagerDuty does (its docs, "Webhook Behavior"): a 2xx is done; a 5xx, 429 or no answer
within 5 s is sent again for up to 48 h; any other 4xx is dropped, and three dropped in a row disable the
subscription. So everything authentic gets 202, whatever becomes of it, and every fault of ours a 5xx.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from aws_lambda_powertools import Logger

from taskmedic.aws.clients import Clients
from taskmedic.aws.executions import start_execution
from taskmedic.aws.secrets import MAX_AGE_S, secrets_of
from taskmedic.domain.errors import InvalidTrigger, SettingMissing, TaskmedicError, Throttled
from taskmedic.pagerduty.events import event_of, ignored_because
from taskmedic.pagerduty.requests import MAX_BODY_BYTES, Received, action_of, json_object, shortened
from taskmedic.pagerduty.signature import is_authentic, is_one_of
from taskmedic.settings import ReceiveWebhookSettings

SIGNATURE: Final = "x-pagerduty-signature"
SIGNING: Final = "signing_secrets"
BEARER: Final = "bearer_secrets"
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
        reply = _Receiver(settings, clients).reply(Received.from_http_api(event))
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
    return f"pd-{sha256(delivery_id.encode(errors='surrogatepass')).hexdigest()[:32]}"


@dataclass(frozen=True)
class _Receiver:
    """Answers requests."""

    settings: ReceiveWebhookSettings
    clients: Clients

    def reply(self, received: Received) -> Reply:
        if len(received.body) > MAX_BODY_BYTES:
            return Reply(413, "refused", f"over {MAX_BODY_BYTES} bytes; PagerDuty sends no body of that size")
        if signatures := received.header(SIGNATURE):
            if self._matches(SIGNING, lambda secrets: is_authentic(received.body, signatures, secrets)):
                return self._delivery(received)
            return Reply(403, "refused", "the signature is wrong")
        scheme, _, token = received.header("authorization").partition(" ")
        if scheme.lower() != "bearer":
            return Reply(401, "refused", "neither a signature nor a bearer secret was sent")
        if self._matches(BEARER, lambda secrets: is_one_of(token.strip(), secrets)):
            return self._action(received)
        return Reply(403, "refused", "the bearer secret is wrong, or this way in is not switched on")

    def _matches(self, name: str, matches: Callable[[list[str]], bool]) -> bool:
        """Whether the secrets that are kept match or else those that are stored now."""
        return any(matches(self._secrets(name, max_age_s)) for max_age_s in (MAX_AGE_S, REFRESH_AFTER_S))

    def _secrets(self, name: str, max_age_s: float) -> list[str]:
        """The secrets listed under ``name``.

        Raises:
            SettingMissing: it is no list, or there is no signing secret yet: better than a 403, which would
                lose the events.
        """
        where = self.settings.pagerduty_webhook_secret_id
        listed = secrets_of(self.clients).json(where, max_age_s=max_age_s).get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            remedy = "docs/pagerduty.md shows the secret's form."
            raise SettingMissing(f'"{name}" is no list of texts', where=where, remedy=remedy)
        if name == SIGNING and not any(listed):
            remedy = f'Add the webhook subscription\'s secret to "{SIGNING}".'
            raise SettingMissing("no signing secret is stored", where=where, remedy=remedy)
        return listed

    def _delivery(self, received: Received) -> Reply:
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
        delivery_id = received.header("x-webhook-id") or known.id or sha256(received.body).hexdigest()
        start = {
            "source": "pagerduty.webhook",
            "delivery_id": delivery_id,
            "subscription_id": received.header("x-webhook-subscription"),
            "event": shortened(event, known),
        }
        return self._start(delivery_id, start, f"{known.event_type} of incident {known.incident_id}")

    def _action(self, received: Received) -> Reply:
        """A request with the bearer secret. Without an id of its own, each is a run of its own."""
        request = action_of(received)
        ids = (received.header("x-webhook-id"), received.header("idempotency-key"), received.request_id)
        delivery_id = next(filter(None, ids), "")
        start = {"source": "pagerduty.action", "delivery_id": delivery_id, "request": request}
        return self._start(f"action:{delivery_id}", start, "request by bearer secret")

    def _start(self, key: str, start: Mapping[str, Any], what: str) -> Reply:
        name = execution_name(key)
        stepfunctions = self.clients.get("stepfunctions")
        if start_execution(stepfunctions, self.settings.state_machine_arn, name, start):
            return Reply(202, "started", what, name)
        return Reply(202, "duplicate", f"{what}: sent before", name)
