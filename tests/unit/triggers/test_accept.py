"""Deciding, seen from the ledger: what it says when deciding breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskmedic.aws.ledger import Claim, stamp
from taskmedic.domain.attempts import Verdict
from taskmedic.domain.errors import Throttled
from taskmedic.domain.policy import Switch
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.triggers import Incident, Target
from taskmedic.settings import AcceptTriggerSettings
from taskmedic.steps import accept_trigger, incidents
from taskmedic.steps.incidents import LookedUp

SETTINGS = AcceptTriggerSettings("us-east-1", "ledger", "switch", "map", "secret", "https://pd", "/none")
RUN = "arn:aws:states:us-east-1:123456789012:execution:remediation:run-1"
OTHER = "arn:aws:states:us-east-1:123456789012:execution:remediation:run-0"
EVENT = json.loads((Path(__file__).parents[3] / "events/ecs/exit-code.json").read_text())
_REPLACE = {
    "name": "replace",
    "description": "A test's.",
    "nodes": {"clusters": ["${trigger.cluster}"], "services": ["${trigger.service}"]},
    "steps": [{"name": "stop", "stop_task": {"reason": "a test"}}],
}
REPLACE = Runbook.model_validate({**_REPLACE, "triggers": [{"task_stopped": {}}]})
PAGED = Runbook.model_validate({**_REPLACE, "triggers": [{"pagerduty": {"event": ["incident.triggered"]}}]})
LOOK = Runbook.model_validate(
    {"name": "look", "description": "A test's.", "steps": [{"name": "errors", "stopped_tasks": {}}]}
)


class FakeLedger:
    def __init__(self, *claims: Claim, refuses: str = "", taken_over: bool = False) -> None:
        self.claims = list(claims or [Claim(won=True)])
        self.refuses, self.taken_over = refuses, taken_over
        self.taken_from: list[str] = []
        self.attempts: list[tuple[str, str]] = []
        self.verdict = Verdict.TAKEN
        self.decisions: list[tuple[str, str]] = []

    def __call__(self, table: str, dynamodb: Any) -> FakeLedger:
        return self

    def claim_trigger(self, key: str, *, instead_of: str = "", **facts: Any) -> Claim:
        self.taken_from.append(instead_of)
        return self.claims.pop(0)

    def take_attempts(
        self, runbook: str, services: list[tuple[str, str]], **facts: Any
    ) -> tuple[Verdict, tuple[str, str]]:
        self.attempts = services
        return self.verdict, services[-1]

    def record_decision(self, key: str, *, decision: str, reason: str, **facts: Any) -> bool:
        if decision == self.refuses:
            raise Throttled("cannot write to the ledger")
        self.decisions.append((decision, reason))
        return not self.taken_over


class NoClients:
    def get(self, service: str) -> None:
        return None


class NoExecutions:
    """Step Functions that knows no execution."""

    def get(self, service: str) -> NoExecutions:
        return self

    def describe_execution(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": ""}}, "DescribeExecution")


def run_of(
    ledger: FakeLedger,
    monkeypatch: pytest.MonkeyPatch,
    clients: Any = None,
    input_: Mapping[str, Any] = {"runbook": "look"},
    **runbooks: Runbook,
) -> dict[str, Any]:
    monkeypatch.setattr(accept_trigger, "Ledger", ledger)
    monkeypatch.setattr(accept_trigger, "read_switch", lambda *_: Switch())
    monkeypatch.setattr(accept_trigger, "runbooks_in", lambda _: {"look": LOOK, **runbooks})
    run = {"execution_arn": RUN, "execution_name": "run-1", "started_at": "2026-11-21T10:00:00Z"}
    return accept_trigger.run({"run": run, "input": input_}, SETTINGS, clients or NoClients())


def undecided(minutes: int) -> Claim:
    """The claim of another execution that has not decided, so old."""
    at = stamp(datetime.now(UTC) - timedelta(minutes=minutes))
    return Claim(won=False, earlier={"execution_arn": OTHER, "at": at})


def test_a_bug_too_is_written_down_so_that_another_execution_may_take_the_trigger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = FakeLedger()
    monkeypatch.setattr(accept_trigger, "Ledger", ledger)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(accept_trigger, "read_switch", broken)
    run = {"execution_arn": RUN, "execution_name": "run-1", "started_at": "2026-11-21T10:00:00Z"}

    with pytest.raises(ZeroDivisionError):
        accept_trigger.run({"run": run, "input": {"runbook": "diagnose"}}, SETTINGS, NoClients())  # type: ignore[arg-type]

    assert ledger.decisions == [("failed", "ZeroDivisionError")]


def test_a_decision_that_cannot_be_written_down_leaves_the_trigger_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = FakeLedger(refuses="run")

    with pytest.raises(Throttled):
        run_of(ledger, monkeypatch)

    assert [decision for decision, _ in ledger.decisions] == ["failed"]


def test_an_execution_whose_trigger_was_taken_over_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FakeLedger(taken_over=True)

    output = run_of(ledger, monkeypatch)

    assert (output["decision"], output["plan"]) == ("skip", None)
    assert output["reason"] == "seen before: another execution has taken this trigger over"
    assert ledger.decisions[-1] == ("skip", output["reason"])


@pytest.mark.parametrize(("minutes", "decision"), [(1, "skip"), (10, "run")])
def test_an_execution_that_step_functions_does_not_know_is_gone_only_after_a_while(
    monkeypatch: pytest.MonkeyPatch, minutes: int, decision: str
) -> None:
    """DescribeExecution is eventually consistent: what has just started may not be there yet."""
    ledger = FakeLedger(undecided(minutes), Claim(won=True))

    output = run_of(ledger, monkeypatch, NoExecutions())

    assert output["decision"] == decision
    assert ledger.taken_from == (["", OTHER] if decision == "run" else [""])


@pytest.mark.parametrize(
    ("verdict", "runbook", "steps"),
    [(Verdict.TAKEN, "replace", 1), (Verdict.REFUSED, "replace", 0), (Verdict.TOLD_BEFORE, "replace", None)],
)
def test_what_acts_by_itself_asks_for_its_attempt_in_the_cluster_of_the_event(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict, runbook: str, steps: int | None
) -> None:
    ledger = FakeLedger()
    ledger.verdict = verdict

    output = run_of(ledger, monkeypatch, input_=EVENT, replace=REPLACE)

    assert ledger.attempts == [(EVENT["detail"]["clusterArn"], "checkout")]
    assert output["runbook"] == runbook
    assert (output["plan"] and len(output["plan"]["steps"])) == steps


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.TOLD_BEFORE])
def test_an_incident_is_told_each_time_that_a_runbook_is_beyond_its_limit(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    ledger = FakeLedger()
    ledger.verdict = verdict
    incident = Incident(id="Q1", event_type="incident.triggered")
    found = {"incident": incident, "targets": (Target(cluster="prod", service="search"),)}
    monkeypatch.setattr(
        incidents, "look_up", lambda received, *_: LookedUp(replace(received.trigger, **found))
    )
    webhook = {"id": "e1", "event_type": "incident.triggered", "data": {"id": "Q1", "type": "incident"}}
    given = {"source": "pagerduty.webhook", "delivery_id": "d1", "subscription_id": "", "event": webhook}

    output = run_of(ledger, monkeypatch, input_=given, replace=PAGED)

    assert "has acted 3 times on prod/search" in output["reason"]
    assert output["plan"] is not None
