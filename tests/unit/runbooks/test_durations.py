"""The steps of a runbook end in time for its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from taskmedic.domain.dispatch import MAX_TIMEOUT_S, NODE_OVERHEAD_S
from taskmedic.domain.errors import RunbookInvalid
from taskmedic.domain.runbooks.durations import MAX_STEPS_S, STOP_OVERHEAD_S, longest_s
from taskmedic.domain.runbooks.loading import load_text
from taskmedic.domain.runbooks.plan import plan_for
from taskmedic.domain.triggers import Trigger

MACHINE = Path(__file__).parents[3] / "statemachines/remediation.asl.yaml"


def runbook(*steps: str, dispatch: str = "{}") -> str:
    listed = "".join(f"  - {{name: s{number}, {step}}}\n" for number, step in enumerate(steps, 1))
    return f"name: a\ndescription: b\nnodes: {{clusters: [prod]}}\ndispatch: {dispatch}\nsteps:\n{listed}"


def stop(wait: str) -> str:
    return f"stop_task: {{reason: hung, wait: {wait}}}"


def command(timeout: str) -> str:
    return f"command: {{script: id, timeout: {timeout}}}"


def planned(text: str) -> dict[str, Any]:
    trigger = Trigger("manual", "key", "")
    return plan_for(load_text(text, "a.yaml"), trigger, {}, own_account="1", own_region="us-east-1")


def longest_with_retries(state: dict[str, Any]) -> float:
    """Seconds of a state whose every try takes its whole time, after the longest wait that jitter gives."""
    waits = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
        for retry in state["Retry"][:1]
        for n in range(retry["MaxAttempts"])
    ]
    return float(sum(waits) + (len(waits) + 1) * state["TimeoutSeconds"])


def test_the_machine_has_time_for_a_pagerduty_that_does_not_answer_at_both_ends() -> None:
    machine = yaml.safe_load(MACHINE.read_text())
    ends = sum(longest_with_retries(machine["States"][name]) for name in ("AcceptTrigger", "Report"))

    assert MAX_STEPS_S + ends <= machine["TimeoutSeconds"]


def test_waits_that_leave_no_time_for_the_report_are_refused_by_the_names_of_their_fields() -> None:
    with pytest.raises(RunbookInvalid) as refused:
        load_text(runbook(*[stop("1h")] * 8), "a.yaml")

    assert "the steps may take 8 h 12 min together, and 4 h 30 min is the most" in str(refused.value)
    assert "shorten s1.stop_task.wait, s2.stop_task.wait" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (runbook(command("60s"), command("60s"), dispatch="{timeout: 3h}"), "dispatch.timeout"),
        (runbook(*[stop("1h")] * 4, command("700s"), *[command("700s")] * 3), "s5.command.timeout"),
    ],
)
def test_commands_count_too(text: str, field: str) -> None:
    with pytest.raises(RunbookInvalid, match=f"shorten .*{field}"):
        load_text(text, "a.yaml")


def test_a_command_without_a_time_for_all_nodes_has_what_the_other_steps_leave() -> None:
    plan = planned(runbook(stop("1h"), command("60s"), command("60s")))

    each = plan["dispatch"]["timeout"]
    assert each == (MAX_STEPS_S - 3600 - STOP_OVERHEAD_S) // 2 - NODE_OVERHEAD_S
    assert longest_s(plan["steps"], each) <= MAX_STEPS_S


def test_a_time_for_all_nodes_that_was_given_stays() -> None:
    assert planned(runbook(command("60s"), dispatch="{timeout: 10m}"))["dispatch"]["timeout"] == 600


def test_without_a_command_there_is_no_such_time() -> None:
    assert planned(runbook(stop("5m")))["dispatch"]["timeout"] is None


@pytest.mark.parametrize("stops", range(5))
def test_every_runbook_that_is_accepted_gives_each_command_time_for_one_node(stops: int) -> None:
    text = runbook(*[stop("1h")] * stops, *[command(f"{MAX_TIMEOUT_S}s")] * (8 - stops))
    try:
        plan = planned(text)
    except RunbookInvalid:
        return

    assert plan["dispatch"]["timeout"] >= MAX_TIMEOUT_S
    assert longest_s(plan["steps"], plan["dispatch"]["timeout"]) <= MAX_STEPS_S
