"""What is sent to the webhook's URL, taken apart: deliveries of V3 webhooks, and requests of the bearer way.

Incident Workflows, Event Orchestration and Custom Incident Actions sign nothing, but can send a header and,
the first two, a body of one's own. A Custom Incident Action sends PagerDuty's old V2 message; what it
starts is said in the query of its URL.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from taskmedic.domain.errors import InvalidTrigger
from taskmedic.pagerduty.events import WebhookEvent

# PagerDuty sends up to 256 KB and drops what is larger.
MAX_BODY_BYTES: Final = 256 * 1024
# Step Functions takes an input of 256 KiB; a longer event is cut to what we read of it.
MAX_EVENT_BYTES: Final = 200 * 1024
TEXTS: Final = ("runbook", "cluster", "service", "incident_id")
OPTION: Final = "option."


@dataclass(frozen=True)
class Received:
    """One HTTP request, its body as the bytes that came. Header names are in lower case."""

    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str]
    body: bytes = field(repr=False)
    request_id: str

    @classmethod
    def from_http_api(cls, event: Mapping[str, Any]) -> Received:
        """From API Gateway's HTTP API event, payload format 2.0.

        Raises:
            InvalidTrigger: the body is said to be base64 and is not.
        """
        text = event.get("body") or ""
        try:
            body = (
                base64.b64decode(text, validate=True)
                if event.get("isBase64Encoded")
                else text.encode(errors="surrogatepass")
            )
        except binascii.Error:
            raise InvalidTrigger("the body is no base64", where="body") from None
        return cls(
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            query=dict(parse_qsl(event.get("rawQueryString") or "")),
            body=body,
            request_id=str((event.get("requestContext") or {}).get("requestId") or ""),
        )

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


def json_object(body: bytes) -> dict[str, Any]:
    """The object in ``body``.

    Raises:
        InvalidTrigger: it is no JSON object in UTF-8.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidTrigger("the body is no JSON", where="body", why=str(error)) from None
    if not isinstance(value, dict):
        raise InvalidTrigger("the body is no JSON object", where="body")
    return value


def shortened(event: Mapping[str, Any], known: WebhookEvent) -> Mapping[str, Any]:
    """``event``, or when it is too long for an execution's input, the same with only what we read of it."""
    if len(json.dumps(event)) <= MAX_EVENT_BYTES:
        return event
    return {
        "id": known.id,
        "event_type": known.event_type,
        "resource_type": known.resource_type,
        "occurred_at": known.occurred_at,
        "agent": {"id": known.agent_id, "type": known.agent_type} if known.agent_id else None,
        "client": None,
        "data": {
            "id": known.incident_id,
            "type": "incident",
            "html_url": known.html_url,
            "status": known.status,
            "title": known.title[:1024],
            "service": {"id": known.service_id, "type": "service_reference", "summary": known.service_name},
            "urgency": known.urgency,
        },
    }


def action_of(received: Received) -> dict[str, Any]:
    """What a request of the bearer way asks for: runbook, cluster, service, incident_id, options.

    Options are an object ``options``, or flat members ``option.NAME`` where only texts can be sent. What the
    URL's query says counts, too; the body wins.

    Raises:
        InvalidTrigger: a member is unknown or of the wrong type, or nothing is asked for; the text names it.
    """
    body = json_object(received.body) if received.body else {}
    in_body = _of_custom_action(body) if "messages" in body else body
    in_query: dict[str, Any] = dict(received.query)
    options = {**_options(in_query), **_options(in_body)}
    said = {**in_query, **in_body}
    for name, value in options.items():
        if not isinstance(value, str | int | float):
            raise InvalidTrigger(
                "an option must be a text, a number or true or false", where=f"options.{name}"
            )
    request = {name: said.pop(name) for name in TEXTS if said.get(name)}
    if strange := sorted(name for name in said if name not in TEXTS):
        raise InvalidTrigger(
            f"unknown member {strange[0]}",
            where="body",
            remedy=f"Known are {', '.join(TEXTS)} and options.",
        )
    for name, value in request.items():
        if not isinstance(value, str):
            raise InvalidTrigger(f"{name} must be a text", where=name)
    if not request:
        raise InvalidTrigger("nothing is asked for", where="body", remedy="Name a runbook or an incident_id.")
    if len(json.dumps(options)) + len(json.dumps(request)) > MAX_EVENT_BYTES:
        raise InvalidTrigger(f"more than {MAX_EVENT_BYTES} bytes are asked for", where="body")
    return {**request, "options": options}


def _options(said: dict[str, Any]) -> dict[str, Any]:
    """Takes the options out of ``said``: the object, and the flat ones, which win."""
    options = said.pop("options", {})
    if not isinstance(options, dict):
        raise InvalidTrigger("options must be an object", where="options")
    names = [name for name in said if name.startswith(OPTION)]
    return {**options, **{name.removeprefix(OPTION): said.pop(name) for name in names}}


def _of_custom_action(body: Mapping[str, Any]) -> dict[str, Any]:
    """PagerDuty's V2 message, as a button on an incident sends it."""
    messages = body["messages"]
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise InvalidTrigger("exactly one message is expected", where="messages")
    incident = messages[0].get("incident")
    if messages[0].get("event") != "incident.custom" or not isinstance(incident, dict):
        raise InvalidTrigger(
            "only a Custom Incident Action can be sent so",
            where="messages.0.event",
            remedy="Use a V3 webhook subscription for events.",
        )
    return {"incident_id": incident.get("id")}
