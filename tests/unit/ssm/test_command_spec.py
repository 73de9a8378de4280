"""What is refused before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from taskmedic.domain.command import (
    MAX_SCRIPT_BYTES,
    CommandResult,
    CommandSpec,
    DataKey,
    Outcome,
    StreamSession,
)
from taskmedic.domain.errors import CommandInvalid


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "nothing to run"),
        ({"script": " \n\t\n"}, "nothing to run"),
        ({"script": "# only\n  # a comment"}, "nothing to run"),
        ({"script": "# echo\u2028still the comment"}, "nothing to run"),
        ({"script": "echo {{ssm:secret}}"}, r"\{\{ssm:secret\}\}"),
        ({"script": "echo {{ ssm:/a/b.c-d:3 }}"}, "ssm:/a/b"),
        ({"argv": ("echo", "{{ssm:x}}"), "shell": False}, "ssm:x"),
        ({"script": "echo \0"}, "NUL"),
        ({"script": "echo \ud800"}, "not text"),
        ({"script": "x" * (MAX_SCRIPT_BYTES + 1)}, "128001 bytes"),
        ({"script": "x", "argv": ("x",)}, "both"),
        ({"script": "x", "shell": False}, "needs a shell"),
        ({"argv": ("", "x")}, "name is empty"),
        ({"script": "x", "timeout_s": 0}, "timeout of 0 s"),
        ({"script": "x", "timeout_s": math.nan}, "timeout of nan"),
        ({"script": "x", "timeout_s": math.inf}, "timeout of inf"),
        ({"script": "x", "max_output_bytes": 0}, "max_output_bytes"),
    ],
)
def test_a_command_that_cannot_be_delivered_is_refused(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandInvalid, match=says):
        CommandSpec(**spec)


@pytest.mark.parametrize(
    "script",
    ["x", "x" * MAX_SCRIPT_BYTES, "# comment\necho", "echo {{x}}", "echo {{ssm: x}}", "echo {ssm:x}"],
)
def test_what_can_be_delivered_is_taken(script: str) -> None:
    assert CommandSpec(script=script).text == script


def test_a_program_with_its_arguments_becomes_a_script_of_quoted_words() -> None:
    assert CommandSpec(argv=("echo", "a b", "$x", "#c")).text == "'echo' 'a b' '$x' '#c'"


def test_secrets_have_no_repr() -> None:
    shown = repr(StreamSession("id", "wss://secret-url", "secret-token", "ecs:x")) + repr(
        DataKey(b"secret", b"secret")
    )

    assert "secret" not in shown
    assert "id" in shown


def test_a_results_output_says_what_is_left_out() -> None:
    whole = CommandResult(outcome=Outcome.EXITED, head=b"ab", tail=b"cd", total_bytes=4)
    cut = CommandResult(outcome=Outcome.EXITED, head=b"ab\xc3", tail=b"cd", total_bytes=1005)

    assert (whole.truncated, whole.output) == (False, "abcd")
    assert cut.truncated
    assert cut.output == "ab\ufffd\n[… 1000 bytes left out …]\ncd"


@pytest.mark.parametrize(
    ("outcome", "code", "succeeded"),
    [(Outcome.EXITED, 0, True), (Outcome.EXITED, 1, False), (Outcome.TIMED_OUT, None, False)],
)
def test_only_status_0_is_success(outcome: Outcome, code: int | None, succeeded: bool) -> None:
    assert CommandResult(outcome=outcome, exit_code=code).succeeded is succeeded
