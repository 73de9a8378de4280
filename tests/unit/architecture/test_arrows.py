"""The rooms of the house: who may import whom, and how much."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CORE = ROOT / "layers/core/taskmedic"
# Which rooms a room may import, beside itself. aws opens sessions and hands them to ssm, which has not
# heard of it.
ARROWS = {
    "domain": set[str](),
    "aws": {"domain", "ssm"},
    "ssm": {"domain"},
    "pagerduty": {"domain"},
    "settings": {"domain"},
    "steps": {"domain", "aws", "ssm", "pagerduty", "settings"},
}
MODULES = sorted(CORE.rglob("*.py"))
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(CORE)))


def imports(path: Path) -> Iterator[str]:
    """The modules a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def of(path: Path, *packages: str) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] in packages}


@every_module
def test_arrows_point_one_way(module: Path) -> None:
    used = {name.split(".")[1] for name in of(module, "taskmedic")}

    assert used <= ARROWS.get(room(module), set()) | {room(module)}


@every_module
def test_only_aws_knows_boto3(module: Path) -> None:
    found = of(module, "boto3", "botocore")
    # receive_webhook tells "already started" from a failure by botocore's own exception.
    allowed = {"botocore.exceptions.ClientError"} if room(module) == "steps" else set()

    assert room(module) == "aws" or found <= allowed


@every_module
def test_the_domain_knows_no_clock_no_network_and_no_environment(module: Path) -> None:
    if room(module) == "domain":
        assert (
            of(module, "os", "socket", "urllib3", "asyncio", "time", "requests", "aws_lambda_powertools")
            == set()
        )
        text = module.read_text()
        assert "datetime.now" not in text
        assert "utcnow" not in text


@every_module
def test_pydantic_is_used_only_where_input_comes_from_outside(module: Path) -> None:
    place = str(module.relative_to(CORE))

    if of(module, "pydantic"):
        assert place.startswith("domain/runbooks/") or place == "domain/triggers.py"


@every_module
def test_the_product_does_not_know_the_local_cloud_or_the_command_line(module: Path) -> None:
    assert of(module, "taskmedic_local", "taskmedic_cli", "moto") == set()


HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))
every_handler = pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)


@every_handler
def test_a_handler_wires_and_calls_and_is_short(handler: Path) -> None:
    tree = ast.parse(handler.read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    first = min(decorator.lineno for decorator in function.decorator_list)

    assert (function.end_lineno or 0) - first < 15
    others = [
        node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
    ]
    assert [type(node).__name__ for node in others] == ["Expr", "Assign", "Assign"]
    assert len([line for line in handler.read_text().splitlines() if line.strip()]) <= 15


@every_handler
def test_a_handler_has_logger_tracer_and_metrics_and_keeps_data_out_of_them(handler: Path) -> None:
    text = handler.read_text()

    assert "@logger.inject_lambda_context\n" in text
    assert "@tracer.capture_lambda_handler(capture_response=False)" in text
    assert "@metrics.log_metrics" in text
    assert (
        'Tracer(patch_modules=["botocore"])' in text
    )  # patching http would trace the URL of a Slack webhook


@every_handler
def test_a_handler_calls_the_step_of_its_name(handler: Path) -> None:
    name = handler.parent.name

    assert f"taskmedic.steps.{name}" in set(imports(handler))
    assert f"{name}.run(" in handler.read_text()


# What costs import time and is not needed by every function.
HEAVY = (
    "pydantic",
    "yaml",
    "re2",
    "cryptography",
    "websockets",
    "moto",
    "rich",
    "click",
    "concurrent.futures.process",
)


def imported_by(statement: str) -> set[str]:
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "AWS_DEFAULT_REGION": "us-east-1"},
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("step", "heavy"),
    [
        ("collect_stopped_tasks", set[str]()),
        ("receive_webhook", set[str]()),
        ("report", set[str]()),
        ("stop_task", set[str]()),
        ("find_nodes", {"re2"}),
        ("run_command", {"re2", "websockets"}),
        ("accept_trigger", {"pydantic", "re2", "yaml"}),
    ],
)
def test_a_step_imports_no_heavy_library_it_does_not_need(step: str, heavy: set[str]) -> None:
    assert imported_by(f"from taskmedic.steps import {step}") & set(HEAVY) <= heavy


@pytest.mark.parametrize("path", sorted((ROOT / "events").rglob("*.json")), ids=lambda path: path.name)
def test_every_file_in_events_parses(path: Path) -> None:
    assert isinstance(json.loads(path.read_text()), dict)


def test_modules_are_of_one_subject() -> None:
    long = {
        str(path.relative_to(CORE)): n for path in MODULES if (n := len(path.read_text().splitlines())) > 400
    }

    assert long == {}
