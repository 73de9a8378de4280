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
from taskmedic.domain.errors import ActionFailed, AwsUnreachable, InputError
from taskmedic.domain.triggers import DRILL_SOURCE
from taskmedic_cli import executions, stack
from taskmedic_cli.common import aws_options, clients_for

ANSWER_WITHIN_S = 30.0


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


def post_webhook(url: str, secret: str, body: bytes, delivery_id: str) -> str:
    """Posts ``body`` as PagerDuty does: signed with ``secret``, once; returns the execution's name.

    Raises:
        AwsUnreachable: nothing answers at ``url``.
        ActionFailed: the answer is no 2xx, or the webhook was taken and started nothing.
    """
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "PagerDuty-Webhook/V3.0",
        "X-Webhook-Id": delivery_id,
        "X-PagerDuty-Signature": f"v1={signature}",
    }
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


def start_from(clients: Clients, given: dict[str, Any], machine: str, stack_name: str) -> str:
    """Sends the trigger and returns the ARN of its execution.

    Raises:
        InputError: it is none of the three kinds of trigger.
        ActionFailed: it was sent, and no execution was started.
    """
    states = clients.get("stepfunctions")
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
    if isinstance(given.get("event"), dict):
        place = stack.webhook(clients, stack_name)
        body = json.dumps(given, separators=(",", ":")).encode()
        return executions.execution_arn(
            machine, post_webhook(place.url, place.secret, body, str(uuid.uuid4()))
        )
    if "runbook" in given:
        return executions.start(states, machine, given)
    raise InputError(
        "the file is none of the three triggers",
        why="an ECS event has `detail-type`, a PagerDuty webhook has `event`, a manual start has `runbook`",
        remedy="See events/ for a sample of each.",
    )


@click.command()
@click.argument("file")
@click.option("--wait", is_flag=True, help="Wait until the execution ends; exit 1 when it fails.")
@click.option("--timeout", type=float, default=900.0, show_default=True, help="Seconds to wait.")
@click.option("--state-machine", help="ARN; default: the one whose name holds `remediation`.")
@click.option("--stack-name", default=stack.DEFAULT_NAME, show_default=True, help="The deployed stack.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer as JSON.")
@aws_options
def send(
    file: str,
    wait: bool,
    timeout: float,
    state_machine: str | None,
    stack_name: str,
    as_json: bool,
    profile: str | None,
    region: str | None,
) -> None:
    """Sends FILE (- for stdin): an ECS event to the bus, a PagerDuty body to the webhook, or a manual start.

    An ECS event goes with the source taskmedic.drill, because only AWS may put events of the source aws.ecs.
    """
    given = read_trigger(file)
    clients = clients_for(profile, region)
    states = clients.get("stepfunctions")
    machine = state_machine or executions.machine_arn(states)
    arn = start_from(clients, given, machine, stack_name)
    executions.tell(states, arn, wait_s=timeout if wait else None, as_json=as_json)
