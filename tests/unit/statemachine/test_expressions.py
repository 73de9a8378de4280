"""The state machine's own decisions, evaluated one by one as Step Functions would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskmedic.domain.budget import OUTCOME_BYTES, json_bytes
from taskmedic.domain.dispatch import MAX_BATCHES
from taskmedic.domain.runbooks.models import MAX_STEPS
from taskmedic.domain.runbooks.plan import MAX_PLAN_BYTES
from taskmedic.pagerduty.alerts import MAX_TARGETS
from taskmedic.steps.find_nodes import STOP_TASKS_SHOWN
from taskmedic_local.stepfunctions import evaluate

FILE = Path(__file__).parents[3] / "statemachines/remediation.asl.yaml"
STATES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["States"]
STARTED = "2026-11-21T10:00:00.000Z"


def value_of(template: Any, variables: dict[str, Any]) -> Any:
    """A value with each expression in it evaluated."""
    match template:
        case str() if template.startswith("{%"):
            return evaluate(template[2:-2].strip(), variables)
        case dict():
            return {key: value_of(inner, variables) for key, inner in template.items()}
        case list():
            return [value_of(inner, variables) for inner in template]
        case _:
            return template


def step(name: str, kind: str = "command", on_failure: str = "stop", **spec: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "on_failure": on_failure, "spec": spec}


def variables(
    *steps: dict[str, Any], outcomes: tuple[str, ...] = (), at: int | None = None, **more: Any
) -> dict[str, Any]:
    """The variables after as many steps as there are outcomes."""
    ended = [{"name": f"s{i}", "outcome": outcome} for i, outcome in enumerate(outcomes)]
    accepted = {
        "decision": "run",
        "reason": "a test",
        "runbook": "a",
        "trigger": {"kind": "manual", "incident": None, "task_detail": {"large": True}},
        "plan": {"nodes": None, "steps": list(steps), "dispatch": {}},
    }
    found = {"count": 0, "mode": "none", "nodes": [], "sources": [], "batches": [], "stop_tasks": []}
    state = {"context": {"State": {"EnteredTime": STARTED}}}
    return {
        "accepted": accepted | more.pop("accepted", {}),
        "found": found | more.pop("found", {}),
        "outcomes": ended,
        "at": len(ended) if at is None else at,
        "reported": -1,
        "failure": None,
        "report": None,
        "states": state,
    } | more


def next_of(state: str, known: dict[str, Any]) -> str:
    for rule in STATES[state]["Choices"]:
        if value_of(rule["Condition"], known):
            return str(rule["Next"])
    return str(STATES[state]["Default"])


@pytest.mark.parametrize(
    ("accepted", "goes_to"),
    [
        ({"decision": "skip", "plan": None}, "Done"),
        ({"decision": "skip", "plan": {"nodes": None, "steps": []}}, "Report"),
        ({"plan": {"nodes": None, "steps": [step("a")]}}, "NextStep"),
        ({"plan": {"nodes": {"clusters": ["prod"]}, "steps": [step("a")]}}, "FindNodes"),
        ({"decision": "dry_run", "plan": {"nodes": {"clusters": ["prod"]}, "steps": []}}, "FindNodes"),
    ],
)
def test_what_follows_a_decision(accepted: dict[str, Any], goes_to: str) -> None:
    assert next_of("Decide", variables(accepted=accepted)) == goes_to


@pytest.mark.parametrize(
    ("kind", "mode", "goes_to"),
    [
        ("find_nodes", "none", "ListNodes"),
        ("stopped_tasks", "none", "CollectStoppedTasks"),
        ("stop_task", "none", "StopTask"),
        ("command", "inline", "RunCommand"),
        ("command", "distributed", "RunCommandEverywhere"),
        ("command", "none", "NoNodes"),
    ],
)
def test_each_kind_of_step_has_its_state(kind: str, mode: str, goes_to: str) -> None:
    assert next_of("NextStep", variables(step("a", kind), found={"mode": mode})) == goes_to


@pytest.mark.parametrize(
    ("outcome", "on_failure", "goes_to"),
    [
        ("succeeded", "stop", "NoNodes"),
        ("skipped", "stop", "NoNodes"),
        ("failed", "continue", "NoNodes"),
        ("failed", "stop", "SkipRest"),
    ],
)
def test_a_failed_step_ends_the_runbook_unless_it_says_otherwise(
    outcome: str, on_failure: str, goes_to: str
) -> None:
    known = variables(step("a", on_failure=on_failure), step("b"), outcomes=(outcome,))

    assert next_of("NextStep", known) == goes_to


def test_after_the_last_step_comes_the_report_also_when_it_failed() -> None:
    for outcome in ("succeeded", "failed"):
        assert next_of("NextStep", variables(step("a"), outcomes=(outcome,))) == "Report"


@pytest.mark.parametrize(
    ("incident", "reported", "goes_to"),
    [
        (None, -1, "NoNodes"),
        ({"id": "Q1"}, -1, "ReportProgress"),
        ({"id": "Q1"}, 0, "ReportProgress"),
        ({"id": "Q1"}, 1, "NoNodes"),
    ],
)
def test_progress_is_reported_once_before_each_step_and_only_to_an_incident(
    incident: Any, reported: int, goes_to: str
) -> None:
    trigger = {"kind": "pagerduty", "incident": incident}
    known = variables(step("a"), step("b"), outcomes=("succeeded",), reported=reported)
    known["accepted"]["trigger"] = trigger

    assert next_of("NextStep", known) == goes_to


def test_the_first_progress_says_that_the_run_has_started() -> None:
    payload = STATES["ReportProgress"]["Arguments"]["Payload"]

    assert value_of(payload, variables(step("a"), run={}))["phase"] == "started"
    assert (
        value_of(payload, variables(step("a"), step("b"), outcomes=("failed",), run={}))["phase"]
        == "progress"
    )


def test_a_dry_run_goes_through_no_step() -> None:
    plan = {"decision": "dry_run", "plan": {"steps": [step("a")]}}

    assert next_of("NextStep", variables(accepted=plan)) == "PlanOnly"


def assigned(state: str, known: dict[str, Any]) -> dict[str, Any]:
    """The variables that the state assigns."""
    values: dict[str, Any] = value_of(STATES[state]["Assign"], known)
    return values


@pytest.mark.parametrize(
    ("kind", "summary"),
    [
        ("stopped_tasks", "would collect why tasks stopped"),
        ("command", "would run in 1 container"),
        ("find_nodes", "would list 1 container"),
    ],
)
def test_a_dry_run_says_what_would_be_done_for_each_step(kind: str, summary: str) -> None:
    known = variables(
        step("s0"),
        step("next", kind),
        outcomes=("planned",),
        found={"count": 1, "nodes": [{"name": "1/app"}]},
    )

    after = assigned("PlanOnly", known)

    assert after["at"] == 2
    outcome = after["outcomes"][1]
    assert (outcome["name"], outcome["outcome"], outcome["summary"]) == ("next", "planned", summary)
    assert outcome["data"]["nodes"] == ["1/app"]


def test_a_dry_run_looks_the_tasks_of_a_stop_up_and_says_when_it_would_be_refused() -> None:
    known = variables(step("a", "stop_task"), accepted={"decision": "dry_run"})
    known["accepted"]["plan"] = {"steps": [step("a", "stop_task")]}
    assert next_of("NextStep", known) == "PlanStop"
    known["run"] = {}
    assert value_of(STATES["PlanStop"]["Arguments"]["Payload"], known)["action"] == "plan"
    known["failure"] = {"Error": "TooManyTargets", "Cause": "step a would stop 2 tasks"}

    after = assigned("PlanRefused", known)

    (outcome,) = after["outcomes"]
    assert outcome["outcome"] == "planned"
    assert outcome["summary"] == "would be refused: TooManyTargets: step a would stop 2 tasks"
    assert after["failure"] is None


@pytest.mark.parametrize(
    "error", ["Throttled", "AwsUnreachable", "States.Timeout", "Sandbox.Timedout", "Lambda.Unknown"]
)
def test_a_dry_run_does_not_call_a_stop_refused_that_it_could_not_look_up(error: str) -> None:
    known = variables(step("a", "stop_task"), failure={"Error": error, "Cause": "why"})

    (outcome,) = assigned("PlanRefused", known)["outcomes"]

    assert outcome["summary"] == f"could not be looked up: {error}: why"


def test_steps_that_were_not_run_are_named_with_the_one_to_blame() -> None:
    known = variables(step("s0"), step("b"), step("c"), outcomes=("failed",))

    outcomes = assigned("SkipRest", known)["outcomes"]

    assert [(outcome["name"], outcome["outcome"]) for outcome in outcomes] == [
        ("s0", "failed"),
        ("b", "skipped"),
        ("c", "skipped"),
    ]
    assert outcomes[-1]["summary"] == "not run, because s0 failed"


def test_an_error_of_a_step_becomes_its_outcome() -> None:
    known = variables(
        step("a", "stop_task"), failure={"Error": "TaskNotFound", "Cause": "task x does not exist."}
    )

    after = assigned("StepFailed", known)

    assert after["at"] == 1
    (outcome,) = after["outcomes"]
    assert (outcome["name"], outcome["type"], outcome["outcome"]) == ("a", "stop_task", "failed")
    assert outcome["summary"] == "TaskNotFound: task x does not exist."


@pytest.mark.parametrize("state", ["StepFailed", "NodesFailed"])
def test_a_run_that_goes_on_after_an_error_has_finished(state: str) -> None:
    """The outcome holds the error; as one of the run the report would say that it did not finish."""
    known = variables(
        step("a", on_failure="continue"),
        failure={"Error": "AccessDenied", "Cause": "cannot list the tasks"},
        run={},
    )

    known |= assigned(state, known)

    payload = value_of(STATES["Report"]["Arguments"]["Payload"], known)
    assert payload["error"] is None
    assert payload["outcomes"][0]["summary"] == "AccessDenied: cannot list the tasks"


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            json.dumps({"errorMessage": 'a "quoted" thing', "errorType": "X", "stackTrace": []}),
            'a "quoted" thing',
        ),
        ("Task timed out after 3 seconds", "Task timed out after 3 seconds"),
        ("", ""),
    ],
)
def test_a_cause_is_read_from_lambdas_json_and_taken_as_it_is_otherwise(cause: str, text: str) -> None:
    for name, state in STATES.items():
        for clause in state.get("Catch", []):
            failure = clause.get("Assign", {}).get("failure")
            if failure:
                states = {"errorOutput": {"Error": "X", "Cause": cause}}
                assert value_of(failure, {"states": states}) == {"Error": "X", "Cause": text}, name


@pytest.mark.parametrize(
    ("script", "travel"),
    [("top", []), ("echo ${steps.s1.summary}", ["s1"]), ("${steps.s0.a} ${steps.s1.b}", ["s0", "s1"])],
)
def test_a_batch_travels_with_the_outcomes_that_its_step_names(script: str, travel: list[str]) -> None:
    known = variables(step("a"), step("b"), step("c", script=script), outcomes=("succeeded", "failed"))
    known["found"] |= {"threads": 1}
    known["states"]["context"] |= {"Map": {"Item": {"Value": []}}}

    for name in ("RunCommand", "RunCommandEverywhere"):
        outcomes = value_of(STATES[name]["ItemSelector"]["outcomes"], known)
        assert [outcome["name"] for outcome in outcomes] == travel


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ('{"errorMessage": "Task timed out after 900.00 seconds"}', "Task timed out after 900.00 seconds"),
        ("Rate exceeded", "Rate exceeded"),
        ("", ""),
        (json.dumps({"errorMessage": "long " * 5000}), ("long " * 24)),
    ],
)
def test_a_batch_whose_function_failed_says_which_it_was_and_why(cause: str, why: str) -> None:
    failed = STATES["RunCommand"]["ItemProcessor"]["States"]["BatchFailed"]["Output"]
    states = {"input": {"at": 7, "error": {"Error": "Sandbox.Timedout", "Cause": cause}}}

    assert value_of(failed, {"states": states}) == {"at": 7, "error": "Sandbox.Timedout", "why": why}


@pytest.mark.parametrize("failed", [False, True])
def test_what_the_most_batches_leave_behind_fits_into_what_a_state_may_take(failed: bool) -> None:
    found = dict(STATES["RunCommandEverywhere"]["ItemProcessor"]["States"])
    if failed:
        output = found["FarBatchFailed"]["Output"]
        cause = json.dumps({"errorMessage": "w" * 5000})
        state: dict[str, Any] = {
            "input": {
                "at": MAX_BATCHES,
                "error": {"Error": "Lambda.TooManyRequestsException", "Cause": cause},
            }
        }
    else:
        output = found["RunFarBatch"]["Output"]
        key = f"commands/{'e' * 80}/{'s' * 64}/results/{'0' * 16}.json"
        state = {
            "result": {"Payload": {"results_ref": {"key": key}, "results": ["x" * 20_000], "counts": {}}}
        }
    left = [value_of(output, {"states": state})] * MAX_BATCHES
    known = variables(
        step("a", script="x" * MAX_PLAN_BYTES),
        run={"execution_arn": "a" * 256},
        batches={"results": left},
        found={"batches": [], "batches_ref": {"key": "k" * 255}},
    )

    arguments = value_of(STATES["SummarizeCommand"]["Arguments"], known)

    assert json_bytes(arguments) < 256 * 1024


def test_the_nodes_listed_are_bounded() -> None:
    many = [{"name": f"{number}/app"} for number in range(300)]
    known = variables(
        step("nodes", "find_nodes"), found={"count": 300, "nodes": many, "nodes_ref": {"key": "k"}}
    )

    (outcome,) = assigned("ListNodes", known)["outcomes"]

    assert outcome["summary"] == "300 containers found"
    assert len(outcome["data"]["nodes"]) == 10
    assert outcome["evidence"] == [{"key": "k"}]


def test_a_list_of_nodes_with_the_longest_names_keeps_to_the_budget_of_an_outcome() -> None:
    longest = "n" * 255
    node = {
        "name": f"{'f' * 32}/{longest}",
        "cluster_arn": f"arn:aws:ecs:ap-southeast-2:123456789012:cluster/{longest}",
        "task_arn": f"arn:aws:ecs:ap-southeast-2:123456789012:task/{longest}/{'f' * 32}",
        "region": "ap-southeast-2",
        "assume_role_arn": f"arn:aws:iam::123456789012:role/taskmedic-{'r' * 54}",
        "container": longest,
        "account": "123456789012",
    }
    source = {"source": longest, "count": 0, "error": "e" * 300}
    known = variables(
        step("nodes", "find_nodes"),
        found={"count": 300, "nodes": [node] * 300, "sources": [source] * 90, "nodes_ref": {"key": longest}},
    )

    (outcome,) = assigned("ListNodes", known)["outcomes"]

    assert json_bytes(outcome) <= OUTCOME_BYTES


@pytest.mark.parametrize("state", ["Report", "ReportProgress", "KeepReport"])
def test_the_report_of_the_longest_run_fits_into_what_a_state_may_take(state: str) -> None:
    """Eight outcomes, a plan and an incident as large as they may be; ECS's event does not travel along."""
    targets = [
        {"account": "1" * 12, "region": "r" * 14, "cluster": "c" * 255, "service": "s" * 255}
    ] * MAX_TARGETS
    trigger = {"kind": "pagerduty", "incident": {"id": "Q1", "title": "t" * 1024}, "targets": targets}
    known = variables(
        accepted={
            "trigger": {**trigger, "task_detail": {"large": "d" * 100_000}},
            "plan": {"steps": [step("a", script="x" * MAX_PLAN_BYTES)]},
        },
        failure={"Error": "X", "Cause": "c" * 2000},
        run={"execution_arn": "a" * 256},
    )
    known["outcomes"] = [{"name": f"s{n}", "data": "x" * OUTCOME_BYTES} for n in range(MAX_STEPS)]

    arguments = value_of(STATES[state]["Arguments"], known)

    assert json_bytes(arguments) < 256 * 1024


@pytest.mark.parametrize("state", ["StopTask", "CheckStopped", "PlanStop"])
def test_a_stop_of_the_most_tasks_with_the_longest_names_fits_too(state: str) -> None:
    longest = "n" * 255
    task = {
        "cluster_arn": f"arn:aws:ecs:ap-southeast-2:123456789012:cluster/{longest}",
        "task_arn": f"arn:aws:ecs:ap-southeast-2:123456789012:task/{longest}/{'f' * 32}",
        "region": "ap-southeast-2",
        "assume_role_arn": f"arn:aws:iam::123456789012:role/taskmedic-{'r' * 54}",
        "service": longest,
    }
    known = variables(
        step("s0", "stop_task", task="", reason="${steps.s0.summary}"),
        at=0,
        accepted={"trigger": {"kind": "task_stopped", "task_detail": {"large": "d" * 100_000}}},
        found={"stop_tasks": [task] * STOP_TASKS_SHOWN},
        stop={"state": {"stops": [{**task, "was_stopped": False}] * 50}},
        run={"execution_arn": "a" * 256},
    )
    known["outcomes"] = [{"name": f"s{n}", "data": "x" * OUTCOME_BYTES} for n in range(MAX_STEPS - 1)]

    arguments = value_of(STATES[state]["Arguments"], known)

    assert json_bytes(arguments) < 256 * 1024
    assert [outcome["name"] for outcome in arguments["Payload"]["outcomes"]] == ["s0"]


def test_an_error_in_an_outcome_is_bounded() -> None:
    (catch,) = STATES["StopTask"]["Catch"]
    error = {"Error": "X", "Cause": json.dumps({"errorMessage": "long " * 5000})}

    failure = value_of(catch["Assign"]["failure"], {"states": {"errorOutput": error}})

    assert len(failure["Cause"]) == 2000


def test_no_node_at_all_is_listed_as_none() -> None:
    known = variables(step("nodes", "find_nodes"), found={"nodes_ref": {"key": "k"}})

    (outcome,) = assigned("ListNodes", known)["outcomes"]

    assert outcome["data"] == {"count": 0, "nodes": [], "sources": []}


def test_the_output_is_of_one_shape_and_does_not_repeat_the_event() -> None:
    output = value_of(
        STATES["Done"]["Output"], variables(step("a"), outcomes=("succeeded",), report={"channels": []})
    )

    assert list(output) == ["decision", "reason", "runbook", "trigger", "steps", "report"]
    assert "task_detail" not in output["trigger"]
    assert output["steps"] == [{"name": "s0", "outcome": "succeeded"}]


CATCHING = sorted(name for name, state in STATES.items() if "failure" in str(state.get("Catch")))


@pytest.mark.parametrize("name", CATCHING)
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            {"Error": "Throttled", "Cause": '{"errorMessage": "too many calls", "errorType": "Throttled"}'},
            "too many calls",
        ),
        ({"Error": "States.DataLimitExceeded", "Cause": "too large"}, "too large"),
        ({"Error": "States.Timeout"}, ""),
        ({"Error": "X", "Cause": '{"other": 1}'}, ""),
    ],
)
def test_every_error_is_understood_also_one_without_a_cause(
    name: str, error: dict[str, str], cause: str
) -> None:
    (catch,) = STATES[name]["Catch"]

    failure = value_of(catch["Assign"]["failure"], {"states": {"errorOutput": error}})

    assert failure == {"Error": error["Error"], "Cause": cause}


def test_a_queue_takes_no_empty_attribute() -> None:
    attributes = STATES["KeepInput"]["Arguments"]["MessageAttributes"]

    kept = value_of(attributes, variables(failure={"Error": "States.Timeout", "Cause": ""}))

    assert kept["ERROR_MESSAGE"]["StringValue"] == "States.Timeout"
