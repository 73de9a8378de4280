"""The calls we make of PagerDuty's REST API v2 and of its Events API v2, and no other.

Written on urllib3: the official client repeats a POST that timed out, which here would be one note too many.
Source: PagerDuty's OpenAPI description (reference/REST and reference/events-v2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

import urllib3

from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable, SettingMissing
from taskmedic.pagerduty.http import Ambiguous, Http, Patience, Request

API_URL: Final = "https://api.pagerduty.com"
EVENTS_URL: Final = "https://events.pagerduty.com"
ACCEPT: Final = "application/vnd.pagerduty+json;version=2"
PAGE: Final = 100
MAX_ALERTS: Final = 500
# "The incident is resolved already", "... is acknowledged already".
ALREADY: Final = ("(1001)", "(1002)")


@dataclass(frozen=True)
class Credentials:
    """What the API secret holds.

    Args:
        token: A REST API key of the account or of a user.
        from_email: The user our notes and changes are written as.
        routing_key: Integration key for change events; empty when none are sent.
        user_id: The PagerDuty id of that user; looked up when empty.
    """

    token: str = field(repr=False)
    from_email: str
    routing_key: str = field(default="", repr=False)
    user_id: str = ""

    @classmethod
    def from_secret(cls, secret: Mapping[str, Any], where: str) -> Credentials:
        """The credentials in the secret ``{"token", "from", "routing_key"?, "user_id"?}``.

        Raises:
            SettingMissing: ``token`` or ``from`` is not there.
        """
        for name in ("token", "from"):
            if not isinstance(secret.get(name), str) or not secret[name]:
                raise SettingMissing(
                    f'the PagerDuty API secret has no "{name}"',
                    where=where,
                    remedy='Store {"token": "<REST API key>", "from": "<e-mail of a PagerDuty user>"} there.',
                )
        return cls(
            token=secret["token"],
            from_email=secret["from"],
            routing_key=str(secret.get("routing_key") or ""),
            user_id=str(secret.get("user_id") or ""),
        )


class _SettledError(Exception):
    """The incident is not in a status that may be changed; stays in this module."""


class Client:
    """PagerDuty, as one of its users.

    Args:
        credentials: Token and user.
        api_url: ``https://api.pagerduty.com``, or ``https://api.eu.pagerduty.com`` for accounts in the EU.
        events_url: Where change events go, likewise.
        patience: How long calls may wait and try again.
        pool: urllib3's pool; one of its own when None.

    Every method raises PagerDutyRefused or PagerDutyUnavailable.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        api_url: str = API_URL,
        events_url: str = EVENTS_URL,
        patience: Patience | None = None,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        self._credentials = credentials
        self._from = {"From": credentials.from_email}
        self.patience = patience or Patience()
        pool = pool or urllib3.PoolManager()
        common = {"Content-Type": "application/json", "User-Agent": "taskmedic"}
        api = {**common, "Accept": ACCEPT, "Authorization": f"Token token={credentials.token}"}
        self._api = Http(_safe(api_url), api, self.patience, pool)
        self._events = Http(_safe(events_url), common, self.patience, pool)

    def incident(self, incident_id: str) -> Mapping[str, Any]:
        """The incident as it is now."""
        request = Request("GET", _path(incident_id), "cannot read the incident")
        return _member(self._api.send(request), "incident")

    def alerts(self, incident_id: str) -> list[Mapping[str, Any]]:
        """The incident's alerts with their bodies, up to 500."""
        alerts: list[Mapping[str, Any]] = []
        while len(alerts) < MAX_ALERTS:
            page = {"limit": str(PAGE), "offset": str(len(alerts))}
            request = Request("GET", _path(incident_id, "alerts"), "cannot list the alerts", query=page)
            answer = self._api.send(request)
            alerts += (found := _members(answer, "alerts"))
            if not found or not answer.get("more"):
                break
        return alerts

    def notes(self, incident_id: str) -> list[Mapping[str, Any]]:
        """The incident's notes; PagerDuty gives them in one answer."""
        request = Request("GET", _path(incident_id, "notes"), "cannot list the notes")
        return _members(self._api.send(request), "notes")

    def post_note(self, incident_id: str, content: str) -> str:
        """Adds a note and returns its id. Not repeated once it may have happened.

        Raises:
            Ambiguous: it may have happened; ``notes`` tells.
        """
        request = Request(
            "POST",
            _path(incident_id, "notes"),
            "cannot post the note",
            body={"note": {"content": content}},
            headers=self._from,
            repeatable=False,
        )
        return str(_member(self._api.send(request), "note").get("id") or "")

    def edit_note(self, incident_id: str, note_id: str, content: str) -> None:
        """Replaces a note's text."""
        request = Request(
            "PUT",
            _path(incident_id, "notes", note_id),
            "cannot edit the note",
            body={"note": {"content": content}},
            headers=self._from,
        )
        self._api.send(request)

    def delete_note(self, incident_id: str, note_id: str) -> None:
        """Removes a note."""
        path = _path(incident_id, "notes", note_id)
        self._api.send(Request("DELETE", path, "cannot delete the note", headers=self._from))

    def acknowledge(self, incident_id: str) -> bool:
        """Acknowledges the incident if it is triggered and nobody did yet; whether it did."""
        return self._change_status(incident_id, "acknowledged", {"triggered"})

    def resolve(self, incident_id: str) -> bool:
        """Resolves the incident if it is open; whether it did."""
        return self._change_status(incident_id, "resolved", {"triggered", "acknowledged"})

    def set_custom_fields(self, incident_id: str, values: Mapping[str, str]) -> None:
        """Sets custom fields by name; each must exist on the incident's type."""
        fields = [{"name": name, "value": value} for name, value in values.items()]
        path = _path(incident_id, "custom_fields", "values")
        self._api.send(Request("PUT", path, "cannot set the custom fields", body={"custom_fields": fields}))

    def own_user_id(self) -> str:
        """The PagerDuty id of the user we act as; empty when there is no such user."""
        if self._credentials.user_id:
            return self._credentials.user_id
        email = self._credentials.from_email
        users = self._api.send(Request("GET", "/users", "cannot look up our user", query={"query": email}))
        matching = (
            user
            for user in _members(users, "users")
            if str(user.get("email") or "").casefold() == email.casefold()
        )
        return str(next(matching, {}).get("id") or "")

    def send_change(self, summary: str, *, timestamp: str, details: Mapping[str, str], link: str) -> bool:
        """Records a change event, which pages nobody; whether there was a routing key to do it with."""
        if not self._credentials.routing_key:
            return False
        payload = {
            "summary": summary[:1024],
            "timestamp": timestamp,
            "source": "taskmedic",
            "custom_details": dict(details),
        }
        body = {
            "routing_key": self._credentials.routing_key,
            "payload": payload,
            "links": [{"href": link, "text": "Execution"}] if link else [],
        }
        path = "/v2/change/enqueue"
        self._events.send(Request("POST", path, "cannot send the change event", body=body, repeatable=False))
        return True

    def _change_status(self, incident_id: str, status: str, allowed: set[str]) -> bool:
        """Asks for the status before each try: "acknowledged" would open a resolved incident again.

        While we wait for the rate limit somebody may resolve it.
        """

        def still_open() -> None:
            if self.incident(incident_id).get("status") not in allowed:
                raise _SettledError

        request = Request(
            "PUT",
            _path(incident_id),
            f"cannot set the incident to {status}",
            body={"incident": {"type": "incident_reference", "status": status}},
            headers=self._from,
            repeatable=False,
            before=still_open,
        )
        try:
            self._api.send(request)
        except _SettledError:
            return False
        except PagerDutyRefused as refused:
            if any(code in refused.why for code in ALREADY):  # somebody was faster
                return False
            raise
        except Ambiguous as unknown:
            if self.incident(incident_id).get("status") == status:
                return True
            raise PagerDutyUnavailable(unknown.what, where=unknown.where, why=unknown.why) from unknown
        return True


def _path(incident_id: str, *parts: str) -> str:
    return "/".join(["/incidents", *(quote(part, safe="") for part in (incident_id, *parts))])


def _member(body: Any, name: str) -> Mapping[str, Any]:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, dict) else {}


def _members(body: Any, name: str) -> list[Mapping[str, Any]]:
    value = body.get(name) if isinstance(body, dict) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _safe(url: str) -> str:
    """``url``, when a token may be sent there: over TLS, or to this machine.

    Raises:
        SettingMissing: it may not.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost", "::1"}:
        return url
    raise SettingMissing(
        "PagerDuty's URL must begin with https://",
        where=url,
        remedy=f"Set it to {API_URL}, or https://api.eu.pagerduty.com for an account in the EU.",
    )
