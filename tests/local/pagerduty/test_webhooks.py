"""The stand-in delivers webhooks as PagerDuty does."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.local.pagerduty.conftest import SECRET
from werkzeug.wrappers import Request, Response

from taskmedic_local.pagerduty_standin import PagerDutyStandIn
from taskmedic_local.server import Server


class Endpoint:
    """Somebody's webhook URL: answers what it is told to, and keeps what came."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.status = 202
        self.came: list[tuple[dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        self.server = Server(self._answer)
        self.server.start()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = Request(environ)
        with self._lock:
            self.came.append(({k.lower(): v for k, v in request.headers.items()}, request.get_data()))
            status = self.statuses.pop(0) if self.statuses else self.status
        return Response(status=status)(environ, start_response)


@pytest.fixture
def endpoint(pagerduty: PagerDutyStandIn) -> Iterator[Endpoint]:
    endpoint = Endpoint()
    pagerduty.webhooks.url = f"http://127.0.0.1:{endpoint.server.port}/webhook"
    yield endpoint
    pagerduty.close()
    endpoint.server.stop()


def settle(pagerduty: PagerDutyStandIn) -> list[tuple[str, list[str]]]:
    assert pagerduty.webhooks.settled(20)
    return [(delivery.state, delivery.answers) for delivery in pagerduty.webhooks.deliveries]


def test_an_opened_incident_is_a_signed_webhook(pagerduty: PagerDutyStandIn, endpoint: Endpoint) -> None:
    incident = pagerduty.open_incident("Größe über 100 %", service_id="PX", service_name="Shop")

    assert settle(pagerduty) == [("delivered", ["202"])]
    ((headers, body),) = endpoint.came
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-pagerduty-signature"] == f"v1={digest}"
    assert headers["x-webhook-id"] == pagerduty.webhooks.deliveries[0].id
    assert headers["x-webhook-subscription"]
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "PagerDuty-Webhook/V3.0"
    event = json.loads(body)["event"]
    assert event["event_type"] == "incident.triggered"
    assert event["data"]["id"] == incident["id"]
    assert event["data"]["title"] == "Größe über 100 %"
    assert event["data"]["service"]["id"] == "PX"
    assert "alerts" not in event["data"]


def test_while_a_secret_is_rotated_each_delivery_carries_both_signatures(
    pagerduty: PagerDutyStandIn, endpoint: Endpoint
) -> None:
    pagerduty.webhooks.secrets.append("new")
    pagerduty.open_incident("x")
    settle(pagerduty)

    assert endpoint.came[0][0]["x-pagerduty-signature"].count("v1=") == 2


def test_5xx_and_429_are_sent_again_under_the_same_id_until_they_are_taken(
    pagerduty: PagerDutyStandIn, endpoint: Endpoint
) -> None:
    endpoint.statuses = [500, 429, 503]
    pagerduty.open_incident("x")

    assert settle(pagerduty) == [("delivered", ["500", "429", "503", "202"])]
    assert len({headers["x-webhook-id"] for headers, _ in endpoint.came}) == 1
    assert len({body for _, body in endpoint.came}) == 1


def test_what_happens_to_an_incident_waits_behind_what_happened_before(
    pagerduty: PagerDutyStandIn, endpoint: Endpoint
) -> None:
    endpoint.statuses = [500, 500]
    incident = pagerduty.account.incidents[pagerduty.open_incident("x")["id"]]
    person = pagerduty.account.users["ines@example.com"]
    pagerduty.account.set_status(incident, "acknowledged", person)
    pagerduty.account.set_status(incident, "resolved", person)
    settle(pagerduty)

    types = [json.loads(body)["event"]["event_type"] for _, body in endpoint.came]
    assert types == ["incident.triggered"] * 3 + ["incident.acknowledged", "incident.resolved"]


def test_a_4xx_is_dropped_at_once(pagerduty: PagerDutyStandIn, endpoint: Endpoint) -> None:
    endpoint.statuses = [400]
    pagerduty.open_incident("x")

    assert settle(pagerduty) == [("dropped", ["400"])]
    assert not pagerduty.webhooks.temporarily_disabled


def test_three_dropped_in_a_row_disable_the_subscription_until_it_is_enabled(
    pagerduty: PagerDutyStandIn, endpoint: Endpoint
) -> None:
    endpoint.status = 403
    for number in range(4):
        pagerduty.open_incident(f"x{number}")
        settle(pagerduty)
    states = [state for state, _ in settle(pagerduty)]
    assert states == ["dropped", "dropped", "dropped", "discarded"]
    assert pagerduty.webhooks.temporarily_disabled
    assert len(endpoint.came) == 3

    endpoint.status = 202
    pagerduty.webhooks.enable()
    pagerduty.open_incident("again")
    assert settle(pagerduty)[-1][0] == "delivered"


def test_a_success_between_drops_keeps_the_subscription(
    pagerduty: PagerDutyStandIn, endpoint: Endpoint
) -> None:
    endpoint.statuses = [400, 400, 202, 400, 400]
    for number in range(5):
        pagerduty.open_incident(f"x{number}")
        settle(pagerduty)

    assert not pagerduty.webhooks.temporarily_disabled


def test_after_48_hours_it_is_given_up(pagerduty: PagerDutyStandIn, endpoint: Endpoint) -> None:
    pagerduty.webhooks._hour = 0.005  # 48 hours in a quarter of a second
    endpoint.status = 500
    pagerduty.open_incident("x")

    ((state, answers),) = settle(pagerduty)
    assert state == "dropped"
    assert len(answers) > 10


def test_nobody_at_the_url_is_tried_again(pagerduty: PagerDutyStandIn, endpoint: Endpoint) -> None:
    right = pagerduty.webhooks.url
    pagerduty.webhooks.url = "http://127.0.0.1:9/webhook"
    delivery = pagerduty.webhooks.send("Q1", {"event": {"event_type": "incident.triggered"}})
    with pagerduty.webhooks._changed:
        pagerduty.webhooks._changed.wait_for(lambda: delivery.answers, 10)
    pagerduty.webhooks.url = right

    assert settle(pagerduty)[0][0] == "delivered"
    assert delivery.answers[0] == "NewConnectionError"


def test_what_is_too_large_is_not_sent(pagerduty: PagerDutyStandIn, endpoint: Endpoint) -> None:
    delivery = pagerduty.webhooks.send("Q1", {"event": {"x": "y" * 300_000}})

    assert delivery.state == "discarded"
    assert endpoint.came == []
