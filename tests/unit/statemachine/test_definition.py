"""Rules that every state machine's file obeys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonata
import pytest
import yaml
from statelint.config import Config
from statelint.linter import Linter

from taskmedic.domain import errors

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))
# The names of AWS's own errors: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
OF_AWS = re.compile(r"(States|Lambda|Runtime|Sandbox|SQS)\.\w+")
# statelint 3.1 knows neither JSONata in these two fields nor the only way to read items from S3. AWS does:
# https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html and state-map-distributed.html.
NOT_KNOWN_TO_STATELINT = re.compile(
    r'(MaxConcurrency is "{% .* %}" but should be numeric'
    r'|Seconds is "{% .* %}" but should be an Integer'
    r'|Field "InputType" not allowed in .*\.ItemReader\.ReaderConfig)$'
)

SAFE_TO_REPEAT = {"AcceptTrigger", "StopTask", "CheckStopped"}


def read(file: Path) -> dict[str, Any]:
    definition: dict[str, Any] = yaml.safe_load(file.read_text())
    return definition


def states(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)


every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def test_there_is_one_state_machine() -> None:
    assert [file.name for file in FILES] == ["remediation.asl.yaml"]


@every_file
def test_statelint_finds_nothing(file: Path) -> None:
    found = Linter.validate(file.read_text(), Config(None, True, False))

    assert [finding for finding in found if not NOT_KNOWN_TO_STATELINT.search(str(finding))] == []


@every_file
def test_the_file_is_jsonata_and_has_a_time_out(file: Path) -> None:
    definition = read(file)

    assert definition["QueryLanguage"] == "JSONata"
    assert definition["TimeoutSeconds"] <= 6 * 3600


@every_file
def test_every_expression_parses(file: Path) -> None:
    for text in texts(read(file)):
        if text.startswith("{%"):
            assert text.endswith("%}"), text
            jsonata.Jsonata(text[2:-2])
        else:
            assert "{%" not in text, text


@every_file
def test_every_task_has_a_time_out(file: Path) -> None:
    for name, state in states(read(file)):
        if state["Type"] == "Task":
            assert state.get("TimeoutSeconds"), name


@every_file
def test_states_all_stands_alone_and_last(file: Path) -> None:
    for name, state in states(read(file)):
        for clauses in (state.get("Retry", []), state.get("Catch", [])):
            lists = [clause["ErrorEquals"] for clause in clauses]
            for position, names in enumerate(lists):
                if "States.ALL" in names:
                    assert names == ["States.ALL"], name
                    assert position == len(lists) - 1, name


@every_file
def test_every_retry_has_full_jitter_and_an_end(file: Path) -> None:
    for name, state in states(read(file)):
        for retry in state.get("Retry", []):
            assert retry["JitterStrategy"] == "FULL", name
            assert retry["MaxAttempts"] <= 10, name


@every_file
def test_failed_tasks_in_general_are_never_retried(file: Path) -> None:
    """They may have had their effect. A trigger is claimed, so deciding on it may be asked for again, and so
    may the stop of a task that is named.
    """
    for name, state in states(read(file)):
        for retry in state.get("Retry", []):
            in_general = {"States.ALL", "States.TaskFailed", "States.Timeout"} & set(retry["ErrorEquals"])
            assert in_general == ({"States.Timeout"} & in_general if name in SAFE_TO_REPEAT else set()), name


@pytest.mark.parametrize("state", sorted(SAFE_TO_REPEAT))
def test_what_may_be_repeated_is_tried_again_when_its_function_runs_out_of_time(state: str) -> None:
    retried = {error for retry in read(FILES[0])["States"][state]["Retry"] for error in retry["ErrorEquals"]}

    assert {"Sandbox.Timedout", "States.Timeout"} <= retried


@every_file
def test_a_command_is_retried_only_when_it_surely_did_not_start(file: Path) -> None:
    retried = {
        error
        for name, state in states(read(file))
        if name in {"RunBatch", "RunFarBatch"}
        for retry in state.get("Retry", [])
        for error in retry["ErrorEquals"]
    }

    assert retried == {"Lambda.TooManyRequestsException"}


@every_file
def test_the_session_token_of_execute_command_never_enters_a_history(file: Path) -> None:
    assert "executeCommand" not in file.read_text()


@every_file
def test_both_maps_treat_a_batch_alike(file: Path) -> None:
    """They differ in where batches come from, and in nothing else."""
    found = dict(states(read(file)))

    assert found["RunCommand"]["ItemSelector"] == found["RunCommandEverywhere"]["ItemSelector"]
    assert found["BatchFailed"]["Output"] == found["FarBatchFailed"]["Output"]
    near, far = (dict(found[name]) for name in ("RunBatch", "RunFarBatch"))
    for state in (near, far):
        del state["Catch"][0]["Next"]
    assert near == far


def test_report_is_reached_from_every_state_after_acceptance() -> None:
    found = read(FILES[0])["States"]
    ends = {"Refused", "Done"}
    before = {"AcceptTrigger", "NotAccepted", "KeepInput", "Decide"} | ends

    def next_of(state: dict[str, Any]) -> set[str]:
        rules = [*state.get("Choices", []), *state.get("Catch", [])]
        return {rule["Next"] for rule in rules} | ({state.get("Next"), state.get("Default")} - {None})

    for name in found.keys() - before - {"Report", "KeepReport"}:
        assert "Done" not in next_of(found[name]), f"{name} goes past Report"
        assert found[name]["Type"] in {"Pass", "Choice", "Wait"} or found[name].get("Catch"), (
            f"{name} catches nothing"
        )
    assert next_of(found["Report"]) == {"Done", "KeepReport"}


# Errors by name, both ways

FUNCTIONS = {
    "AcceptTriggerFunctionArn": "accept_trigger",
    "FindNodesFunctionArn": "find_nodes",
    "CollectStoppedTasksFunctionArn": "collect_stopped_tasks",
    "RunCommandFunctionArn": "run_command",
    "StopTaskFunctionArn": "stop_task",
    "ReportFunctionArn": "report",
}


def named(state: dict[str, Any]) -> set[str]:
    clauses = [*state.get("Retry", []), *state.get("Catch", [])]
    return {name for clause in clauses for name in clause["ErrorEquals"]}


@cache
def raised_by(step: str) -> set[str]:
    """Names of our errors in all modules that ``steps/<step>.py`` imports, directly or not."""
    seen: set[Path] = set()
    waiting = [ROOT / "layers/core/taskmedic/steps" / f"{step}.py"]
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        tree = ast.parse(path.read_text())
        found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taskmedic"):
                base = ROOT / "layers/core" / str(node.module).replace(".", "/")
                waiting += [base.with_suffix(".py"), base / "__init__.py"]
                waiting += [base / f"{alias.name}.py" for alias in node.names]
    return found & vars(errors).keys()


@every_file
def test_every_error_named_exists_and_is_raised_by_that_function(file: Path) -> None:
    for name, state in states(read(file)):
        ours = {error for error in named(state) if not OF_AWS.fullmatch(error)}
        assert ours <= vars(errors).keys(), name
        if ours:
            argument = state["Arguments"]["FunctionName"].strip("${}")
            assert ours <= raised_by(FUNCTIONS[argument]), name


@every_file
def test_every_transient_error_of_a_function_is_retried_where_it_is_called(file: Path) -> None:
    """The other way round. A command is the exception: it must not be sent twice."""
    transient = {"Throttled", "PagerDutyUnavailable"}
    for name, state in states(read(file)):
        function = (state.get("Arguments") or {}).get("FunctionName", "").strip("${}")
        if function and name not in {"RunBatch", "RunFarBatch", "ReportProgress"}:
            retried = {error for retry in state["Retry"] for error in retry["ErrorEquals"]}
            wanted = transient & raised_by(FUNCTIONS[function])
            assert wanted <= retried, f"{name} does not retry {wanted - retried}"
