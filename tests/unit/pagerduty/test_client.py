"""What is sent to PagerDuty, what is tried again, and how its refusals are put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from tests.unit.pagerduty.scripted_pool import (
    CREDENTIALS,
    World,
    an_error,
    answered,
    closed,
    timed_out,
    unreachable,
)

from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable, SettingMissing
from taskmedic.pagerduty.client import Client, Credentials
from taskmedic.pagerduty.http import Ambiguous, Http, Patience
from taskmedic.pagerduty.requests import Received

INCIDENT = {"incident": {"id": "Q1", "status": "triggered"}}
NOTE = {"note": {"id": "PN1"}}

Call = Callable[[Client], Any]


def post_note(client: Client) -> Any:
    return client.post_note("Q1", "text")


def edit_note(client: Client) -> Any:
    return client.edit_note("Q1", "PN1", "text")


def read(client: Client) -> Any:
    return client.incident("Q1")


@pytest.mark.parametrize(
    ("call", "answer", "expected", "body"),
    [
        (read, INCIDENT, "GET /incidents/Q1", None),
        (lambda c: c.alerts("Q1"), {"alerts": []}, "GET /incidents/Q1/alerts?limit=100&offset=0", None),
        (lambda c: c.notes("Q1"), {"notes": []}, "GET /incidents/Q1/notes", None),
        (post_note, NOTE, "POST /incidents/Q1/notes", {"note": {"content": "text"}}),
        (edit_note, NOTE, "PUT /incidents/Q1/notes/PN1", {"note": {"content": "text"}}),
        (
            lambda c: c.set_custom_fields("Q1", {"finding": "memory"}),
            {"custom_fields": []},
            "PUT /incidents/Q1/custom_fields/values",
            {"custom_fields": [{"name": "finding", "value": "memory"}]},
        ),
        (
            lambda c: c.own_user_id(),
            {"users": []},
            "GET /users?query=taskmedic%40example.com",
            None,
        ),
    ],
)
def test_each_call_is_exactly_what_the_api_describes(
    call: Call, answer: Any, expected: str, body: Any
) -> None:
    world = World([answered(200, answer)])
    call(world.client)

    (sent,) = world.pool.sent
    assert world.sent == [expected]
    assert sent.body == body
    assert sent.headers["Accept"] == "application/vnd.pagerduty+json;version=2"
    assert sent.headers["Authorization"] == "Token token=t0k"
    assert sent.headers["Content-Type"] == "application/json"
    changes_an_incident = sent.method != "GET" and "custom_fields" not in sent.url
    assert sent.headers.get("From") == ("taskmedic@example.com" if changes_an_incident else None)


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    world = World([answered(200, INCIDENT)])
    world.client.incident("../users?x=")

    assert world.sent == ["GET /incidents/..%2Fusers%3Fx%3D"]


def test_status_changes_carry_only_the_status() -> None:
    world = World([answered(200, INCIDENT)])

    assert world.client.acknowledge("Q1")
    assert world.client.resolve("Q1")
    assert [one.body for one in world.pool.sent if one.method == "PUT"] == [
        {"incident": {"type": "incident_reference", "status": "acknowledged"}},
        {"incident": {"type": "incident_reference", "status": "resolved"}},
    ]


@pytest.mark.parametrize(
    ("call", "status"),
    [("acknowledge", "acknowledged"), ("acknowledge", "resolved"), ("resolve", "resolved"), ("resolve", "")],
)
def test_no_status_is_sent_that_would_open_an_incident_again(call: str, status: str) -> None:
    world = World([answered(200, {"incident": {"id": "Q1", "status": status}})])

    assert getattr(world.client, call)("Q1") is False
    assert world.sent == ["GET /incidents/Q1"]


def test_an_incident_that_is_resolved_while_we_wait_for_the_rate_limit_stays_resolved() -> None:
    resolved = answered(200, {"incident": {"id": "Q1", "status": "resolved"}})
    world = World([answered(200, INCIDENT), an_error(429, 2020, ratelimit_reset="8"), resolved])

    assert world.client.acknowledge("Q1") is False
    assert world.sent == ["GET /incidents/Q1", "PUT /incidents/Q1", "GET /incidents/Q1"]


def test_a_status_change_is_sent_again_after_the_rate_limit_when_the_incident_is_still_open() -> None:
    limited = an_error(429, 2020, ratelimit_reset="8")
    world = World([answered(200, INCIDENT), limited, answered(200, INCIDENT), answered(200, {})])

    assert world.client.acknowledge("Q1") is True
    assert len([one for one in world.sent if one.startswith("PUT")]) == 2


@pytest.mark.parametrize("code", [1001, 1002])
def test_somebody_who_was_faster_is_no_error(code: int) -> None:
    assert World([answered(200, INCIDENT), an_error(400, code)]).client.resolve("Q1") is False


def test_a_status_change_without_an_answer_is_settled_by_looking_and_never_repeated() -> None:
    resolved = answered(200, {"incident": {"id": "Q1", "status": "resolved"}})
    assert World([answered(200, INCIDENT), timed_out(), resolved]).client.resolve("Q1") is True

    world = World([answered(200, INCIDENT), timed_out(), answered(200, INCIDENT)])
    with pytest.raises(PagerDutyUnavailable) as raised:
        world.client.resolve("Q1")
    assert type(raised.value) is PagerDutyUnavailable, "its name is what Step Functions sees"
    assert [one for one in world.sent if one.startswith("PUT")] == ["PUT /incidents/Q1"]


def test_alerts_are_read_page_by_page() -> None:
    first = {"alerts": [{"id": str(n)} for n in range(100)], "more": True}
    world = World([answered(200, first), answered(200, {"alerts": [{"id": "last"}], "more": False})])

    assert len(world.client.alerts("Q1")) == 101
    assert world.sent[1].endswith("limit=100&offset=100")


def test_an_endless_list_of_alerts_ends() -> None:
    page = {"alerts": [{"id": "x"}] * 100, "more": True}
    assert len(World([answered(200, page)]).client.alerts("Q1")) == 500


def test_our_user_is_the_one_with_exactly_our_address() -> None:
    users = [{"id": "P1", "email": "x-taskmedic@example.com"}, {"id": "P2", "email": "taskmedic@example.com"}]

    assert World([answered(200, {"users": users})]).client.own_user_id() == "P2"
    assert World([answered(200, {"users": users[:1]})]).client.own_user_id() == ""
    known = Credentials(token="t", from_email="x", user_id="P9")
    assert World([closed()], credentials=known).client.own_user_id() == "P9"


def test_our_address_may_be_written_in_any_case() -> None:
    users = answered(
        200, {"users": [{"id": "P2", "email": "taskmedic@Example.com"}, {"id": "P3", "email": None}]}
    )
    written = Credentials(token="t", from_email="Taskmedic@example.COM")

    assert World([users], credentials=written).client.own_user_id() == "P2"


def test_a_change_event_goes_to_the_events_api_without_our_token() -> None:
    world = World([answered(202, {"status": "success"})])
    sent = world.client.send_change(
        "s" * 2000,
        timestamp="2026-11-21T03:12:44+00:00",
        details={"runbook": "replace-task"},
        link="https://x",
    )

    assert sent
    (request,) = world.pool.sent
    assert request.url == "https://events.pagerduty.com/v2/change/enqueue"
    assert "Authorization" not in request.headers
    assert request.body == {
        "routing_key": "r" * 32,
        "payload": {
            "summary": "s" * 1024,
            "timestamp": "2026-11-21T03:12:44+00:00",
            "source": "taskmedic",
            "custom_details": {"runbook": "replace-task"},
        },
        "links": [{"href": "https://x", "text": "Execution"}],
    }


def test_without_a_routing_key_no_change_event_is_sent() -> None:
    world = World([closed()], credentials=Credentials(token="t", from_email="x"))

    assert world.client.send_change("s", timestamp="", details={}, link="") is False
    assert world.sent == []


# trying again


@pytest.mark.parametrize(
    "trouble", [an_error(500, 0), an_error(503, 0), an_error(408, 0), timed_out(), closed(), unreachable()]
)
@pytest.mark.parametrize(("call", "answer"), [(read, INCIDENT), (edit_note, NOTE)])
def test_what_may_be_repeated_is_repeated(call: Call, answer: Any, trouble: Any) -> None:
    world = World([trouble, trouble, answered(200, answer)])
    call(world.client)

    assert len(world.sent) == 3
    assert len(world.slept) == 2


@pytest.mark.parametrize(
    "trouble", [an_error(500, 0), an_error(502, 0), an_error(408, 0), timed_out(), closed()]
)
def test_a_post_that_may_have_happened_is_never_repeated(trouble: Any) -> None:
    world = World([trouble, answered(200, NOTE)])

    with pytest.raises(Ambiguous):
        post_note(world.client)
    assert len(world.sent) == 1


@pytest.mark.parametrize("trouble", [an_error(429, 2020), unreachable()])
def test_a_post_that_surely_did_not_happen_is_sent_again(trouble: Any) -> None:
    world = World([trouble, answered(200, NOTE)])

    assert post_note(world.client) == "PN1"
    assert len(world.sent) == 2


def test_the_rate_limits_reset_is_waited_for() -> None:
    world = World([an_error(429, 2020, ratelimit_reset="7"), answered(200, INCIDENT)])
    read(world.client)

    assert world.slept == [7.0]


@pytest.mark.parametrize("reset", ["", "soon", "-1", "nan", "inf"])
def test_without_a_usable_reset_it_backs_off(reset: str) -> None:
    world = World([an_error(429, 2020, ratelimit_reset=reset), answered(200, INCIDENT)])
    read(world.client)

    assert len(world.slept) == 1
    assert 0.5 <= world.slept[0] <= 1


@pytest.mark.parametrize(("reset", "left"), [("50", 30.0), ("3600", 10_000.0)])
def test_a_reset_beyond_our_time_is_not_waited_for(reset: str, left: float) -> None:
    world = World([an_error(429, 2020, ratelimit_reset=reset)], left=left)

    with pytest.raises(PagerDutyUnavailable, match="429"):
        read(world.client)
    assert world.slept == []


def test_it_gives_up_after_some_tries() -> None:
    world = World([an_error(500, 0)])

    with pytest.raises(PagerDutyUnavailable, match="tried 4 times") as raised:
        read(world.client)
    assert type(raised.value) is PagerDutyUnavailable
    assert len(world.sent) == 4


def test_it_gives_up_when_the_time_is_used_up_and_no_request_takes_longer() -> None:
    world = World([an_error(500, 0)], left=5.0)

    with pytest.raises(PagerDutyUnavailable):
        read(world.client)
    assert sum(world.slept) < 5
    assert all(
        timeout.read_timeout is not None and timeout.read_timeout <= 3 for timeout in world.pool.timeouts
    )


def test_patience_may_be_shortened_but_not_lengthened() -> None:
    left = 100.0
    patience = Patience(remaining=lambda: left)

    assert patience.within(5).remaining() <= 5
    left = 3.0
    assert patience.within(5).remaining() == 3.0
    assert patience.within(-1).waited(0) is False


# refusals


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (400, 1008, '"from"'),
        (400, 2001, "API reference"),
        (401, 2006, '"token"'),
        (402, 0, "plan"),
        (403, 2010, "write access"),
        (404, 2100, "US or EU"),
        (401, 9999, '"token"'),
    ],
)
def test_a_refusal_says_what_to_do(status: int, code: int, remedy: str) -> None:
    world = World([an_error(status, code, "Content cannot be empty")])

    with pytest.raises(PagerDutyRefused) as raised:
        post_note(world.client)
    assert remedy in raised.value.remedy
    assert f"{status} Refused" in raised.value.why
    assert "Content cannot be empty" in raised.value.why
    assert raised.value.where == "POST /incidents/Q1/notes"
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    "answer", [answered(400), answered(404, "text"), answered(301, []), answered(400, {"error": 1})]
)
def test_a_refusal_of_any_form_is_one(answer: urllib3.HTTPResponse) -> None:
    with pytest.raises(PagerDutyRefused):
        read(World([answer]).client)


@pytest.mark.parametrize("answer", [answered(200), answered(200, []), answered(200, {"incident": None})])
def test_a_success_without_its_content_is_empty(answer: urllib3.HTTPResponse) -> None:
    world = World([answer])
    assert world.client.incident("Q1") == {}
    assert world.client.notes("Q1") == []


def test_no_error_tells_the_token() -> None:
    for trouble in (an_error(401, 2006), timed_out(), unreachable(), an_error(500, 0)):
        world = World([trouble])
        with pytest.raises((PagerDutyRefused, PagerDutyUnavailable)) as raised:
            read(world.client)
        assert "t0k" not in str(raised.value)
    assert "t0k" not in repr(CREDENTIALS)
    assert "r" * 32 not in repr(CREDENTIALS)


# settings


@pytest.mark.parametrize(
    "secret", [{}, {"token": "t"}, {"from": "x@y"}, {"token": "", "from": "x"}, {"token": 1}]
)
def test_a_secret_without_token_or_user_says_which_is_missing(secret: dict[str, Any]) -> None:
    with pytest.raises(SettingMissing) as raised:
        Credentials.from_secret(secret, "arn:of:the:secret")
    assert "arn:of:the:secret" in str(raised.value)


def test_the_token_goes_nowhere_without_tls() -> None:
    with pytest.raises(SettingMissing, match="https"):
        Client(CREDENTIALS, api_url="http://api.pagerduty.com")
    Client(CREDENTIALS, api_url="https://api.eu.pagerduty.com")
    Client(CREDENTIALS, api_url="http://127.0.0.1:8080/pagerduty")


def test_what_is_printed_of_a_request_or_a_client_tells_no_secret() -> None:
    host = Http(
        "https://api.pagerduty.com", {"Authorization": "Token token=t0k"}, Patience(), urllib3.PoolManager()
    )
    came = Received(
        {"authorization": "Bearer t0k", "x-pagerduty-signature": "v1=t0k"}, {}, b"t0k", "request-1"
    )

    assert "t0k" not in repr((host, came, Credentials(token="t0k", from_email="x", routing_key="t0k")))
