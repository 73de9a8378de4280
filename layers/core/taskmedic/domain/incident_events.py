"""The types of PagerDuty's webhook events that may start a runbook."""

from __future__ import annotations

from typing import Final

# Events that carry the incident itself. The others (notes, status updates, field values, responders,
# workflows, tasks, roles, conference bridges) tell of things done to an incident, many of them by us.
TRIGGERING: Final = frozenset(
    {
        "incident.triggered",
        "incident.acknowledged",
        "incident.unacknowledged",
        "incident.resolved",
        "incident.reopened",
        "incident.escalated",
        "incident.delegated",
        "incident.reassigned",
        "incident.priority_updated",
        "incident.service_updated",
        "incident.incident_type.changed",
    }
)
