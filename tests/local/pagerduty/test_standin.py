"""The stand-in refuses what PagerDuty would refuse, can be told what to do, and can be looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.local.pagerduty.conftest import EMAIL, TOKEN
from werkzeug.test import Client as Browser

from taskmedic_local.pagerduty_standin import PagerDutyStandIn

RIGHT = {
    "Authorization": f"Token token={TOKEN}",
    "Accept": "application/vnd.pagerduty+json;version=2",
    "Content-Type": "application/json",
    "From": EMAIL,
}
NOTE = {"note": {"content": "text"}}


class Api:
    """The stand-in, asked without a socket."""

    def __init__(self, pagerduty: PagerDutyStandIn) -> None:
        self._browser = Browser(pagerduty)
        self.incident = str(
            pagerduty.open_incident("search is slow", alerts=[{"summary": "s", "details": "d"}])["id"]
        )

    def __call__(
        self, method: str, path: str, body: Any = None, *, without: str = "", **headers: str
    ) -> tuple[int, Any]:
        sent = {name: value for name, value in {**RIGHT, **headers}.items() if name != without}
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = self._browser.open(
            f"/pagerduty{path.replace('{id}', self.incident)}", method=method, headers=sent, data=data
        )
        return answer.status_code, answer.get_json(silent=True)


@pytest.fixture
def api(pagerduty: PagerDutyStandIn) -> Api:
    return Api(pagerduty)


def test_what_is_right_is_taken_and_the_rate_limit_told(api: Api, pagerduty: PagerDutyStandIn) -> None:
    status, answer = api("POST", "/incidents/{id}/notes", NOTE)

    assert status == 200
    assert answer["note"]["content"] == "text"
    assert answer["note"]["user"]["summary"] == "Taskmedic"
    assert api("GET", "/incidents/{id}/notes")[1]["notes"][0]["id"] == answer["note"]["id"]


@pytest.mark.parametrize(
    ("headers", "without", "status", "code"),
    [
        ({}, "Authorization", 401, 2006),
        ({"Authorization": "Token token=wrong"}, "", 401, 2006),
        ({"Authorization": f"Bearer {TOKEN}"}, "", 401, 2006),
        ({}, "From", 400, 1008),
        ({"From": "nobody@example.com"}, "", 400, 1008),
        ({"Accept": "*/*"}, "", 400, 2001),
        ({"Content-Type": "text/plain"}, "", 400, 2001),
    ],
)
def test_each_header_is_required(
    api: Api, headers: dict[str, str], without: str, status: int, code: int
) -> None:
    answered, body = api("POST", "/incidents/{id}/notes", NOTE, without=without, **headers)

    assert (answered, body["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/incidents/QNONE", None, 404, 2100),
        ("POST", "/incidents/QNONE/notes", NOTE, 404, 2100),
        ("PUT", "/incidents/{id}/notes/PNONE", NOTE, 404, 2100),
        ("DELETE", "/incidents/{id}", None, 404, 2100),
        ("GET", "/schedules", None, 404, 2100),
        ("POST", "/incidents/{id}/notes", b"no json", 400, 2001),
        ("POST", "/incidents/{id}/notes", {"note": {"content": ""}}, 400, 2001),
        ("POST", "/incidents/{id}/notes", {"note": {"content": "é" * 40_000}}, 400, 2001),
        ("POST", "/incidents/{id}/notes", {"note": {"content": "x", "mood": "good"}}, 400, 2001),
        ("POST", "/incidents/{id}/notes", {**NOTE, "more": 1}, 400, 2001),
        ("PUT", "/incidents/{id}", {"incident": {"status": "resolved"}}, 400, 2001),
        ("PUT", "/incidents/{id}", {"incident": {"type": "incident_reference", "status": "x"}}, 400, 2001),
        ("GET", "/incidents/{id}/alerts?limit=101", None, 400, 2001),
        ("GET", "/incidents/{id}/alerts?page=1", None, 400, 2001),
        ("PUT", "/incidents/{id}/custom_fields/values", {"custom_fields": []}, 400, 2001),
        (
            "PUT",
            "/incidents/{id}/custom_fields/values",
            {"custom_fields": [{"name": "taskmedic_finding", "value": "x" * 256}]},
            400,
            2001,
        ),
        ("POST", "/v2/change/enqueue", {"routing_key": "short", "payload": {"summary": "x"}}, 400, 2001),
        ("POST", "/v2/change/enqueue", {"routing_key": "r" * 32, "payload": {}}, 400, 2001),
    ],
)
def test_what_pagerduty_would_refuse_is_refused(
    api: Api, method: str, path: str, body: Any, status: int, code: int
) -> None:
    answered, refusal = api(method, path, body)

    assert (answered, refusal["error"]["code"]) == (status, code)


def test_a_closed_incident_is_opened_again_by_acknowledging_it_as_pagerduty_does(api: Api) -> None:
    def put(status: str) -> tuple[int, Any]:
        return api("PUT", "/incidents/{id}", {"incident": {"type": "incident_reference", "status": status}})

    assert put("resolved")[1]["incident"]["status"] == "resolved"
    assert put("resolved")[1]["error"]["code"] == 1001
    assert put("acknowledged")[1]["incident"]["status"] == "acknowledged"
    assert put("acknowledged")[1]["error"]["code"] == 1002


def test_an_incident_holds_2000_notes(api: Api, pagerduty: PagerDutyStandIn) -> None:
    incident = pagerduty.account.incidents[api.incident]
    incident.notes.extend({"id": str(n), "content": "x"} for n in range(2000))

    assert api("POST", "/incidents/{id}/notes", NOTE)[0] == 400


def test_alerts_come_in_pages(api: Api, pagerduty: PagerDutyStandIn) -> None:
    api.incident = pagerduty.open_incident("x", alerts=[{"summary": str(n)} for n in range(130)])["id"]

    first = api("GET", "/incidents/{id}/alerts?limit=100&offset=0")[1]
    second = api("GET", "/incidents/{id}/alerts?limit=100&offset=100")[1]

    assert (len(first["alerts"]), first["more"]) == (100, True)
    assert (len(second["alerts"]), second["more"]) == (30, False)


def test_control_over_http(api: Api, pagerduty: PagerDutyStandIn) -> None:
    opened = api("POST", "/_control/incidents", {"title": "by hand", "service_id": "PX"})[1]
    assert opened["status"] == "triggered"
    path = f"/_control/incidents/{opened['id']}"
    assert api("PUT", path, {"status": "acknowledged"})[1]["status"] == "acknowledged"
    assert api("POST", f"{path}/notes", {"content": "looking"})[1]["notes"][0]["content"] == "looking"

    api("POST", "/_control/faults", {"kind": "503", "times": 2})
    assert [api("GET", "/incidents/{id}")[0] for _ in range(3)] == [503, 503, 200]
    api("POST", "/_control/faults", {"kind": "401"})
    api("DELETE", "/_control/faults")
    assert api("GET", "/incidents/{id}")[0] == 200

    seen = api("GET", "/_control/requests")[1]["requests"]
    assert [one["fault"] for one in seen] == ["503", "503", "", ""]
    assert api("GET", "/_control/webhooks")[1]["temporarily_disabled"] is False
    assert api("POST", "/_control/webhooks", {"event": {"data": {"id": "Q9"}}})[1]["resource_id"] == "Q9"
    assert api("GET", "/_control/changes")[1] == {"changes": []}
    assert api("POST", "/_control/webhooks/enable")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"kind": "flood"}, 400),
        ("POST", "faults", {"kind": "500", "mood": 1}, 400),
        ("POST", "incidents", {"titel": "x"}, 400),
        ("GET", "incidents/QNONE", None, 404),
        ("GET", "nothing", None, 404),
    ],
)
def test_wrong_control_says_what_is_wrong(api: Api, method: str, path: str, body: Any, status: int) -> None:
    answered, refusal = api(method, f"/_control/{path}", body)

    assert answered == status
    assert refusal["error"]


def test_the_page_shows_incidents_and_notes_and_escapes_them(api: Api, pagerduty: PagerDutyStandIn) -> None:
    browser = Browser(pagerduty)
    opened = pagerduty.open_incident(
        "<script>alert(1)</script>", alerts=[{"summary": "s", "details": {"a": "<b>"}}]
    )
    incident = pagerduty.account.incidents[opened["id"]]
    person = pagerduty.account.users["ines@example.com"]
    pagerduty.account.add_note(incident, "line 1\n<img src=x>", person)

    for address in ("/pagerduty", "/pagerduty/"):
        listing = browser.get(address)
        assert listing.status_code == 200
        assert f"/pagerduty/ui/incidents/{incident.id}" in listing.text
        assert "<script>" not in listing.text
    page = browser.get(f"/pagerduty/ui/incidents/{incident.id}")
    assert "line 1\n&lt;img src=x&gt;" in page.text
    assert "<img" not in page.text
    assert "Ines on call" in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert browser.get("/pagerduty/ui/incidents/QNONE").status_code == 404
