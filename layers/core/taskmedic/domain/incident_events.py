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
# What our own acknowledging and resolving comes back as; the third when somebody resolves at the same moment.
OURS: Final = frozenset({"incident.acknowledged", "incident.resolved", "incident.reopened"})
