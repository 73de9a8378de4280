"""The REST API v2 and the change events of Events API v2, as strict as the real ones and stricter.

Strictness beyond PagerDuty's: a member its OpenAPI description does not know is refused instead of ignored,
so that a wrong request cannot pass here. Limits and codes: PagerDuty's developer docs and support site.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from taskmedic_local.pagerduty_standin.account import CUSTOM_FIELDS, Account, Incident, new_id

ACCEPT = "application/vnd.pagerduty+json;version=2"
MAX_NOTES = 2000
MAX_NOTE_BYTES = 65_535
RATE_PER_MINUTE = 960


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer that is no success."""

    status: int
    code: int
    message: str
    details: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "code": self.code, "errors": list(self.details)}}


@dataclass(frozen=True)
class ApiRequest:
    """One request to the API; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


def invalid(*details: str) -> Refusal:
    return Refusal(400, 2001, "Invalid Input Provided", details)


class RestApi:
    """Answers the requests."""

    def __init__(self, account: Account, token: str) -> None:
        self._account = account
        self._token = token
        self._window = (0, 0)
        self.note_limit_reached = False
        incident = r"/incidents/([^/]+)"
        self._routes: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
            ("GET", incident, self._get_incident),
            ("PUT", incident, self._put_incident),
            ("GET", incident + "/alerts", self._get_alerts),
            ("GET", incident + "/notes", self._get_notes),
            ("POST", incident + "/notes", self._post_note),
            ("PUT", incident + "/notes/([^/]+)", self._put_note),
            ("DELETE", incident + "/notes/([^/]+)", self._delete_note),
            ("PUT", incident + "/custom_fields/values", self._put_fields),
            ("GET", "/users", self._get_users),
        ]

    def answer(self, request: ApiRequest) -> tuple[int, Any]:
        """Status and JSON of the answer.

        Raises:
            Refusal: it is no success.
        """
        if (request.method, request.path) == ("POST", "/v2/change/enqueue"):
            return self._change(request)
        self._check_headers(request)
        for method, pattern, handler in self._routes:
            if request.method == method and (match := re.fullmatch(pattern, request.path)):
                with self._account.lock:
                    return handler(request, *self._with_incident(match))
        raise Refusal(404, 2100, "Not Found")

    def rate_headers(self) -> dict[str, str]:
        """What PagerDuty says of the rate limit with each answer."""
        minute = int(time.time() // 60)
        count = self._window[1] + 1 if self._window[0] == minute else 1
        self._window = (minute, count)
        return {
            "ratelimit-limit": str(RATE_PER_MINUTE),
            "ratelimit-remaining": str(max(RATE_PER_MINUTE - count, 0)),
            "ratelimit-reset": str(60 - int(time.time() % 60)),
        }

    def _with_incident(self, match: re.Match[str]) -> tuple[Any, ...]:
        if not match.groups():
            return ()
        incident = self._account.incidents.get(match[1])
        if incident is None:
            raise Refusal(404, 2100, "Not Found")
        return (incident, *match.groups()[1:])

    def _check_headers(self, request: ApiRequest) -> None:
        headers = request.headers
        if headers.get("authorization") != f"Token token={self._token}":
            raise Refusal(401, 2006, "Unauthorized")
        if headers.get("accept") != ACCEPT:
            raise invalid(f"Accept must be {ACCEPT}")
        if request.body and headers.get("content-type") != "application/json":
            raise invalid("Content-Type must be application/json")

    def _get_incident(self, _: ApiRequest, incident: Incident) -> tuple[int, Any]:
        return 200, {"incident": self._account.rest_incident(incident)}

    def _put_incident(self, request: ApiRequest, incident: Incident) -> tuple[int, Any]:
        user = self._user(request)
        change = _member(request, "incident", {"type", "status", "resolution"})
        if change.get("type") not in {"incident", "incident_reference"}:
            raise invalid("incident.type must be incident_reference")
        if change.get("status") not in {"acknowledged", "resolved"}:
            raise invalid("incident.status must be acknowledged or resolved")
        if incident.status == "resolved" == change["status"]:
            raise Refusal(400, 1001, "Incident Already Resolved")
        if incident.status == "acknowledged" == change["status"]:
            raise Refusal(400, 1002, "Incident Already Acknowledged")
        self._account.set_status(incident, change["status"], user)
        return 200, {"incident": self._account.rest_incident(incident)}

    def _get_alerts(self, request: ApiRequest, incident: Incident) -> tuple[int, Any]:
        if strange := sorted(set(request.query) - {"limit", "offset"}):
            raise invalid(f"unknown parameter {strange[0]}")
        limit, offset = (
            _number(request.query, name, default) for name, default in (("limit", 25), ("offset", 0))
        )
        if not 1 <= limit <= 100:
            raise invalid("limit must be from 1 to 100")
        return 200, {
            "alerts": incident.alerts[offset : offset + limit],
            "limit": limit,
            "offset": offset,
            "more": offset + limit < len(incident.alerts),
            "total": None,
        }

    def _get_notes(self, _: ApiRequest, incident: Incident) -> tuple[int, Any]:
        return 200, {"notes": incident.notes}

    def _post_note(self, request: ApiRequest, incident: Incident) -> tuple[int, Any]:
        user, content = self._user(request), _content(request)
        if self.note_limit_reached or len(incident.notes) >= MAX_NOTES:
            raise invalid(f"an incident may have at most {MAX_NOTES} notes")
        return 200, {"note": self._account.add_note(incident, content, user)}

    def _put_note(self, request: ApiRequest, incident: Incident, note_id: str) -> tuple[int, Any]:
        self._user(request)
        content = _content(request)
        note = _note(incident, note_id)
        self._account.edit_note(note, content)
        return 200, {"note": note}

    def _delete_note(self, request: ApiRequest, incident: Incident, note_id: str) -> tuple[int, Any]:
        self._user(request)
        incident.notes.remove(_note(incident, note_id))
        return 204, None

    def _put_fields(self, request: ApiRequest, incident: Incident) -> tuple[int, Any]:
        fields = _object(request, {"custom_fields"}).get("custom_fields")
        if not isinstance(fields, list) or not fields:
            raise invalid("custom_fields must be a list")
        values = {}
        for field in fields:
            if not isinstance(field, dict) or set(field) != {"name", "value"}:
                raise invalid("a custom field has a name and a value")
            if field["name"] not in CUSTOM_FIELDS:
                raise invalid(f"there is no custom field {field['name']}")
            if not isinstance(field["value"], str) or len(field["value"]) > 255:
                raise invalid(f"{field['name']} must be a text of up to 255 characters")
            values[field["name"]] = field["value"]
        self._account.set_fields(incident, values, next(iter(self._account.users.values())))
        return 201, {
            "custom_fields": [{"id": new_id("P"), "type": "field_value", **field} for field in fields]
        }

    def _get_users(self, request: ApiRequest) -> tuple[int, Any]:
        if strange := sorted(set(request.query) - {"query", "limit", "offset"}):
            raise invalid(f"unknown parameter {strange[0]}")
        wanted = request.query.get("query", "").casefold()
        users = [
            user
            for user in self._account.users.values()
            if any(wanted in user[name].casefold() for name in ("name", "email"))
        ]
        found = [{**user, "type": "user"} for user in users]
        return 200, {"users": found, "limit": 25, "offset": 0, "more": False, "total": None}

    def _change(self, request: ApiRequest) -> tuple[int, Any]:
        body = _object(request, {"routing_key", "payload", "links", "images"})
        payload = body.get("payload")
        if not isinstance(body.get("routing_key"), str) or len(body["routing_key"]) != 32:
            raise invalid("routing_key must have 32 characters")
        if not isinstance(payload, dict) or not isinstance(payload.get("summary"), str):
            raise invalid("payload.summary is required")
        if strange := sorted(set(payload) - {"summary", "timestamp", "source", "custom_details"}):
            raise invalid(f"unknown member payload.{strange[0]}")
        if not 1 <= len(payload["summary"]) <= 1024:
            raise invalid("payload.summary must have from 1 to 1024 characters")
        with self._account.lock:
            self._account.changes.append(body)
        return 202, {"status": "success", "message": "Change event processed"}

    def _user(self, request: ApiRequest) -> Mapping[str, str]:
        """The user of the From header, which PagerDuty wants with every change."""
        user = self._account.users.get(request.headers.get("from", ""))
        if user is None:
            raise Refusal(400, 1008, "Requester User Not Found")
        return user


def _note(incident: Incident, note_id: str) -> dict[str, Any]:
    note = next((note for note in incident.notes if note["id"] == note_id), None)
    if note is None:
        raise Refusal(404, 2100, "Not Found")
    return note


def _object(request: ApiRequest, known: set[str]) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        raise invalid("the body is no JSON") from None
    if not isinstance(body, dict):
        raise invalid("the body must be an object")
    if strange := sorted(set(body) - known):
        raise invalid(f"unknown member {strange[0]}")
    return body


def _member(request: ApiRequest, name: str, known: set[str]) -> dict[str, Any]:
    value = _object(request, {name}).get(name)
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object")
    if strange := sorted(set(value) - known):
        raise invalid(f"unknown member {name}.{strange[0]}")
    return value


def _content(request: ApiRequest) -> str:
    content = _member(request, "note", {"content"}).get("content")
    if not isinstance(content, str) or not content.strip():
        raise invalid("note.content cannot be empty")
    if len(content.encode()) > MAX_NOTE_BYTES:
        raise invalid(f"note.content may have {MAX_NOTE_BYTES} characters")
    return content


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(query.get(name, default))
    except ValueError:
        raise invalid(f"{name} must be a number") from None
