"""What a V3 webhook event says, and whether it can start anything.

Source: PagerDuty's developer docs, "Webhooks: Overview", and captures of real deliveries. Every field but the
incident's id is optional: captures of several years differ, and new event types may appear at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskmedic.domain.incident_events import OURS, TRIGGERING

# In every note of ours; what is followed by the execution's name tells one run's note from another's.
MARK: Final = "taskmedic-run:"


@dataclass(frozen=True)
class WebhookEvent:
    """One event of a V3 webhook. What it does not say is empty."""

    id: str
    event_type: str
    resource_type: str
    occurred_at: str
    agent_id: str
    agent_type: str
    incident_id: str
    title: str
    html_url: str
    status: str
    urgency: str
    service_id: str
    service_name: str
    text: str
    """The content of a note or the message of a status update."""


def event_of(event: Mapping[str, Any]) -> WebhookEvent:
    """The fields of ``event``, the value of the body's ``event`` member. Strangers become empty."""
    data = _object(event.get("data"))
    kind = _text(data.get("type"))
    incident = data if kind == "incident" else _object(data.get("incident"))
    agent = _object(event.get("agent"))
    service = _object(data.get("service"))
    return WebhookEvent(
        id=_text(event.get("id")),
        event_type=_text(event.get("event_type")),
        resource_type=_text(event.get("resource_type")),
        occurred_at=_text(event.get("occurred_at")),
        agent_id=_text(agent.get("id")),
        agent_type=_text(agent.get("type")),
        incident_id=_text(incident.get("id")),
        title=_text(incident.get("title")) or _text(incident.get("summary")),
        html_url=_text(incident.get("html_url")),
        status=_text(incident.get("status")),
        urgency=_text(incident.get("urgency")),
        service_id=_text(service.get("id")),
        service_name=_text(service.get("summary")) or _text(service.get("name")),
        text=_text(data.get("content")) or _text(data.get("message")),
    )


def ignored_because(event: WebhookEvent) -> str:
    """Why ``event`` starts no execution, as a sentence; empty when it may start one."""
    if event.event_type == "pagey.ping":
        return "a test ping of PagerDuty"
    if MARK in event.text:
        return "our own note came back"
    if event.event_type not in TRIGGERING:
        return f"events of type {event.event_type or '(none)'} start nothing"
    if not event.incident_id:
        return "the event names no incident"
    return ""


def may_be_ours(event: WebhookEvent) -> bool:
    """Whether ``event`` may be the echo of something we did ourselves: then ``own_action`` has to tell."""
    return event.event_type in OURS and event.agent_type == "user_reference"


def own_action(event: WebhookEvent, own_user_id: str) -> str:
    """Why ``event`` is, or for all we know may be, the echo of our own doing; empty when it is not.

    Args:
        event: An event that ``may_be_ours``.
        own_user_id: The PagerDuty user we act as (``Client.own_user_id``); empty when there is no telling.
    """
    if not own_user_id:
        return f"our own PagerDuty user is not known, and it may have done this ({event.event_type})"
    if event.agent_id == own_user_id:
        return f"our own PagerDuty user did it ({event.event_type})"
    return ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
