"""Commands by docker exec on the EC2 host: Run Command's states, its delays, and its limits."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from taskmedic.aws import host_command
from taskmedic.aws.clients import Access
from taskmedic.aws.host_command import HostRunner, host_script
from taskmedic.domain.command import CommandResult, CommandSpec, Outcome, why_left_open
from taskmedic.domain.errors import CommandInvalid
from taskmedic.domain.nodes import Node

NONCE = "0123456789abcdef" * 2
NODE = Node(
    "t1/app",
    {
        "ECS:Cluster-ARN": "arn:aws:ecs:us-east-1:123456789012:cluster/prod",
        "ECS:Container-Runtime-ID": "rt-1",
        "ECS:Container-Instance-ARN": "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/ci-1",
        "ECS:EC2-Instance-ID": "i-1",
        "region": "us-east-1",
    },
)
# Does what docker does, as far as the container's shell goes.
DOCKER = """#!/bin/sh
[ "$1" = exec ] || exit 1
if [ "$2" != rt-1 ]; then echo "Error response from daemon: No such container: $2" >&2; exit 1; fi
shift 2
exec setsid --wait "$@"  # docker gives each exec a session of its own
"""


def packed(output: str) -> str:
    return b64encode(gzip.compress(output.encode())).decode()


def ended(status: int, output: str = "", *, cut: bool = False, details: str = "Success") -> dict[str, str]:
    """GetCommandInvocation's answer to a command that ended so."""
    text = f"{NONCE}:start:\n{output}{NONCE}:{status}:\n"
    stdout = packed(text)
    return {
        "Status": "Success",
        "StatusDetails": details,
        "StandardOutputContent": stdout[: len(stdout) // 2].ljust(24_000, "A") if cut else stdout,
        "StandardErrorContent": text[-400:],
    }


def error(code: str, operation: str = "SendCommand", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


class FakeSsm:
    """Answers of GetCommandInvocation, one after the other; the last one again and again."""

    def __init__(self, *answers: Any, send: Exception | None = None) -> None:
        self.answers = list(answers)
        self.send = send
        self.sent: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.looked = 0
        self.asks_once = False

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        self.asks_once = not retry
        return self

    def send_command(self, **request: Any) -> Any:
        assert self.asks_once  # botocore must not send it again by itself
        self.sent.append(request)
        if self.send:
            raise self.send
        return {"Command": {"CommandId": "c-1"}}

    def get_command_invocation(self, **request: Any) -> Any:
        assert request == {"CommandId": "c-1", "InstanceId": "i-1"}
        self.looked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel_command(self, **request: Any) -> Any:
        self.cancelled.append(request["CommandId"])
        return {}

    def describe_container_instances(self, **request: Any) -> Any:
        return {"containerInstances": [{"ec2InstanceId": "i-1"}]}


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Run:
    """One command, its result and its output."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.output = b""

    def write(self, data: bytes) -> None:
        self.output += data

    async def __call__(
        self, ssm: FakeSsm, spec: CommandSpec | None = None, node: Node = NODE
    ) -> CommandResult:
        runner = HostRunner(ssm, self.executor, poll_s=(0.001, 0.002), new_nonce=lambda: NONCE)  # type: ignore[arg-type]
        return await runner.run(node, spec or CommandSpec(script="true"), self)


@pytest.fixture
def run(executor: Executor) -> Run:
    return Run(executor)


PENDING = {"Status": "Pending", "StatusDetails": "Pending"}
RUNNING = {"Status": "InProgress", "StatusDetails": "InProgress"}
NOT_YET = error("InvocationDoesNotExist", "GetCommandInvocation")


async def test_the_exit_code_comes_from_the_end_mark(run: Run) -> None:
    result = await run(FakeSsm(NOT_YET, NOT_YET, PENDING, RUNNING, ended(3, "hello\n")))

    assert (result.outcome, result.exit_code) == (Outcome.EXITED, 3)
    assert run.output == result.head == b"hello\n"


async def test_what_is_asked_of_run_command(run: Run) -> None:
    ssm = FakeSsm(ended(0))

    await run(ssm, CommandSpec(script="jstack 1", timeout_s=90))

    (request,) = ssm.sent
    assert request["InstanceIds"] == ["i-1"]
    assert request["DocumentName"] == "AWS-RunShellScript"
    assert request["TimeoutSeconds"] == 30
    assert request["Parameters"]["executionTimeout"] == ["100"]
    assert "{{" not in request["Parameters"]["commands"][0]


async def test_the_least_run_time_is_five_seconds(run: Run) -> None:
    ssm = FakeSsm(ended(0))

    await run(ssm, CommandSpec(script="true", timeout_s=1))

    assert int(ssm.sent[0]["Parameters"]["executionTimeout"][0]) >= 5


async def test_the_host_is_looked_up_where_the_node_does_not_say_it(run: Run) -> None:
    attributes = {key: value for key, value in NODE.attributes.items() if key != "ECS:EC2-Instance-ID"}

    result = await run(FakeSsm(ended(0)), node=Node("t1/app", attributes))

    assert result.succeeded


@pytest.mark.parametrize(
    ("details", "outcome", "may_have_run"),
    [
        ("DeliveryTimedOut", Outcome.NOT_REACHABLE, False),
        ("Delivery Timed Out", Outcome.NOT_REACHABLE, False),
        ("Undeliverable", Outcome.NOT_REACHABLE, False),
        ("ExecutionTimedOut", Outcome.TIMED_OUT, True),
        ("Cancelled", Outcome.COULD_NOT_START, True),
    ],
)
async def test_states_that_are_no_end(run: Run, details: str, outcome: Outcome, may_have_run: bool) -> None:
    result = await run(FakeSsm({"Status": "TimedOut", "StatusDetails": details}))

    assert (result.outcome, result.may_have_run) == (outcome, may_have_run)
    assert result.reason
    assert result.remedy


async def test_output_over_the_limit_is_told_with_the_status_and_what_there_is(run: Run) -> None:
    text = "\n".join(f"{number * 7919 % 100_003} line" for number in range(60_000))

    result = await run(FakeSsm(ended(0, text, cut=True)))

    assert result.outcome is Outcome.OUTPUT_INCOMPLETE
    assert "it ended with status 0" in result.reason
    assert run.output
    assert text.encode().startswith(run.output)


async def test_the_watchdogs_mark_is_a_time_out(run: Run) -> None:
    text = f"{NONCE}:start:\nworking\n{NONCE}:timeout:\n{NONCE}:143:\n"
    answer = {**ended(0), "StandardOutputContent": packed(text), "StandardErrorContent": text}

    result = await run(FakeSsm(answer))

    assert result.outcome is Outcome.TIMED_OUT
    assert "was ended in the container" in result.reason
    assert run.output == b"working\n"


async def test_a_time_out_of_the_host_alone_does_not_say_that_the_command_was_ended(run: Run) -> None:
    text = f"{NONCE}:start:\nworking\n"
    answer = {
        "Status": "TimedOut",
        "StatusDetails": "ExecutionTimedOut",
        "StandardOutputContent": packed(text),
    }

    result = await run(FakeSsm(answer))

    assert result.outcome is Outcome.TIMED_OUT
    assert "its end was not seen" in result.reason
    assert "may still run" in result.remedy


async def test_without_an_end_mark_nothing_is_claimed(run: Run) -> None:
    text = f"{NONCE}:start:\nhalf a"
    answer = {**ended(0), "StandardOutputContent": packed(text), "StandardErrorContent": text}

    result = await run(FakeSsm(answer))

    assert result.outcome is Outcome.OUTPUT_INCOMPLETE
    assert result.exit_code is None


async def test_a_missing_instance_is_not_reachable(run: Run) -> None:
    result = await run(FakeSsm(send=error("InvalidInstanceId")))

    assert result.outcome is Outcome.NOT_REACHABLE
    assert not result.may_have_run
    assert "AmazonSSMManagedInstanceCore" in result.remedy


@pytest.mark.parametrize(
    "failure", [error("InternalServerError", status=500), ReadTimeoutError(endpoint_url="x")]
)
async def test_a_lost_answer_is_never_asked_again(run: Run, failure: Exception) -> None:
    ssm = FakeSsm(send=failure)

    result = await run(ssm)

    assert result.outcome is Outcome.CONNECTION_LOST
    assert result.may_have_run
    assert len(ssm.sent) == 1


async def test_a_command_that_is_never_seen_is_cancelled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_command, "NOT_THERE_YET_S", 0.01)
    ssm = FakeSsm(NOT_YET)

    result = await run(ssm)

    assert result.outcome is Outcome.CONNECTION_LOST
    assert ssm.cancelled == ["c-1"]


async def test_a_command_without_an_end_is_cancelled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_command, "DELIVERY_S", -20)  # 0.01 s in all
    ssm = FakeSsm(RUNNING)

    result = await run(ssm, CommandSpec(script="true", timeout_s=0.01))

    assert result.outcome is Outcome.TIMED_OUT
    assert ssm.cancelled == ["c-1"]


async def test_cancelling_the_dispatch_cancels_the_command(run: Run) -> None:
    ssm = FakeSsm(RUNNING)
    task = asyncio.create_task(run(ssm))
    while not ssm.looked:  # noqa: ASYNC110 - the look is on another thread
        await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert ssm.cancelled == ["c-1"]
    assert "does not reach the container" in why_left_open(cancelled.value)


async def test_cancelling_while_the_command_is_sent_cancels_it_too(run: Run) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    class SlowSsm(FakeSsm):
        def send_command(self, **request: Any) -> Any:
            asked.set()
            may_answer.wait()
            return super().send_command(**request)

    ssm = SlowSsm(RUNNING)
    task = asyncio.create_task(run(ssm))
    await asyncio.to_thread(asked.wait)
    task.cancel()
    await asyncio.sleep(0)
    may_answer.set()

    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert ssm.cancelled == ["c-1"]
    assert "does not reach the container" in why_left_open(cancelled.value)
    assert ssm.looked == 0


async def test_a_refused_look_cancels_and_tells(run: Run) -> None:
    ssm = FakeSsm(error("AccessDeniedException", "GetCommandInvocation"))

    result = await run(ssm)

    assert result.outcome is Outcome.CONNECTION_LOST
    assert "GetCommandInvocation" in result.reason
    assert result.may_have_run
    assert ssm.cancelled == ["c-1"]


def test_a_script_too_long_for_run_command_is_refused_with_a_way_out() -> None:
    with pytest.raises(CommandInvalid, match="too long for SSM Run Command"):
        host_script(NODE, CommandSpec(script="x" * 60_000), NONCE)


# The script itself, run by this machine's shell against a stand-in for docker.


@pytest.fixture
def host(tmp_path: Path) -> Any:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)

    def execute(spec: CommandSpec, node: Node = NODE) -> dict[str, str]:
        done = subprocess.run(
            ["/bin/sh", "-c", host_script(node, spec, NONCE)],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        return {
            "Status": "Success" if done.returncode == 0 else "Failed",
            "StatusDetails": "Success" if done.returncode == 0 else "Failed",
            "StandardOutputContent": done.stdout.decode()[:24_000],
            "StandardErrorContent": done.stderr.decode()[:8_000],
        }

    return execute


@pytest.mark.parametrize(
    ("script", "output", "status"),
    [
        ("echo hi; exit 3", b"hi\n", 3),
        ("printf 'no newline'", b"no newline", 0),
        ("""echo "a'b" '$x' `echo c`""", b"a'b $x c\n", 0),
        ("echo out; echo err >&2", b"out\nerr\n", 0),
    ],
)
async def test_the_script_runs_as_it_was_given(
    run: Run, host: Any, script: str, output: bytes, status: int
) -> None:
    result = await run(FakeSsm(host(CommandSpec(script=script))))

    assert (result.outcome, result.exit_code) == (Outcome.EXITED, status)
    assert run.output == output


async def test_ten_times_the_limit_of_text_still_comes_whole(run: Run, host: Any) -> None:
    script = (
        'n=0; while [ $n -lt 6000 ]; do n=$((n+1)); echo "$n INFO request served in the usual time"; done'
    )

    result = await run(FakeSsm(host(CommandSpec(script=script))))

    assert result.succeeded
    assert len(run.output) > 240_000
    assert run.output.endswith(b"\n6000 INFO request served in the usual time\n")


async def test_noise_over_the_limit_says_that_it_is_not_whole(run: Run, host: Any) -> None:
    result = await run(FakeSsm(host(CommandSpec(script="head -c 60000 /dev/urandom | base64; exit 4"))))

    assert result.outcome is Outcome.OUTPUT_INCOMPLETE
    assert "it ended with status 4" in result.reason


async def test_a_command_over_its_time_is_ended_inside_the_container(run: Run, host: Any) -> None:
    result = await run(FakeSsm(host(CommandSpec(script="echo begun; sleep 60", timeout_s=1))))

    assert result.outcome is Outcome.TIMED_OUT
    assert run.output == b"begun\n"


async def test_a_container_that_is_gone_is_told_in_dockers_words(run: Run, host: Any) -> None:
    gone = Node("t1/app", {**NODE.attributes, "ECS:Container-Runtime-ID": "rt-9"})

    result = await run(FakeSsm(host(CommandSpec(script="true"), gone)))

    assert result.outcome is Outcome.COULD_NOT_START
    assert "No such container: rt-9" in result.reason
    assert not result.may_have_run


async def test_without_a_shell_the_status_is_not_known(run: Run, host: Any) -> None:
    result = await run(
        FakeSsm(host(CommandSpec(argv=("echo", "a b"), shell=False))),
        CommandSpec(argv=("echo", "a b"), shell=False),
    )

    assert result.outcome is Outcome.OUTPUT_INCOMPLETE
    assert run.output == b"a b\n"
