"""The runbooks that ship."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskmedic.domain.policy import Action, Facts, Switch, decide
from taskmedic.domain.runbooks.loading import load_folder
from taskmedic.domain.triggers import Asked, Incident, Target, Trigger

ROOT = Path(__file__).parents[3]
STOCK = load_folder(ROOT / "layers/runbooks/runbooks")
HERE = Facts(account="123456789012", region="us-east-1")
CHECKOUT = Target("123456789012", "us-east-1", "prod", "checkout")


def of_incident(*targets: Target) -> Trigger:
    incident = Incident(id="Q1", event_type="incident.triggered", status="triggered")
    return Trigger("pagerduty", "k", "", targets[0] if targets else Target(), targets, incident)


def test_the_stock_is_the_four_jobs_and_four_more() -> None:
    assert list(STOCK) == [
        "container-diagnostics",
        "diagnose",
        "java-thread-dump",
        "list-nodes",
        "replace-task",
        "run-command",
        "stop-task",
        "stopped-task-errors",
    ]


@pytest.mark.parametrize("name", list(STOCK))
def test_a_file_is_named_after_its_runbook(name: str) -> None:
    assert STOCK[name].file == f"{name}.yaml"


@pytest.mark.parametrize("name", ["list-nodes", "stopped-task-errors", "run-command", "stop-task"])
def test_each_of_the_four_jobs_is_one_step(name: str) -> None:
    assert len(STOCK[name].steps) == 1


def test_every_stopped_task_is_diagnosed_and_nothing_is_changed() -> None:
    trigger = Trigger("task_stopped", "k", "", CHECKOUT, (CHECKOUT,), task_detail={})

    decision = decide(trigger, Asked(), HERE, STOCK, Switch())

    assert decision.runbook == "diagnose"
    assert not STOCK["diagnose"].acts


def test_an_incident_of_a_service_gets_its_diagnostics() -> None:
    decision = decide(of_incident(CHECKOUT), Asked(), HERE, STOCK, Switch())

    assert decision.runbook == "container-diagnostics"
    assert decision.plan is not None
    assert [step["type"] for step in decision.plan["steps"]] == ["stopped_tasks", "command"]


def test_an_incident_of_a_whole_cluster_gets_its_stopped_tasks_and_runs_no_command() -> None:
    decision = decide(
        of_incident(Target("123456789012", "us-east-1", "prod")), Asked(), HERE, STOCK, Switch()
    )

    assert decision.runbook == "stopped-task-errors"


def test_an_incident_about_nothing_known_is_told_so() -> None:
    decision = decide(of_incident(), Asked(), HERE, STOCK, Switch())

    assert (decision.action, decision.runbook) == (Action.SKIP, "container-diagnostics")
    assert decision.plan is not None


def test_nothing_is_stopped_without_a_person_who_names_the_task() -> None:
    for book in STOCK.values():
        if any(step.type == "stop_task" for step in book.steps):
            assert book.triggers == []
            assert book.options["task"].required


def test_the_container_diagnostics_only_read() -> None:
    """Words of the script that would change something in a container."""
    script = STOCK["container-diagnostics"].steps[1].to_json()["spec"]["script"]

    for word in ("rm ", "kill", "mv ", "dd ", "apt", "yum", "curl", "chmod", "tee "):
        assert word not in script
    assert {target.rstrip(";)") for target in re.findall(r">+ *(\S+)", script)} == {"/dev/null", "&1"}
