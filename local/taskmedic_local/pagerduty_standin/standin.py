"""The stand-in as one WSGI application."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from taskmedic_local.pagerduty_standin.account import Account
from taskmedic_local.pagerduty_standin.control import control
from taskmedic_local.pagerduty_standin.faults import Fault, Faults
from taskmedic_local.pagerduty_standin.page import Pages
from taskmedic_local.pagerduty_standin.rest import ApiRequest, Refusal, RestApi
from taskmedic_local.pagerduty_standin.webhooks import Webhooks

SAMPLE_INCIDENT: Final = "Q0TASKMEDIC001"
# PagerDuty's code and message for a status that a fault asks for.
MESSAGES: Final[Mapping[int, tuple[int, str]]] = {
    401: (2006, "Unauthorized"),
    403: (2010, "Access Denied"),
    404: (2100, "Not Found"),
    429: (2020, "Rate Limit Exceeded"),
}


@dataclass(frozen=True)
class Seen:
    """One request to the API, as it came and as it was answered; 0 when it was not."""

    method: str
    path: str
    query: dict[str, str]
    body: str
    status: int
    fault: str = ""


class PagerDutyStandIn:
    """PagerDuty for one account, mounted under a path.

    Args:
        url: Where it is reached, with the path it is mounted under and no final slash.
        token: The REST API key that is accepted.
        from_email: The user of that key.
        signing_secret: Of the webhook subscription.
        webhook_url: Where webhooks go; may be set later as ``webhooks.url``.
        seconds_per_hour: How long an hour of PagerDuty's waiting takes here.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        from_email: str,
        signing_secret: str,
        webhook_url: str = "",
        seconds_per_hour: float = 1.0,
    ) -> None:
        self._mount = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
        self.webhooks = Webhooks(webhook_url, [signing_secret], seconds_per_hour)
        self.account = Account(url, from_email, self.webhooks.send)
        self.faults = Faults()
        self.requests: list[Seen] = []
        self._late: list[ApiRequest] = []
        self._rest = RestApi(self.account, token)
        self._pages = Pages(self._mount)
        self._closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        path = request.path.removeprefix(self._mount)
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["_control"]:
            response = self._control(request, parts[1:])
        elif not parts:
            response = _html(self._pages.incidents(self.account, self.webhooks))
        elif parts[0] == "ui":
            response = self._page(parts[-1])
        else:
            response = self._api(request, path)
        return response(environ, start_response)

    def seed(self) -> None:
        """Opens the incident that the samples in events/pagerduty speak of, without a webhook."""
        names = {"ClusterName": "prod", "ServiceName": "search"}
        alarm = {
            "AlarmName": "search-5xx-rate",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:search-5xx-rate",
            "NewStateValue": "ALARM",
            "Trigger": {
                "MetricName": "HTTPCode_Target_5XX_Count",
                "Namespace": "AWS/ECS",
                "Dimensions": [{"name": name, "value": value} for name, value in names.items()],
            },
        }
        self.account.open_incident(
            "ALARM: search-5xx-rate in US East (N. Virginia)",
            alerts=[{"summary": "search-5xx-rate", "details": alarm}],
            id_=SAMPLE_INCIDENT,
            webhook=False,
        )

    def close(self) -> None:
        """Ends deliveries, and requests that are kept waiting."""
        self._closed.set()
        self.webhooks.close()

    def open_incident(self, title: str, **facts: Any) -> dict[str, Any]:
        """Opens an incident (``Account.open_incident``), which sends its webhook; the incident as JSON."""
        return self.incident(self.account.open_incident(title, **facts).id)

    def incident(self, incident_id: str) -> dict[str, Any]:
        """The incident with its notes, custom fields and history."""
        incident = self.account.incidents[incident_id]
        with self.account.lock:
            return {
                **self.account.rest_incident(incident),
                "notes": [dict(note) for note in incident.notes],
                "custom_fields": dict(incident.custom_fields),
                "history": list(incident.history),
            }

    def set_fault(self, kind: str, **facts: Any) -> None:
        """The next request that matches goes wrong (``faults.Fault``)."""
        self.faults.set(Fault.from_json({"kind": kind, **facts}))

    def let_late_happen(self) -> None:
        """What the fault ``timeout_late`` keeps takes its effect now."""
        late, self._late = self._late, []
        for request in late:
            self._answered(request)

    def _api(self, request: Request, path: str) -> Response:
        api_request = ApiRequest(
            method=request.method,
            path=path,
            query=request.args.to_dict(),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.get_data(),
        )
        fault = self.faults.strike(api_request.method, path)
        response = self._faulty(api_request, fault, request) if fault else self._answered(api_request)
        seen = Seen(
            api_request.method,
            path,
            dict(api_request.query),
            api_request.body.decode(errors="replace"),
            response.status_code if response else 0,
            fault.kind if fault else "",
        )
        self.requests.append(seen)
        return response or Response(status=504)

    def _answered(self, request: ApiRequest) -> Response:
        try:
            status, body = self._rest.answer(request)
        except Refusal as refusal:
            status, body = refusal.status, refusal.body()
        return Response(
            json.dumps(body),
            status,
            self._rest.rate_headers(),
            content_type="application/json; charset=utf-8",
        )

    def _faulty(self, api_request: ApiRequest, fault: Fault, request: Request) -> Response | None:
        """The answer under ``fault``; None for none at all."""
        match fault.kind:
            case "note_limit":
                self._rest.note_limit_reached = True
                try:
                    return self._answered(api_request)
                finally:
                    self._rest.note_limit_reached = False
            case "timeout_before" | "timeout_after" | "timeout_late" | "close_before" | "close_after":
                if fault.kind.endswith("after"):
                    self._answered(api_request)
                if fault.kind == "timeout_late":
                    self._late.append(api_request)
                if fault.kind.startswith("timeout"):
                    self._closed.wait(fault.seconds)
                _hang_up(request)
                return None
            case "429_without_reset":
                return _refusal(429)
            case "429":
                return _refusal(429, {"ratelimit-limit": "960", "ratelimit-reset": f"{fault.seconds:g}"})
            case status:
                return _refusal(int(status))

    def _control(self, request: Request, path: list[str]) -> Response:
        try:
            body = request.get_json(silent=True) or {}
            return Response(
                json.dumps(control(self, request.method, path, body)), content_type="application/json"
            )
        except LookupError as error:
            return Response(
                json.dumps({"error": f"there is no {error}"}), 404, content_type="application/json"
            )
        except (TypeError, ValueError) as error:
            return Response(json.dumps({"error": str(error)}), 400, content_type="application/json")

    def _page(self, incident_id: str) -> Response:
        incident = self.account.incidents.get(incident_id)
        if incident is None:
            return Response("There is no such incident.", 404)
        return _html(self._pages.incident(self.account, incident))


def _html(text: str) -> Response:
    # The page runs no script and loads nothing.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return Response(
        text, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy}
    )


def _refusal(status: int, headers: Mapping[str, str] | None = None) -> Response:
    code, message = MESSAGES.get(status, (2000, "Internal Error"))
    body = Refusal(status, code, message).body()
    return Response(json.dumps(body), status, dict(headers or {}), content_type="application/json")


def _hang_up(request: Request) -> None:
    """Closes the connection under the server, so that the client gets no answer."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the client was faster
