"""The command step of a runbook, through the state machine, the function and the local gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskmedic_local.cloud import LocalCloud

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


def test_the_result_of_a_command_that_had_ended_outlives_its_function(
    cloud: LocalCloud, aws: Callable[[str], Any], wait_for: Callable[..., Any], tmp_path: Path
) -> None:
    """One after the other: the first container's command ends at once, the function dies in the second's."""
    script = f"echo hello; mkdir {tmp_path}/first || sleep 30"
    options = {"cluster": "prod", "service": "search", "command": script}
    arn = aws("stepfunctions").start_execution(
        stateMachineArn=cloud.info["state_machines"]["remediation"],
        input=json.dumps({"runbook": "run-command", "options": options}),
    )["executionArn"]
    (bucket,) = [each["Name"] for each in aws("s3").list_buckets()["Buckets"] if "evidence" in each["Name"]]
    prefix = f"commands/{arn.rpartition(':')[2]}/"

    def results() -> list[str]:
        listed = aws("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in listed if item["Key"].endswith("/app.json")]

    wait_for(results)
    cloud.lambdas.abandon_calls()
    cloud.executions.wait(arn, 30)

    output = json.loads(aws("stepfunctions").describe_execution(executionArn=arn)["output"])
    (step,) = [each for each in output["steps"] if each["type"] == "command"]
    assert step["summary"] == "1 of 2 nodes exited 0; 1 x connection_lost"
    lost, ended = step["data"]["results"]
    assert "may have run" in lost["remedy"]
    assert ended["head"] == "hello\n"
