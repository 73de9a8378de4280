"""The command step of a runbook, through the state machine, the function and the local gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def command_step(run: Run) -> Callable[..., dict[str, Any]]:
    """The outcome of the runbook ``run-command`` for these options."""

    def outcome(**options: str) -> dict[str, Any]:
        described = run({"runbook": "run-command", "options": options})
        (step,) = [s for s in json.loads(described["output"])["steps"] if s["type"] == "command"]
        assert isinstance(step, dict)
        return step

    return outcome


def test_output_and_status_of_each_container_are_in_the_steps_outcome(
    command_step: Callable[..., dict[str, Any]], aws: Callable[[str], Any]
) -> None:
    step = command_step(cluster="prod", service="checkout", command="echo $((40+2)); test -e /")

    assert step["outcome"] == "succeeded"
    assert step["summary"] == "4 of 4 nodes exited 0"
    assert {row["head"] for row in step["data"]["results"]} == {"42\n"}
    output = step["data"]["results"][0]["output"]
    stored = aws("s3").get_object(Bucket=output["bucket"], Key=output["key"])["Body"].read()
    assert stored == b"42\n"


def test_a_failed_command_fails_the_step_and_says_where(command_step: Callable[..., dict[str, Any]]) -> None:
    step = command_step(cluster="batch", command="exit 3")

    assert step["outcome"] == "failed"
    assert step["summary"] == "0 of 1 nodes exited 0; 1 x exit 3"
