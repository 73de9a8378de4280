"""The command as a person meets it: help, errors in words, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskmedic.domain.errors import (
    AccessDenied,
    AwsError,
    InputError,
    NodeNotFound,
    OptionInvalid,
    TaskmedicError,
)
from taskmedic_cli import executions, main
from taskmedic_cli.commands.runbook import parse_options
from taskmedic_cli.commands.send import read_trigger

ROOT = Path(__file__).resolve().parents[3]


def test_help_lists_every_command_of_the_design() -> None:
    shown = CliRunner().invoke(main.cli, ["--help"])
    assert shown.exit_code == 0
    for command in (
        "demo",
        "local",
        "send",
        "nodes",
        "run",
        "check",
        "stopped",
        "explain",
        "stop",
        "runbook",
    ):
        assert f"\n  {command} " in shown.output


def test_help_imports_no_command() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from taskmedic_cli.main import cli;"
        "CliRunner().invoke(cli, ['--help']);"
        "print([name for name in sys.modules if 'commands' in name or name == 'boto3'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_each_command_is_there_under_its_name() -> None:
    # In a process of its own: the demo's module brings the local cloud with it.
    script = (
        "from click.testing import CliRunner; from taskmedic_cli.main import COMMANDS, cli;"
        "print([name for name in COMMANDS if CliRunner().invoke(cli, [name, '--help']).exit_code])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NodeNotFound("no container matches"), 1),
        (OptionInvalid("option pid is no number"), 2),
        (AccessDenied("cannot list tasks"), 3),
    ],
)
def test_an_error_of_ours_is_its_text_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: TaskmedicError, code: int
) -> None:
    def failing(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "cli", failing)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"taskmedic: {error}\n"


@pytest.mark.parametrize("words", [["runbook", "list"], ["runbook", "show", "diagnose", "--json"]])
def test_a_full_disk_behind_the_output_is_an_error_in_one_line(words: list[str]) -> None:
    script = "from taskmedic_cli.main import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 1
    assert done.stderr == "taskmedic: cannot read or write: No space left on device\n"


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    error = AwsError("cannot list the tasks", where="prod", why="no such host.", remedy="Check the region.")
    assert str(error) == "cannot list the tasks (prod): no such host. Check the region."


@pytest.mark.parametrize("pair", ["cluster", "=prod"])
def test_an_option_without_name_and_value_is_refused(pair: str) -> None:
    with pytest.raises(InputError, match="is no NAME=VALUE"):
        parse_options((pair,))


def test_an_options_value_may_hold_equal_signs_and_may_be_empty() -> None:
    assert parse_options(("script=a=b", "pid=")) == {"script": "a=b", "pid": ""}


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="--option a is given twice"):
        parse_options(("a=1", "a=2"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "is no JSON"), ("[1]", "holds no JSON object"), (b"\xff\xfe", "is no JSON")],
)
def test_a_trigger_file_that_is_no_json_object_is_refused(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    path = tmp_path / "trigger.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=complaint):
        read_trigger(str(path))


def test_a_trigger_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*gone\.json: No such file"):
        read_trigger(str(tmp_path / "gone.json"))


def test_an_execution_whose_step_failed_has_not_succeeded() -> None:
    output = json.loads('{"steps": [{"outcome": "succeeded"}, {"outcome": "failed"}]}')
    assert not executions.succeeded(executions.Execution("arn", "SUCCEEDED", output))
    assert executions.succeeded(executions.Execution("arn", "SUCCEEDED", {"steps": []}))
    assert not executions.succeeded(executions.Execution("arn", "FAILED"))


def test_polling_stops_at_the_first_true_answer_and_gives_up_in_time() -> None:
    answers = iter([None, None, "there"])
    assert executions.poll(lambda: next(answers), seconds=5) == "there"
    assert executions.poll(lambda: None, seconds=0) is None
