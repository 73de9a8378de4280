"""What PagerDuty keeps: incidents with their alerts and notes, and who did what."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# The two custom fields this account has; others are unknown, as in a real account without them.
CUSTOM_FIELDS = ("taskmedic_finding", "taskmedic_outcome")


def new_id(prefix: str, length: int = 13) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Incident:
    """One incident and what hangs on it."""

    id: str
    number: int
    title: str
    service: dict[str, str]
    urgency: str
    created_at: str
    status: str = "triggered"
    alerts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    custom_fields: dict[str, str] = field(default_factory=dict)
    history: list[tuple[str, str, str]] = field(default_factory=list)
    """When, who, what."""


class Account:
    """One PagerDuty account. Safe to use from several threads.

    Args:
        url: Where the stand-in answers; links point there.
        from_email: The user that API requests act as.
        emit: Takes each event for the webhooks.
    """

    def __init__(self, url: str, from_email: str, emit: Callable[[str, Event], object]) -> None:
        self.url = url
        self.lock = threading.RLock()
        self.incidents: dict[str, Incident] = {}
        self.changes: list[dict[str, Any]] = []
        self.users = {
            from_email: {"id": new_id("P", 6), "name": "Taskmedic", "email": from_email},
            "ines@example.com": {"id": new_id("P", 6), "name": "Ines on call", "email": "ines@example.com"},
        }
        self._emit = emit

    def open_incident(
        self,
        title: str,
        *,
        service_id: str = "PSEARCH",
        service_name: str = "Search",
        alerts: Sequence[Mapping[str, Any]] = (),
        urgency: str = "high",
        id_: str = "",
        webhook: bool = True,
    ) -> Incident:
        """Opens an incident. Each alert is ``{summary, details, cef?, status?, suppressed?, body?}``."""
        with self.lock:
            incident = Incident(
                id=id_ or new_id("Q"),
                number=len(self.incidents) + 1,
                title=title,
                service={"id": service_id, "summary": service_name},
                urgency=urgency,
                created_at=now(),
            )
            incident.alerts = [self._alert(incident, alert) for alert in alerts]
            self.incidents[incident.id] = incident
            self._did(incident, "PagerDuty", "opened the incident")
            if webhook:
                self.emit("incident.triggered", self.webhook_incident(incident), incident.id)
            return incident

    def set_status(self, incident: Incident, status: str, user: Mapping[str, str]) -> None:
        """As PagerDuty does it: any other status opens a resolved incident again."""
        with self.lock:
            reopened = incident.status == "resolved" and status != "resolved"
            incident.status = status
            did = "reopened the incident" if reopened else f"{status} the incident"
            self._did(incident, user["name"], did)
            event = "incident.reopened" if reopened else f"incident.{status}"
            self.emit(event, self.webhook_incident(incident), incident.id, user)

    def add_note(self, incident: Incident, content: str, user: Mapping[str, str]) -> dict[str, Any]:
        with self.lock:
            note = {
                "id": new_id("P"),
                "user": self.reference(user["id"], "user", user["name"]),
                "channel": {"summary": "The PagerDuty website or APIs"},
                "content": content,
                "created_at": now(),
                "updated_at": now(),
            }
            incident.notes.append(note)
            self._did(incident, user["name"], "added a note")
            data = {
                "incident": self.reference(incident.id, "incident", incident.title),
                "id": note["id"],
                "content": content[:2000],
                "trimmed": len(content) > 2000,
                "type": "incident_note",
            }
            self.emit("incident.annotated", data, incident.id, user)
            return note

    def edit_note(self, note: dict[str, Any], content: str) -> None:
        with self.lock:
            note |= {"content": content, "updated_at": now()}

    def set_fields(self, incident: Incident, values: Mapping[str, str], user: Mapping[str, str]) -> None:
        with self.lock:
            incident.custom_fields |= values
            self._did(incident, user["name"], f"set {', '.join(values)}")
            data = {
                "incident": self.reference(incident.id, "incident", incident.title),
                "custom_fields": [{"name": name, "value": value} for name, value in values.items()],
                "type": "incident_field_values",
            }
            self.emit("incident.custom_field_values.updated", data, incident.id, user)

    def reference(self, id_: str, kind: str, summary: str) -> dict[str, str]:
        return {
            "id": id_,
            "type": f"{kind}_reference",
            "summary": summary,
            "self": f"{self.url}/{kind}s/{id_}",
            "html_url": f"{self.url}/ui/{kind}s/{id_}",
        }

    def webhook_incident(self, incident: Incident) -> dict[str, Any]:
        """The incident as a webhook carries it: without alerts, notes and fields."""
        return {
            "id": incident.id,
            "type": "incident",
            "self": f"{self.url}/incidents/{incident.id}",
            "html_url": f"{self.url}/ui/incidents/{incident.id}",
            "number": incident.number,
            "status": incident.status,
            "incident_key": None,
            "created_at": incident.created_at,
            "title": incident.title,
            "service": self.reference(incident.service["id"], "service", incident.service["summary"]),
            "assignees": [],
            "escalation_policy": None,
            "teams": [],
            "priority": None,
            "urgency": incident.urgency,
            "conference_bridge": None,
            "resolve_reason": None,
            "incident_type": {"name": "incident_default"},
        }

    def rest_incident(self, incident: Incident) -> dict[str, Any]:
        """The incident as the REST API gives it."""
        service = self.reference(incident.service["id"], "service", incident.service["summary"])
        return {
            "id": incident.id,
            "type": "incident",
            "summary": f"[#{incident.number}] {incident.title}",
            "self": f"{self.url}/incidents/{incident.id}",
            "html_url": f"{self.url}/ui/incidents/{incident.id}",
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": incident.created_at,
            "status": incident.status,
            "incident_key": None,
            "service": service,
            "urgency": incident.urgency,
            "alert_counts": {"all": len(incident.alerts)},
        }

    def emit(
        self, event_type: str, data: Event, resource_id: str, user: Mapping[str, str] | None = None
    ) -> None:
        """Hands one event to the webhooks."""
        event = {
            "id": new_id("01", 24),
            "event_type": event_type,
            "resource_type": event_type.split(".", 1)[0],
            "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "agent": self.reference(user["id"], "user", user["name"]) if user else None,
            "client": None,
            "data": data,
        }
        self._emit(resource_id, {"event": event})

    def _alert(self, incident: Incident, given: Mapping[str, Any]) -> dict[str, Any]:
        details = given.get("details")
        cef = {"details": details, "description": given.get("summary", ""), **given.get("cef", {})}
        body: dict[str, Any] = {"type": "alert_body", "contexts": [], "details": details, "cef_details": cef}
        id_ = new_id("Q")
        return {
            "id": id_,
            "type": "alert",
            "summary": given.get("summary", incident.title),
            "self": f"{self.url}/incidents/{incident.id}/alerts/{id_}",
            "html_url": f"{self.url}/ui/incidents/{incident.id}",
            "created_at": incident.created_at,
            "status": given.get("status", "triggered"),
            "alert_key": new_id("", 32).lower(),
            "suppressed": given.get("suppressed", False),
            "severity": "critical",
            "service": self.reference(incident.service["id"], "service", incident.service["summary"]),
            "incident": {"id": incident.id, "type": "incident_reference"},
            "integration": None,
            "body": given.get("body", body),
        }

    @staticmethod
    def _did(incident: Incident, who: str, what: str) -> None:
        incident.history.append((now(), who, what))
