"""Writes what was seen and done back to the incident, and tells the other readers.

Called when a run starts, as it goes on, and at its end. Before the end nothing here fails the run: what
could not be written is written later. At the end trouble is raised, so that the state machine tries again
and at last keeps the input in a queue; the other readers have been told by then, and are not told twice.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import urllib3
from aws_lambda_powertools import Logger

from taskmedic.aws.clients import Clients
from taskmedic.aws.ledger import Ledger
from taskmedic.aws.notify import post_to_slack, publish
from taskmedic.aws.secrets import secrets_of
from taskmedic.domain.errors import SettingMissing, TaskmedicError
from taskmedic.domain.report import Channel, Report
from taskmedic.domain.report_input import report_of
from taskmedic.domain.report_legible import legible
from taskmedic.pagerduty.client import Client, Credentials
from taskmedic.pagerduty.http import Patience
from taskmedic.pagerduty.note import NoteWriter
from taskmedic.pagerduty.write_back import NOTE, WriteBack, Written
from taskmedic.settings import ReportSettings

# How long PagerDuty may hold up a run that has work to do.
EARLY_SECONDS: Final = 12.0

logger = Logger(child=True)
pool = urllib3.PoolManager()


def run(
    event: Mapping[str, Any],
    settings: ReportSettings,
    clients: Clients,
    remaining: Callable[[], float],
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Reports one run, or the undelivered reports that a redrive brings back.

    Args:
        event: ``{run, decision, reason, trigger, plan, outcomes, error, phase}``, or SQS's ``{"Records"}`` of
            such bodies.
        settings: The function's.
        clients: For SNS, DynamoDB and Secrets Manager.
        remaining: Seconds that the function has left.
        patience: How to wait for PagerDuty within that time.

    Returns:
        ``{"channels": [{channel, status, detail}], "headline"}``; for SQS ``{"batchItemFailures": [...]}``.

    Raises:
        PagerDutyUnavailable: the note may be written later.
        PagerDutyRefused: it would be refused again.
        SettingMissing, AwsError: PagerDuty's secret cannot be read.
    """
    ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
    tools = _Tools(settings, clients, ledger, replace(patience, remaining=remaining))
    return _redriven(event["Records"], tools) if "Records" in event else _reported(event, tools)


@dataclass(frozen=True)
class _Tools:
    """What reporting needs besides the report."""

    settings: ReportSettings
    clients: Clients
    ledger: Ledger
    patience: Patience


def _redriven(records: Sequence[Mapping[str, Any]], tools: _Tools) -> dict[str, Any]:
    """Each report that fails again goes back to the queue; the others leave it."""
    failed = []
    for record in records:
        try:
            _reported(_without_resolve(json.loads(record["body"])), tools)
        except (TaskmedicError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("still not delivered", extra={"why": str(error), "item": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _without_resolve(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A redrive comes hours or days later: that the service was well then says nothing of now."""
    plan = event.get("plan")
    if not plan:
        return event
    return {**event, "plan": {**plan, "report": {**(plan.get("report") or {}), "resolve": False}}}


def _reported(event: Mapping[str, Any], tools: _Tools) -> dict[str, Any]:
    report = report_of(event)
    if report.decision == "skip" and not event.get("plan"):
        skipped = Channel("all", "skipped", "nobody needs to be told; the ledger has the reason")
        return _answer(report, [skipped])
    if report.phase != "final":
        tools = replace(tools, patience=tools.patience.within(EARLY_SECONDS))
        return _answer(report, _to_pagerduty(event, report, tools).channels)
    written = _to_pagerduty(event, report, tools)
    channels = [*written.channels, *_to_others(report, tools)]
    if written.trouble:
        raise written.trouble
    return _answer(report, channels)


def _to_pagerduty(event: Mapping[str, Any], report: Report, tools: _Tools) -> Written:
    if not report.incident_id:
        return Written((Channel(NOTE, "skipped", "no incident belongs to this run"),))
    try:
        return WriteBack(
            writer=NoteWriter(client=_client(tools), memory=tools.ledger, owner=uuid.uuid4().hex),
            report=report,
            options=(event.get("plan") or {}).get("report") or {},
            outcomes=legible(event.get("outcomes") or ()),
        ).write()
    except TaskmedicError as error:
        return Written((Channel(NOTE, "failed", error.text()),), error)


def _client(tools: _Tools) -> Client:
    secret_id = tools.settings.pagerduty_api_secret_id
    return Client(
        Credentials.from_secret(secrets_of(tools.clients).json(secret_id), secret_id),
        api_url=tools.settings.pagerduty_api_url,
        events_url=tools.settings.pagerduty_events_url,
        patience=tools.patience,
        pool=pool,
    )


def _to_others(report: Report, tools: _Tools) -> list[Channel]:
    """SNS always, Slack when its secret is set; each once a run, whatever becomes of the note."""
    readers = {"sns": _to_sns}
    if tools.settings.slack_secret_id:
        readers["slack"] = _to_slack
    return [_told(name, tell, report, tools) for name, tell in readers.items()]


def _told(name: str, tell: Callable[[Report, _Tools], None], report: Report, tools: _Tools) -> Channel:
    if tools.ledger.note_of(name, report.run):
        return Channel(name, "skipped", "told before")
    try:
        tell(report, tools)
    except TaskmedicError as error:
        logger.warning("a reader could not be told", extra={"channel": name, "why": error.text()})
        return Channel(name, "failed", error.text())
    tools.ledger.remember_note(name, report.run, "told")
    return Channel(name, "posted")


def _to_sns(report: Report, tools: _Tools) -> None:
    publish(tools.clients.get("sns"), tools.settings.notify_topic_arn, report)


def _to_slack(report: Report, tools: _Tools) -> None:
    secret_id = tools.settings.slack_secret_id
    url = secrets_of(tools.clients).json(secret_id).get("webhook_url")
    if not isinstance(url, str) or not url.startswith("https://"):
        raise SettingMissing(
            'the Slack secret has no "webhook_url"',
            where=secret_id,
            remedy='Store {"webhook_url": "https://hooks.slack.com/services/..."} there.',
        )
    post_to_slack(pool, url, report)


def _answer(report: Report, channels: Sequence[Channel]) -> dict[str, Any]:
    return {"channels": [asdict(channel) for channel in channels], "headline": report.headline}
