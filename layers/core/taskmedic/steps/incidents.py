"""A PagerDuty trigger, completed: its incident as it stands now, and the ECS things it is about."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools import Logger

from taskmedic.aws.clients import Clients
from taskmedic.aws.secrets import secrets_of
from taskmedic.aws.switch import read_parameter
from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable, SettingMissing
from taskmedic.domain.triggers import Incident, Received, Target, Trigger
from taskmedic.pagerduty import alerts
from taskmedic.pagerduty.client import Client, Credentials
from taskmedic.pagerduty.events import WebhookEvent, event_of, ignored_because, may_be_ours, own_action
from taskmedic.pagerduty.http import Patience
from taskmedic.settings import AcceptTriggerSettings

# Well within the function's time-out; the state machine tries again after that.
PAGERDUTY_S = 25.0

logger = Logger(child=True)


@dataclass(frozen=True)
class LookedUp:
    """The completed trigger, or why the webhook starts nothing."""

    trigger: Trigger
    ignored: str = ""


def look_up(received: Received, settings: AcceptTriggerSettings, clients: Clients) -> LookedUp:
    """Completes a trigger of PagerDuty.

    Raises:
        PagerDutyUnavailable: PagerDuty does not answer, and nothing else says what the incident is about. A
            later try may.
        InvalidTrigger: the service map in its SSM parameter is malformed.
    """
    trigger = received.trigger
    if received.webhook is not None:
        event = event_of(received.webhook)
        if event.incident_id:
            trigger = replace(trigger, incident=_incident(event))
        reason = ignored_because(event)
        if not reason and may_be_ours(event):
            reason = own_action(event, _own_user_id(settings, clients))
        if reason:
            return LookedUp(trigger, reason)
    if trigger.incident is None:
        return LookedUp(trigger)
    return LookedUp(_completed(trigger, trigger.incident, settings, clients))


def _completed(
    trigger: Trigger, incident: Incident, settings: AcceptTriggerSettings, clients: Clients
) -> Trigger:
    where = settings.service_map_parameter
    service_map = alerts.parse_service_map(read_parameter(clients.get("ssm"), where), where)
    try:
        client = _pagerduty(settings, clients)
        incident = _as_it_stands(incident, client.incident(incident.id))
        if trigger.targets:
            return replace(trigger, incident=incident)
        found = alerts.targets_for_incident(
            client,
            incident.id,
            service_map,
            time.sleep,
            service_id=incident.service_id,
            service_name=incident.service_name,
        )
    except (PagerDutyRefused, SettingMissing) as error:
        # Asking again changes nothing. The map may still say what the incident is about.
        found = _by_map(incident, service_map, error.text())
    except PagerDutyUnavailable as error:
        # Somebody is on call now: what the map or the request says is good enough, and nothing is guessed.
        found = _by_map(incident, service_map, error.text())
        if not (found.targets or trigger.targets):
            raise
    targets = tuple(_in_full(target, trigger.target) for target in found.targets)
    return replace(
        trigger,
        incident=incident,
        target=targets[0] if targets else trigger.target,
        targets=targets or trigger.targets,
        looked_at=found.looked_at,
        left_out=found.left_out,
    )


def _in_full(target: alerts.Target, here: Target) -> Target:
    """An alert that does not say in which account and region is about ours."""
    return Target(
        account=target.account or here.account,
        region=target.region or here.region,
        cluster=target.cluster,
        service=target.service,
        task=target.task,
    )


def _by_map(
    incident: Incident, service_map: Mapping[str, Sequence[alerts.Target]], why: str
) -> alerts.Targets:
    mapped = service_map.get(incident.service_id) or service_map.get(incident.service_name) or ()
    service = incident.service_name or incident.service_id or "unknown"
    looked_at = (
        f"alerts are not readable: {why}",
        f"service map: {'entry' if mapped else 'no entry'} for PagerDuty service {service}",
    )
    return alerts.Targets(tuple(mapped), looked_at)


def _incident(event: WebhookEvent) -> Incident:
    return Incident(
        id=event.incident_id,
        title=event.title,
        html_url=event.html_url,
        status=event.status,
        event_type=event.event_type,
        service_id=event.service_id,
        service_name=event.service_name,
        urgency=event.urgency,
    )


def _as_it_stands(incident: Incident, now: Mapping[str, Any]) -> Incident:
    """The incident with what PagerDuty says of it now; the webhook may be hours old."""
    service = now.get("service") or {}
    return replace(
        incident,
        title=str(now.get("title") or incident.title),
        html_url=str(now.get("html_url") or incident.html_url),
        status=str(now.get("status") or incident.status),
        urgency=str(now.get("urgency") or incident.urgency),
        service_id=str(service.get("id") or incident.service_id),
        service_name=str(service.get("summary") or incident.service_name),
    )


def _pagerduty(settings: AcceptTriggerSettings, clients: Clients) -> Client:
    secret_id = settings.pagerduty_api_secret_id
    credentials = Credentials.from_secret(secrets_of(clients).json(secret_id), secret_id)
    patience = Patience().within(PAGERDUTY_S)
    return Client(credentials, api_url=settings.pagerduty_api_url, patience=patience)


def _own_user_id(settings: AcceptTriggerSettings, clients: Clients) -> str:
    """Our PagerDuty user; empty when PagerDuty does not tell."""
    try:
        return _pagerduty(settings, clients).own_user_id()
    except (PagerDutyRefused, SettingMissing) as error:
        logger.warning("cannot tell our own PagerDuty user", extra={"why": error.text()})
        return ""
