"""Deciding, seen from the ledger: what it says when deciding breaks."""

from __future__ import annotations

from typing import Any

import pytest

from taskmedic.aws.ledger import Claim
from taskmedic.settings import AcceptTriggerSettings
from taskmedic.steps import accept_trigger

SETTINGS = AcceptTriggerSettings("us-east-1", "ledger", "switch", "map", "secret", "https://pd", "/none")
RUN = "arn:aws:states:us-east-1:123456789012:execution:remediation:run-1"


class FakeLedger:
    def __init__(self) -> None:
        self.decisions: list[tuple[str, str]] = []

    def __call__(self, table: str, dynamodb: Any) -> FakeLedger:
        return self

    def claim_trigger(self, key: str, **facts: Any) -> Claim:
        return Claim(won=True)

    def record_decision(self, key: str, *, decision: str, reason: str, **facts: Any) -> None:
        self.decisions.append((decision, reason))


class NoClients:
    def get(self, service: str) -> None:
        return None


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
