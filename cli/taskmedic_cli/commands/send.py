"""``taskmedic send``: one trigger from a file, on the way it would take in production."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import urllib3

from taskmedic.aws.clients import Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.arns import last_part
from taskmedic.domain.errors import ActionFailed, AwsUnreachable, InputError
from taskmedic.domain.triggers import DRILL_SOURCE
from taskmedic_cli import executions, stack
from taskmedic_cli.common import aws_options, clients_for, stack_option

ANSWER_WITHIN_S = 30.0
# Members that a request by bearer secret may have and a manual start has not.
ACTION_MEMBERS = frozenset({"messages", "incident_id", "cluster", "service"})


def read_trigger(path: str) -> dict[str, Any]:
    """The JSON object in the file; ``-`` is stdin.

    Raises:
        InputError: the file cannot be read, or holds no JSON object.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        given = json.loads(text)
    except OSError as error:
        raise InputError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no JSON", why=str(error)) from error
    if not isinstance(given, dict):
        raise InputError(f"{path} holds no JSON object", remedy="See events/ for a sample of each kind.")
    return given


def as_new(given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with another task's or webhook's id: what was sent before would be told apart as a repeat.

    Raises:
        InputError: the event names no task.
    """
    if isinstance(given.get("event"), dict):
        return {**given, "event": {**given["event"], "id": uuid.uuid4().hex}}
    if "detail-type" not in given:
        return given  # a start by hand, or by bearer secret, is new each time
    detail = given.get("detail")
    arn = detail.get("taskArn") if isinstance(detail, dict) else None
    if not isinstance(arn, str) or "/" not in arn:
        raise InputError("the event names no task to give another id", where="detail.taskArn")
    renamed: dict[str, Any] = json.loads(json.dumps(given).replace(last_part(arn), uuid.uuid4().hex))
    return renamed


def put_event(clients: Clients, event: Mapping[str, Any]) -> str:
    """Puts an ECS event on the default bus as a drill; returns the id EventBridge gave it.

    A user cannot put events of the source ``aws.ecs``; the rule takes ``taskmedic.drill`` as well.
    """
    entry = {
        "Source": DRILL_SOURCE,
        "DetailType": str(event["detail-type"]),
        "Detail": json.dumps(event.get("detail", {})),
        "Resources": [str(name) for name in event.get("resources", [])],
    }
    with translated("cannot put the event", "the default event bus"):
        answer = clients.get("events").put_events(Entries=[entry])
    refused = answer["Entries"][0]
    if answer["FailedEntryCount"]:
        raise ActionFailed(
            "EventBridge refused the event", why=f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
        )
    return str(refused["EventId"])


def is_action(given: Mapping[str, Any]) -> bool:
    """Whether this is what an incident's button, a workflow or an orchestration posts, which sign nothing."""
    return any(name in ACTION_MEMBERS or name.startswith("option.") for name in given)


def signed(secret: str, body: bytes) -> dict[str, str]:
    """The headers by which PagerDuty's V3 webhooks prove themselves."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"User-Agent": "PagerDuty-Webhook/V3.0", "X-PagerDuty-Signature": f"v1={signature}"}


def post_webhook(url: str, proof: Mapping[str, str], body: bytes) -> str:
    """Posts ``body`` once, with ``proof`` among its headers; returns the execution's name.

    Raises:
        AwsUnreachable: nothing answers at ``url``.
        ActionFailed: the answer is no 2xx, or the webhook was taken and started nothing.
    """
    headers = {"Content-Type": "application/json", "X-Webhook-Id": str(uuid.uuid4()), **proof}
    try:
        answer = urllib3.request("POST", url, body=body, headers=headers, timeout=16.0, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise AwsUnreachable("the webhook cannot be reached", where=url, why=str(error)) from error
    said = answer.data.decode(errors="replace")
    if not 200 <= answer.status < 300:
        raise ActionFailed(f"the webhook answered {answer.status}", where=url, why=said)
    try:
        return str(json.loads(said)["execution"])
    except (ValueError, KeyError, TypeError) as error:
        raise ActionFailed("the webhook was taken and started nothing", where=url, why=said) from error


def start_from(clients: Clients, given: dict[str, Any], stack_name: str) -> str:
    """Sends the trigger and returns the ARN of its execution.

    Raises:
        InputError: it is none of the three kinds of trigger.
        ActionFailed: it was sent, and no execution was started.
    """
    states, machine = clients.get("stepfunctions"), stack.state_machine(clients, stack_name)
    if "detail-type" in given:
        event_id = put_event(clients, given)
        found = executions.find_by_input(
            states, machine, lambda put: put.get("id") == event_id, seconds=ANSWER_WITHIN_S
        )
        if found is None:
            raise ActionFailed(
                "no execution was started for the event",
                where=f"event {event_id}",
                why="the rule's pattern keeps it out, or its delivery failed",
                remedy="The rule lets through only STOPPED tasks that nobody stopped on purpose; "
                "failed deliveries are in its dead-letter queue.",
            )
        return found
    if isinstance(given.get("event"), dict) or is_action(given):
        place = stack.webhook(clients, stack_name)
        body = json.dumps(given, separators=(",", ":")).encode()
        proof = (
            signed(place.first("signing_secrets"), body)
            if "event" in given
            else {"Authorization": f"Bearer {place.first('bearer_secrets')}"}
        )
        return executions.execution_arn(machine, post_webhook(place.url, proof, body))
    if "runbook" in given:
        return executions.start(states, machine, given)
    raise InputError(
        "the file is none of the three triggers",
        why="an ECS event has `detail-type`, a PagerDuty webhook `event`, a button or workflow `messages` or "
        "`incident_id`, a manual start `runbook`",
        remedy="See events/ for a sample of each.",
    )


@click.command()
@click.argument("file")
@click.option("--wait", is_flag=True, help="Wait until the execution ends; exit 1 when it fails.")
@click.option("--timeout", type=float, default=900.0, show_default=True, help="Seconds to wait.")
@click.option("--new", is_flag=True, help="With a new task or webhook id, so that it is no repeat.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer as JSON.")
@stack_option
@aws_options
def send(
    file: str,
    wait: bool,
    timeout: float,
    new: bool,
    as_json: bool,
    stack_name: str,
    profile: str | None,
    region: str | None,
) -> None:
    """Sends FILE (- for stdin): an ECS event to the bus, a PagerDuty body to the webhook, or a manual start.

    PagerDuty's webhooks go with a signature, what its buttons and workflows send with the bearer secret.

    An ECS event goes with the source taskmedic.drill, because only AWS may put events of the source aws.ecs.
    """
    given = read_trigger(file)
    clients = clients_for(profile, region)
    arn = start_from(clients, as_new(given) if new else given, stack_name)
    executions.tell(clients.get("stepfunctions"), arn, wait_s=timeout if wait else None, as_json=as_json)
