"""A PagerDuty trigger is completed from PagerDuty or, where that cannot be asked, from what else is known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.pagerduty.builders import FakeClients, FakeSecrets, an_event

from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable
from taskmedic.domain.triggers import Received, receive
from taskmedic.settings import AcceptTriggerSettings
from taskmedic.steps import incidents

SETTINGS = AcceptTriggerSettings(
    region="eu-west-1",
    ledger_table="ledger",
    switch_parameter="/switch",
    service_map_parameter="/service-map",
    pagerduty_api_secret_id="api",
    pagerduty_api_url="https://api.pagerduty.com",
    runbooks_dir="unused",
)
MAPPED = {"PSEARCH": {"cluster": "prod", "service": "search"}}
DOWN = PagerDutyUnavailable("cannot read the incident", why="PagerDuty cannot be reached (tried 4 times)")


class Parameters:
    """SSM, with a service map."""

    def __init__(self, service_map: Any) -> None:
        self._text = json.dumps(service_map)

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"Parameter": {"Value": self._text}}


class Down:
    """PagerDuty's client while PagerDuty is down."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def incident(self, incident_id: str) -> Any:
        raise DOWN

    def own_user_id(self) -> str:
        raise DOWN


def clients(service_map: Any) -> Any:
    secrets = FakeSecrets(api={"token": "token", "from": "taskmedic@example.com"})
    return FakeClients(ssm=Parameters(service_map), secretsmanager=secrets)


def received(**given: Any) -> Received:
    return receive(
        given, execution_name="pd-1", started_at="2026-11-21T03:12:45Z", account="1", region="eu-west-1"
    )


def webhook(event_type: str = "incident.triggered", by: str = "") -> Received:
    """An event; ``by`` is the id of the user who did it."""
    event = an_event(event_type)["event"]
    agent = {"id": by, "type": "user_reference"} if by else None
    return received(source="pagerduty.webhook", delivery_id="d1", event={**event, "agent": agent})


@pytest.fixture(autouse=True)
def _pagerduty_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "Client", Down)


def test_while_pagerduty_is_down_the_service_map_says_what_an_incident_is_about() -> None:
    found = incidents.look_up(webhook(), SETTINGS, clients(MAPPED))

    assert not found.ignored
    assert [(target.cluster, target.service) for target in found.trigger.targets] == [("prod", "search")]
    assert found.trigger.incident is not None
    assert found.trigger.incident.status == "triggered"
    assert (
        "alerts are not readable: cannot read the incident: PagerDuty cannot be reached"
        in found.trigger.looked_at[0]
    )


class WithManyAlerts(Down):
    """PagerDuty's client with an incident about 27 services."""

    def incident(self, incident_id: str) -> Any:
        return {"id": incident_id, "status": "triggered"}

    def alerts(self, incident_id: str) -> Any:
        return [{"body": {"details": {"ecs_cluster": "prod", "ecs_service": f"s{n}"}}} for n in range(27)]


def test_targets_that_are_too_many_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "Client", WithManyAlerts)

    trigger = incidents.look_up(webhook(), SETTINGS, clients({})).trigger

    assert len(trigger.targets) == 25
    assert [line.split(":")[0] for line in trigger.left_out] == [
        "cluster prod service s25",
        "cluster prod service s26",
    ]


def test_what_a_request_says_needs_no_pagerduty() -> None:
    request = {"cluster": "prod", "service": "search", "incident_id": "Q1"}

    found = incidents.look_up(
        received(source="pagerduty.action", delivery_id="d1", request=request), SETTINGS, clients({})
    )

    assert [(target.cluster, target.service) for target in found.trigger.targets] == [("prod", "search")]


def test_an_incident_that_nothing_else_places_is_asked_about_again() -> None:
    with pytest.raises(PagerDutyUnavailable):
        incidents.look_up(webhook(), SETTINGS, clients({}))


@pytest.mark.parametrize("event_type", ["incident.acknowledged", "incident.resolved", "incident.reopened"])
def test_what_may_be_our_own_doing_starts_nothing_until_that_is_known(event_type: str) -> None:
    with pytest.raises(PagerDutyUnavailable):
        incidents.look_up(webhook(event_type, by="PINES"), SETTINGS, clients(MAPPED))


@pytest.mark.parametrize(
    ("event_type", "by"), [("incident.acknowledged", ""), ("incident.escalated", "PINES")]
)
def test_what_cannot_be_our_own_doing_needs_no_pagerduty_either(event_type: str, by: str) -> None:
    found = incidents.look_up(webhook(event_type, by), SETTINGS, clients(MAPPED))

    assert not found.ignored
    assert [(target.cluster, target.service) for target in found.trigger.targets] == [("prod", "search")]


class Refusing(Down):
    """PagerDuty's client where the key may read no users."""

    def own_user_id(self) -> str:
        raise PagerDutyRefused("cannot look up our user", why="403 Access Denied (2010)")


class Nobody(Down):
    """PagerDuty's client where no user has our address."""

    def own_user_id(self) -> str:
        return ""


@pytest.mark.parametrize("client", [Refusing, Nobody])
def test_an_acknowledgement_by_a_user_starts_nothing_where_our_own_user_is_unknown(
    client: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "Client", client)

    found = incidents.look_up(webhook("incident.acknowledged", by="PINES"), SETTINGS, clients(MAPPED))

    assert found.ignored == (
        "our own PagerDuty user is not known, and it may have done this (incident.acknowledged)"
    )
