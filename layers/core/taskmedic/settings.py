"""Settings of each function: a frozen dataclass, read from the environment once at its cold start.

The variables are set in template.yaml. A missing one is named in the error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from taskmedic.domain.errors import SettingMissing

PAGERDUTY_API_URL = "https://api.pagerduty.com"
PAGERDUTY_EVENTS_URL = "https://events.pagerduty.com"
RUNBOOKS_DIR = "/opt/runbooks"


def required(name: str) -> str:
    """The value of environment variable ``name``.

    Raises:
        SettingMissing: it is unset or empty.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SettingMissing(
            f"environment variable {name} is not set",
            where="function configuration",
            remedy="Deploy the function from template.yaml, which sets it.",
        )
    return value


def optional(name: str, default: str = "") -> str:
    """The value of environment variable ``name``, or ``default`` when it is unset or empty."""
    return os.environ.get(name) or default


@dataclass(frozen=True)
class AcceptTriggerSettings:
    """What ``accept_trigger`` needs: our region, the ledger, the switch, the runbooks and PagerDuty's API."""

    region: str
    ledger_table: str
    switch_parameter: str
    service_map_parameter: str
    pagerduty_api_secret_id: str
    pagerduty_api_url: str
    runbooks_dir: str

    @classmethod
    def from_env(cls) -> AcceptTriggerSettings:
        return cls(
            region=required("AWS_REGION"),
            ledger_table=required("LEDGER_TABLE"),
            switch_parameter=required("SWITCH_PARAMETER"),
            service_map_parameter=required("SERVICE_MAP_PARAMETER"),
            pagerduty_api_secret_id=required("PAGERDUTY_API_SECRET_ID"),
            pagerduty_api_url=optional("PAGERDUTY_API_URL", PAGERDUTY_API_URL),
            runbooks_dir=optional("RUNBOOKS_DIR", RUNBOOKS_DIR),
        )


@dataclass(frozen=True)
class FindNodesSettings:
    """What ``find_nodes`` needs: where the whole list of nodes is kept."""

    evidence_bucket: str

    @classmethod
    def from_env(cls) -> FindNodesSettings:
        return cls(evidence_bucket=required("EVIDENCE_BUCKET"))


@dataclass(frozen=True)
class CollectStoppedTasksSettings:
    """What ``collect_stopped_tasks`` needs: earlier stops, and where evidence is kept."""

    ledger_table: str
    evidence_bucket: str

    @classmethod
    def from_env(cls) -> CollectStoppedTasksSettings:
        return cls(
            ledger_table=required("LEDGER_TABLE"),
            evidence_bucket=required("EVIDENCE_BUCKET"),
        )


@dataclass(frozen=True)
class RunCommandSettings:
    """What ``run_command`` needs: locks and halts, and where output is kept."""

    ledger_table: str
    evidence_bucket: str

    @classmethod
    def from_env(cls) -> RunCommandSettings:
        return cls(
            ledger_table=required("LEDGER_TABLE"),
            evidence_bucket=required("EVIDENCE_BUCKET"),
        )


@dataclass(frozen=True)
class StopTaskSettings:
    """What ``stop_task`` needs: the ledger, where our own stops are written down."""

    ledger_table: str

    @classmethod
    def from_env(cls) -> StopTaskSettings:
        return cls(ledger_table=required("LEDGER_TABLE"))


@dataclass(frozen=True)
class ReportSettings:
    """What ``report`` needs: the channels, and the ledger that remembers which note is whose."""

    ledger_table: str
    pagerduty_api_secret_id: str
    pagerduty_api_url: str
    pagerduty_events_url: str
    notify_topic_arn: str
    slack_secret_id: str

    @classmethod
    def from_env(cls) -> ReportSettings:
        return cls(
            ledger_table=required("LEDGER_TABLE"),
            pagerduty_api_secret_id=required("PAGERDUTY_API_SECRET_ID"),
            pagerduty_api_url=optional("PAGERDUTY_API_URL", PAGERDUTY_API_URL),
            pagerduty_events_url=optional("PAGERDUTY_EVENTS_URL", PAGERDUTY_EVENTS_URL),
            notify_topic_arn=required("NOTIFY_TOPIC_ARN"),
            slack_secret_id=optional("SLACK_SECRET_ID"),
        )


@dataclass(frozen=True)
class ReceiveWebhookSettings:
    """What ``receive_webhook`` needs: the secrets it checks with, and what it starts."""

    state_machine_arn: str
    pagerduty_webhook_secret_id: str

    @classmethod
    def from_env(cls) -> ReceiveWebhookSettings:
        return cls(
            state_machine_arn=required("STATE_MACHINE_ARN"),
            pagerduty_webhook_secret_id=required("PAGERDUTY_WEBHOOK_SECRET_ID"),
        )
