"""Which events EventBridge lets through, judged by moto's own reading of patterns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.events.models import EventPattern
from tests.unit.template.expanded import ROOT, of_type

RULE = next(one for name, one in of_type("AWS::Events::Rule").items() if name.startswith("Remediation"))
PATTERN = EventPattern.load(json.dumps(RULE["Properties"]["EventPattern"]))


def sample(name: str, **detail: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / f"events/ecs/{name}.json").read_text())
    event["detail"] |= detail
    for field in [field for field, value in detail.items() if value is None]:
        del event["detail"][field]
    return event


def passes(event: dict[str, Any]) -> bool:
    return bool(PATTERN.matches_event(event))


@pytest.mark.parametrize(
    "name",
    [
        "out-of-memory",
        "exit-code",
        "image-not-found",
        "health-check-failed",
        "batch-job-failed",
        "unreadable",
    ],
)
def test_a_fault_passes(name: str) -> None:
    assert passes(sample(name))


@pytest.mark.parametrize("name", ["scaling-activity", "stopped-by-user"])
def test_what_is_no_fault_is_kept_out(name: str) -> None:
    assert not passes(sample(name))


def test_a_task_that_is_not_stopped_is_kept_out() -> None:
    assert not passes(sample("out-of-memory", lastStatus="RUNNING"))


def test_a_missing_stop_code_or_reason_passes() -> None:
    assert passes(sample("out-of-memory", stopCode=None))
    assert passes(sample("out-of-memory", stoppedReason=None))
    assert passes(sample("out-of-memory", stopCode=None, stoppedReason=None))


def test_a_stop_code_that_is_new_to_us_passes() -> None:
    assert passes(sample("out-of-memory", stopCode="InfrastructureHealth"))


def test_a_drill_passes_by_its_own_source() -> None:
    assert passes(sample("out-of-memory") | {"source": "taskmedic.drill"})
    assert not passes(sample("out-of-memory") | {"source": "my.app"})


def test_other_events_of_ecs_are_kept_out() -> None:
    assert not passes(sample("out-of-memory") | {"detail-type": "ECS Service Action"})
