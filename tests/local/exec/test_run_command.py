"""Run Command on a container instance, and docker exec in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskmedic_local.cloud import LocalCloud
from taskmedic_local.ecs.model import Task
from taskmedic_local.exec.run_command import run_time_s


@pytest.fixture
def report(cloud: LocalCloud) -> Task:
    """The standalone task of ``batch``, on an EC2 instance."""
    return next(iter(cloud.world.cluster("batch").tasks.values()))


@pytest.fixture
def run_on_host(
    report: Task, aws: Callable[[str], Any], wait_for: Callable[..., Any]
) -> Callable[..., dict[str, Any]]:
    """Sends commands to the host; GetCommandInvocation's answer at their end."""

    def run_on(*commands: str, **parameters: str) -> dict[str, Any]:
        command_id = send(aws("ssm"), report, *commands, **parameters)
        return wait_for(lambda: ended(aws("ssm"), report, command_id))

    return run_on


def send(ssm: Any, report: Task, *commands: str, **parameters: str) -> str:
    assert report.instance is not None
    answer = ssm.send_command(
        InstanceIds=[report.instance.ec2_instance_id],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": list(commands), **{name: [value] for name, value in parameters.items()}},
    )
    return str(answer["Command"]["CommandId"])


def ended(ssm: Any, report: Task, command_id: str) -> dict[str, Any] | None:
    assert report.instance is not None
    try:
        shown: dict[str, Any] = ssm.get_command_invocation(
            CommandId=command_id, InstanceId=report.instance.ec2_instance_id
        )
    except ssm.exceptions.InvocationDoesNotExist:
        return None
    return shown if shown["Status"] in {"Success", "Failed", "TimedOut", "Cancelled"} else None


def docker_exec(report: Task, *words: str) -> str:
    return shlex.join(["docker", "exec", report.containers[0].runtime_id, *words])


def test_streams_are_apart_and_the_exit_code_is_real(run_on_host: Any) -> None:
    shown = run_on_host("echo out", "echo err >&2", "exit 3")
    assert (shown["Status"], shown["ResponseCode"]) == ("Failed", 3)
    assert (shown["StandardOutputContent"], shown["StandardErrorContent"]) == ("out\n", "err\n")


def test_docker_exec_runs_in_the_container(run_on_host: Any, report: Task) -> None:
    shown = run_on_host("exec " + docker_exec(report, "sh", "-c", "pwd; echo $AWS_EXECUTION_ENV; exit 4"))
    home, environment = shown["StandardOutputContent"].split()
    assert home.endswith(report.containers[0].runtime_id)
    assert environment == "AWS_ECS_EC2"
    assert shown["ResponseCode"] == 4


def test_docker_says_what_is_not_there(run_on_host: Any, report: Task) -> None:
    shown = run_on_host("exec docker exec 0123456789ab id")
    assert shown["ResponseCode"] == 1
    assert shown["StandardErrorContent"] == "Error response from daemon: No such container: 0123456789ab\n"
    shown = run_on_host("exec " + docker_exec(report, "no-such-program"))
    assert shown["ResponseCode"] == 127
    assert 'exec: "no-such-program": executable file not found in $PATH' in shown["StandardErrorContent"]


def test_output_is_cut_where_systems_manager_cuts_it(run_on_host: Any) -> None:
    shown = run_on_host("head -c 30000 /dev/zero | tr '\\0' o; head -c 9000 /dev/zero | tr '\\0' e >&2")
    assert shown["StandardOutputContent"] == "o" * 24_000
    assert shown["StandardErrorContent"] == "e" * 8_000


def test_the_list_shows_less(run_on_host: Any, aws: Callable[[str], Any]) -> None:
    shown = run_on_host("head -c 3000 /dev/zero | tr '\\0' o")
    (listed,) = aws("ssm").list_command_invocations(CommandId=shown["CommandId"], Details=True)[
        "CommandInvocations"
    ]
    (plugin,) = listed["CommandPlugins"]
    assert len(plugin["Output"]) == 2500
    assert plugin["Output"].endswith("---Output truncated---")


def test_a_command_that_runs_too_long(run_on_host: Any) -> None:
    shown = run_on_host("echo begun; sleep 60", executionTimeout="5")  # the shortest there is
    assert (shown["Status"], shown["StatusDetails"]) == ("TimedOut", "Execution Timed Out")
    assert shown["StandardOutputContent"] == "begun\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("172800", 172_800), ("4", 3600), ("172801", 3600), ("soon", 3600)]
)
def test_a_run_time_out_of_range_is_silently_an_hour(text: str, seconds: int) -> None:
    assert run_time_s({"executionTimeout": [text]}) == seconds


def test_a_command_is_cancelled(
    report: Task, aws: Callable[[str], Any], wait_for: Callable[..., Any]
) -> None:
    ssm = aws("ssm")
    command_id = send(ssm, report, "sleep 60")
    ssm.cancel_command(CommandId=command_id)
    shown = wait_for(lambda: ended(ssm, report, command_id))
    assert (shown["Status"], shown["StatusDetails"]) == ("Cancelled", "Cancelled")


def test_an_invocation_shows_late(report: Task, aws: Callable[[str], Any]) -> None:
    command_id = send(aws("ssm"), report, "true")
    assert report.instance is not None
    with pytest.raises(aws("ssm").exceptions.InvocationDoesNotExist):
        aws("ssm").get_command_invocation(CommandId=command_id, InstanceId=report.instance.ec2_instance_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"InstanceIds": ["i-00000000000000000"]}, "InvalidInstanceId"),
        ({"InstanceIds": []}, "InvalidInstanceId"),
        ({"DocumentName": "Other"}, "InvalidDocument"),
    ],
)
def test_what_is_refused(report: Task, aws: Callable[[str], Any], changes: dict[str, Any], code: str) -> None:
    assert report.instance is not None
    request = {
        "InstanceIds": [report.instance.ec2_instance_id],
        "DocumentName": "AWS-RunShellScript",
        "Parameters": {"commands": ["true"]},
        **changes,
    }
    with pytest.raises(ClientError) as refusal:
        aws("ssm").send_command(**request)
    assert refusal.value.response["Error"]["Code"] == code
