"""EventBridge: takes events, lets moto's rules match them, and delivers to the rules' targets.

moto matches patterns and delivers to no state machine. Here each target gets each event at least once: failed
deliveries are repeated as the target's RetryPolicy says, in compressed time, and then go to its dead-letter
queue with the attributes that AWS sets.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import events_backends

from taskmedic_local.answers import Environ, StartResponse, answer_error, answer_json, json_body
from taskmedic_local.front import ACCOUNT_KEY, REGION_KEY
from taskmedic_local.targets import Targets

log = logging.getLogger(__name__)

MAX_ENTRIES = 10
MAX_REQUEST_BYTES = 256 * 1024
# What EventBridge does where a target says nothing.
DEFAULT_ATTEMPTS = 185
DEFAULT_AGE_S = 86_400
# EventBridge does not publish its back-off; this is a usual one. Seconds, before compression.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

_TRANSIENT = frozenset(
    {"Throttling", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"}
)
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
_DLQ_CODES = {
    "AccessDenied": "NO_PERMISSIONS",
    "AccessDeniedException": "NO_PERMISSIONS",
    "StateMachineDoesNotExist": "NO_RESOURCE",
    "ResourceNotFoundException": "NO_RESOURCE",
    "AWS.SimpleQueueService.NonExistentQueue": "NO_RESOURCE",
    "NotFound": "NO_RESOURCE",
    "ExecutionAlreadyExists": "RESOURCE_ALREADY_EXISTS",
    "InvalidExecutionInput": "INVALID_PARAMETER",
    "InvalidName": "INVALID_PARAMETER",
    **dict.fromkeys(_TRANSIENT, "THROTTLING"),
}


@dataclass
class _Delivery:
    """One event on its way to one target of one rule."""

    event: Mapping[str, Any]
    rule_arn: str
    target: Mapping[str, Any]
    since: float
    attempts: int = 0


class EventBus:
    """The buses of the local cloud."""

    def __init__(self, targets: Targets, time_scale: float) -> None:
        self._targets = targets
        self._time_scale = time_scale
        self._workers = ThreadPoolExecutor(8, thread_name_prefix="events")
        self._open = 0
        self._changed = threading.Condition()
        self._closed = False

    def put_events(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI: PutEvents, as an AWS user may call it."""
        entries = json_body(environ).get("Entries", [])
        if not 0 < len(entries) <= MAX_ENTRIES:
            text = f"Entries must have between 1 and {MAX_ENTRIES} members; these are {len(entries)}"
            return answer_error(environ, start_response, "ValidationException", text)
        if sum(_entry_bytes(entry) for entry in entries) > MAX_REQUEST_BYTES:
            text = "Total size of the entries in the request is over the limit."
            return answer_error(environ, start_response, "ValidationException", text)
        results = [self._put(entry, environ[ACCOUNT_KEY], environ[REGION_KEY]) for entry in entries]
        failed = sum(1 for result in results if "ErrorCode" in result)
        return answer_json(start_response, {"FailedEntryCount": failed, "Entries": results})

    def emit(self, event: Mapping[str, Any], bus: str = "default") -> None:
        """Delivers an event of an AWS service, envelope and all, to every target of every rule it fits."""
        backend = events_backends[event["account"]][event["region"]]
        if bus not in backend.event_buses:
            return
        for rule in list(backend.event_buses[bus].rules.values()):
            pattern = rule.event_pattern
            if (
                rule.state != "ENABLED"
                or not pattern.get_pattern()
                or not pattern.matches_event(cast(Any, event))
            ):
                continue
            for target in rule.targets:
                self._submit(_Delivery(event, rule.arn, target, time.monotonic()))

    def wait_idle(self, timeout_s: float = 10.0) -> bool:
        """Waits until every delivery has ended, in its target or in a dead-letter queue."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout_s)

    def close(self) -> None:
        self._closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _put(self, entry: Mapping[str, Any], account: str, region: str) -> dict[str, str]:
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
        if entry["Source"].startswith("aws."):
            return {"ErrorCode": "NotAuthorizedForSource", "ErrorMessage": "Not authorized for the source."}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event = make_event(
            source=entry["Source"],
            detail_type=entry["DetailType"],
            detail=detail,
            resources=entry.get("Resources", []),
            account=account,
            region=region,
            at=float(entry["Time"]) if "Time" in entry else None,
        )
        self.emit(event, entry.get("EventBusName", "default").rpartition("/")[2])
        return {"EventId": event["id"]}

    def _submit(self, delivery: _Delivery) -> None:
        with self._changed:
            self._open += 1
        self._try_in_pool(delivery)

    def _try_in_pool(self, delivery: _Delivery) -> None:
        if not self._closed:
            self._workers.submit(self._try, delivery)

    def _try(self, delivery: _Delivery) -> None:
        delivery.attempts += 1
        try:
            self._targets.send(delivery.target, delivery.event)
        except (ClientError, BotoCoreError) as error:
            self._failed(delivery, error)
            return
        except Exception:
            log.exception("delivery to %s failed", delivery.target["Arn"])
        self._ended()

    def _failed(self, delivery: _Delivery, error: ClientError | BotoCoreError) -> None:
        policy = delivery.target.get("RetryPolicy", {})
        retries = int(policy.get("MaximumRetryAttempts", DEFAULT_ATTEMPTS))
        age_limit = int(policy.get("MaximumEventAgeInSeconds", DEFAULT_AGE_S)) * self._time_scale
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (delivery.attempts - 1)) * self._time_scale
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        too_old = time.monotonic() + pause - delivery.since > age_limit
        if _is_transient(error) and delivery.attempts <= retries and not too_old:
            timer = threading.Timer(pause, self._try_in_pool, [delivery])
            timer.daemon = True
            timer.start()
            return
        condition = ""
        if _is_transient(error):
            condition = "MaximumEventAgeInSeconds" if too_old else "MaximumRetryAttempts"
        self._to_dead_letters(delivery, error, condition)
        self._ended()

    def _to_dead_letters(
        self, delivery: _Delivery, error: ClientError | BotoCoreError, condition: str
    ) -> None:
        queue = delivery.target.get("DeadLetterConfig", {}).get("Arn")
        code = _code(error)
        if not queue:
            log.warning(
                "event for %s dropped, it has no dead-letter queue: %s", delivery.target["Arn"], error
            )
            return
        attributes = {
            "RULE_ARN": delivery.rule_arn,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": _DLQ_CODES.get(code, "SDK_CLIENT_ERROR"),
            "ERROR_MESSAGE": str(error),
            "RETRY_ATTEMPTS": str(delivery.attempts - 1),
        }
        if condition:
            attributes["EXHAUSTED_RETRY_CONDITION"] = condition
        try:
            self._targets.send_message(queue, json.dumps(delivery.event), attributes)
        except (ClientError, BotoCoreError):
            log.exception("event for %s lost: its dead-letter queue refuses it", delivery.target["Arn"])

    def _ended(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()


def make_event(
    *,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    account: str,
    region: str,
    resources: Iterable[str] = (),
    at: float | None = None,
) -> dict[str, Any]:
    """An event in EventBridge's envelope; ``at`` is in seconds since the epoch, now by default."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }


def _entry_bytes(entry: Mapping[str, Any]) -> int:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html"""
    texts = [
        entry.get("Source", ""),
        entry.get("DetailType", ""),
        entry.get("Detail", ""),
        *entry.get("Resources", []),
    ]
    return sum(len(text.encode()) for text in texts) + (14 if "Time" in entry else 0)


def _code(error: ClientError | BotoCoreError) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def _is_transient(error: ClientError | BotoCoreError) -> bool:
    if not isinstance(error, ClientError):
        return True
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or status == 429 or _code(error) in _TRANSIENT
