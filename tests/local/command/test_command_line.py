"""``taskmedic run`` and ``taskmedic check`` as a person or a script meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskmedic_local.cloud import LocalCloud

Taskmedic = Callable[..., subprocess.CompletedProcess[str]]
ONE = ("--cluster", "batch")
PROGRAM = Path(sys.executable).with_name("taskmedic")


@pytest.fixture
def environment(cloud: LocalCloud) -> dict[str, str]:
    return {**os.environ, "AWS_ENDPOINT_URL": cloud.endpoint}


@pytest.fixture
def taskmedic(environment: dict[str, str]) -> Taskmedic:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    return call


def test_one_word_is_a_script_for_the_containers_shell(taskmedic: Taskmedic) -> None:
    done = taskmedic("run", *ONE, "--", "echo $((40+2)) | tr 4 5")

    assert (done.returncode, done.stdout, done.stderr) == (0, "52\n", "")


def test_several_words_are_a_program_and_its_arguments(taskmedic: Taskmedic) -> None:
    done = taskmedic("run", *ONE, "--", "echo", "$HOME", "a  b", "--json")

    assert (done.returncode, done.stdout) == (0, "$HOME a  b --json\n")


def test_the_first_of_several_words_is_a_program_and_no_assignment(taskmedic: Taskmedic) -> None:
    done = taskmedic("run", *ONE, "--", "FOO=bar", "printenv", "FOO")

    assert "bar\n" not in done.stdout.splitlines(keepends=True)
    assert "FOO=bar: not found" in done.stdout
    assert "/report: exit 127" in done.stderr


def test_a_failed_command_is_exit_code_1_and_says_what_its_own_was(taskmedic: Taskmedic) -> None:
    done = taskmedic("run", *ONE, "--", "echo hi; exit 3")

    assert (done.returncode, done.stdout) == (1, "hi\n")
    assert "/report: exit 3" in done.stderr


def test_json_is_one_array_on_stdout(taskmedic: Taskmedic) -> None:
    done = taskmedic("run", "--cluster", "prod", "--threads", "6", "--json", "--", "echo hi")

    rows = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(rows) == 6
    assert {(row["outcome"], row["exit_code"], row["stdout"], row["truncated"]) for row in rows} == {
        ("exited", 0, "hi\n", False)
    }
    assert {"node", "outcome", "exit_code", "stdout", "truncated", "reason", "duration_s"} <= rows[0].keys()


def test_many_containers_each_under_its_heading_and_progress_on_stderr(taskmedic: Taskmedic) -> None:
    done = taskmedic(
        "run", "--cluster", "prod", "--service", "checkout", "--keep-going", "--", "echo hi; exit 1"
    )

    assert done.returncode == 1
    headings = [line for line in done.stdout.splitlines() if line.startswith("==> ")]
    assert len(headings) == 4
    assert all(line.endswith(": exit 1 <==") for line in headings)
    assert "4/4 " in done.stderr
    assert done.stderr.endswith("taskmedic: 0 of 4 nodes exited 0; 4 x exit 1\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("run", *ONE, "--", "# nothing"), 2, "there is nothing to run"),
        (("run", *ONE, "--", "echo {{ssm:/x}}"), 2, "{{ssm:/x}}"),
        (("run", *ONE), 2, "Missing argument 'COMMAND...'"),
        (("run", *ONE, "--timeout", "soon", "--", "true"), 2, "write a duration as 60s"),
        (("run", "--", "true"), 2, "names no cluster"),
        (("run", "--cluster", "nope", "--", "true"), 1, "cluster nope does not exist"),
        (("run", *ONE, "--container", "nope", "--", "true"), 1, "no running container matches"),
        (("run", *ONE, "--via", "ec2_host", "--no-shell", "--", "true"), 1, "Without a shell"),
        (("check", "--cluster", "nope"), 1, "cluster nope does not exist"),
    ],
)
def test_a_mistake_is_told_in_words(
    taskmedic: Taskmedic, words: tuple[str, ...], code: int, text: str
) -> None:
    done = taskmedic(*words)

    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_does_not_answer_is_exit_code_3(environment: dict[str, str]) -> None:
    nowhere = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    done = subprocess.run(
        [PROGRAM, "run", *ONE, "--", "true"],
        capture_output=True,
        text=True,
        env=nowhere,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def started(script: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """``taskmedic run`` of the script in one container, under way."""
    return subprocess.Popen(
        [PROGRAM, "run", *ONE, "--", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interruption_ends_the_command_in_the_container(
    environment: dict[str, str], taskmedic: Taskmedic, number: signal.Signals
) -> None:
    with started("echo $$ > pid; echo begun; exec sleep 300", environment) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "begun\n"
        running.send_signal(number)
        told = running.stderr.read()
        assert running.wait(20) == 1

    assert "interrupted after 0 of 1; ended 1 of 1 sessions\n" in told
    assert "Traceback" not in told
    gone = "for i in $(seq 100); do kill -0 $(cat pid) 2>/dev/null || exit 0; sleep 0.05; done; exit 1"
    assert taskmedic("run", *ONE, "--", gone).returncode == 0


def test_an_interruption_says_what_could_not_be_ended(cloud: LocalCloud, environment: dict[str, str]) -> None:
    refusal = {"code": "AccessDeniedException", "message": "no", "status": 400}
    fault = {"action": "error", "service": "ssm", "operation": "TerminateSession", "times": 1, **refusal}
    request = urllib.request.Request(
        f"{cloud.endpoint}/_local/faults", json.dumps(fault).encode(), method="POST"
    )
    urllib.request.urlopen(request).close()
    with started("echo $$; exec sleep 300", environment) as running:
        assert running.stdout
        assert running.stderr
        pid = int(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
        assert running.wait(20) == 1

    assert "interrupted after 0 of 1; ended 0 of 1 sessions\n" in told
    assert "/report: Its session could not be ended: " in told
    assert "Traceback" not in told
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "first_line"),
    [
        (f"{' '.join(ONE)} -- 'while :; do echo y; done'", "y\n"),
        ("--cluster prod --threads 3 --keep-going -- 'seq 50000'", "==> "),
    ],
    ids=["one container", "many"],
)
def test_a_reader_that_has_seen_enough_ends_the_commands(
    environment: dict[str, str], words: str, first_line: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{PROGRAM} run {words} | head -1"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
        check=False,
    )

    assert done.stdout.startswith(first_line)
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("taskmedic: nobody reads the output any more, after ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("flags", ["", "--json"])
def test_output_that_cannot_be_written_is_exit_code_1(environment: dict[str, str], flags: str) -> None:
    command = f"{PROGRAM} run {' '.join(ONE)} {flags} -- 'seq 3' > /dev/full"

    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, env=environment, timeout=30, check=False
    )

    assert done.returncode == 1
    assert "taskmedic: the output cannot be written (No space left on device), after " in done.stderr
    assert "Traceback" not in done.stderr


def test_check_says_ready(taskmedic: Taskmedic) -> None:
    done = taskmedic("check", "--cluster", "prod", "--service", "search", "--json")

    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == 0
    assert [row["ready"] for row in rows] == [True, True]
    assert {finding["status"] for row in rows for finding in row["findings"]} <= {"ok", "unknown"}


def test_check_asks_iam_what_the_task_role_may_do(aws: Callable[[str], Any], taskmedic: Taskmedic) -> None:
    (name,) = aws("iam").list_role_policies(RoleName="nightly-report-task")["PolicyNames"]
    allowed = taskmedic("check", *ONE, "-v")
    aws("iam").delete_role_policy(RoleName="nightly-report-task", PolicyName=name)

    denied = taskmedic("check", *ONE)

    assert allowed.returncode == 0
    assert "the task role may ssmmessages:CreateControlChannel" in allowed.stdout
    assert denied.returncode == 1
    assert "fail  task_role: arn:aws:iam::123456789012:role/nightly-report-task" in denied.stdout
    assert (
        "Allow the task role ssmmessages:CreateControlChannel, ssmmessages:CreateDataChannel" in denied.stdout
    )


def test_a_role_that_may_write_to_the_one_log_group_is_no_trouble(
    cloud: LocalCloud, aws: Callable[[str], Any], taskmedic: Taskmedic
) -> None:
    logs = {"logging": "OVERRIDE", "logConfiguration": {"cloudWatchLogGroupName": "/exec"}}
    cloud.world.cluster("batch").content["configuration"] = {"executeCommandConfiguration": logs}

    def granted(log_group: str) -> subprocess.CompletedProcess[str]:
        group = f"arn:aws:logs:us-east-1:123456789012:log-group:{log_group}:*"
        write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        statements = [
            {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
            {"Effect": "Allow", "Action": write, "Resource": group},
        ]
        aws("iam").put_role_policy(
            RoleName="nightly-report-task",
            PolicyName="session-log",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        return taskmedic("check", *ONE, "-v")

    assert "ok  exec_configuration: session log /exec: the task role may" in granted("/exec").stdout
    assert "warn  exec_configuration: session log /exec: the task role may not" in granted("/other").stdout


def test_check_says_what_to_change(cloud: LocalCloud, taskmedic: Taskmedic) -> None:
    (task,) = cloud.world.cluster("batch").tasks.values()
    task.exec_enabled = False

    done = taskmedic("check", *ONE)

    assert done.returncode == 1
    assert "not ready" in done.stdout
    assert "fail  exec_enabled: the task was started without ECS Exec" in done.stdout
    assert "--enable-execute-command" in done.stdout
    assert "0 of 1 containers ready" in done.stdout
