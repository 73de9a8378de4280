"""Incidents and notes as HTML: what a person on call sees."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from taskmedic_local.pagerduty_standin.account import Account, Incident
from taskmedic_local.pagerduty_standin.webhooks import Webhooks


class Pages:
    """Renders the pages. Everything is escaped: titles and notes are other people's text."""

    def __init__(self, mount: str) -> None:
        self._mount = mount
        templates = Path(__file__).parent / "templates"
        self._templates = Environment(loader=FileSystemLoader(templates), autoescape=True, trim_blocks=True)

    def incidents(self, account: Account, webhooks: Webhooks) -> str:
        """All incidents, the newest first."""
        with account.lock:
            return self._templates.get_template("incidents.html").render(
                mount=self._mount,
                incidents=list(reversed(account.incidents.values())),
                disabled=webhooks.temporarily_disabled,
            )

    def incident(self, account: Account, incident: Incident) -> str:
        """One incident with its alerts, notes and timeline."""
        with account.lock:
            return self._templates.get_template("incident.html").render(mount=self._mount, incident=incident)
