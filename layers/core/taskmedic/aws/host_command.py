"""Runs a command in a container by ``docker exec`` on its EC2 host, through SSM Run Command.

For tasks on EC2 without ECS Exec. It acts as root on the host, so it happens only where a runbook says so.

The command travels in the same wrapper as over ECS Exec, base64-encoded so that nothing on the way alters it.
Of standard output SSM keeps the first 24,000 characters: so it comes back compressed, and its end, with the
wrapper's last marks, comes a second time on standard error.

Sources: SSM API reference, SendCommand and GetCommandInvocation, and the SSM agent's own limits.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import shlex
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import NO_ANSWER, THROTTLING, no_answer_because, translated
from taskmedic.aws.exec import backing_off, made_once_begun
from taskmedic.aws.host_answer import read_answer
from taskmedic.domain import nodes
from taskmedic.domain.command import CommandResult, CommandSpec, Outcome, note_left_open
from taskmedic.domain.errors import (
    AwsRefused,
    CommandInvalid,
    CommandMayHaveRun,
    ExecAgentNotReady,
    TaskmedicError,
)
from taskmedic.domain.nodes import Node
from taskmedic.ssm.command import KILL_AFTER_S, prepare
from taskmedic.ssm.run import OutputSink

T = TypeVar("T")

MAX_PARAMETER_BYTES = 40_000  # of the script: a document with its parameters may have 64 KB
DELIVERY_S = 30  # the least that SendCommand takes for the time until the host's agent starts it
LEAST_RUN_S = 5  # the least executionTimeout; the agent makes an hour of anything less
NOT_THERE_YET_S = 15  # for how long GetCommandInvocation may say InvocationDoesNotExist
GOES_ON = "Cancelling does not reach the container: there it may run until its time is over."
TERMINAL = frozenset({"Success", "Cancelled", "TimedOut", "Failed"})
# docker exec's output compressed on stdout, and the last bytes of it as they are on stderr.
HOST_SCRIPT = (
    "{{ docker exec {container} {command} </dev/null 2>&1 | tee /dev/fd/3 | tail -c 400 >&2; }} 3>&1"
    " | gzip -c | base64 | tr -d '\\n'"
)


@dataclass(frozen=True)
class HostRunner:
    """Runs commands by SSM Run Command and ``docker exec``."""

    clients: Clients
    executor: Executor
    assume_role_arn: str = ""
    poll_s: tuple[float, float] = (1.0, 5.0)
    new_nonce: Callable[[], str] = lambda: secrets.token_hex(16)

    async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
        """Runs ``spec`` in the container ``node``, once, and says how it ended."""
        began = time.monotonic()
        call = _HostCall(self, node, spec)
        try:
            result = await call.result(sink)
        except CommandMayHaveRun as error:
            result = CommandResult(
                outcome=Outcome.CONNECTION_LOST, reason=error.reason(), remedy=error.remedy
            )
        except TaskmedicError as error:
            result = CommandResult(
                outcome=Outcome.NOT_REACHABLE,
                reason=error.reason(),
                remedy=error.remedy,
                may_have_run=False,
            )
        return replace(result, duration_s=time.monotonic() - began)


class _HostCall:
    """One SendCommand and what follows from it."""

    def __init__(self, runner: HostRunner, node: Node, spec: CommandSpec) -> None:
        self._runner = runner
        self._node = node
        self._spec = spec
        self._access = Access.to_node(node, assume_role_arn=runner.assume_role_arn)

    async def result(self, sink: OutputSink) -> CommandResult:
        nonce = self._runner.new_nonce()
        script = host_script(self._node, self._spec, nonce)
        instance = self._node.get(nodes.EC2_INSTANCE_ID) or await self._off_loop(self._instance_id)
        command_id = await self._sent(instance, script)
        try:
            answer = await self._awaited(command_id, instance)
        except TaskmedicError as error:
            trouble = await self._cancelled(command_id, instance)
            raise CommandMayHaveRun(
                "the command was sent, and what became of it cannot be seen",
                where=command_id,
                why=error.text(),
                remedy=f"See in the container whether it ran before you run it again. {trouble}".rstrip(),
            ) from error
        except BaseException as error:
            trouble = await asyncio.shield(self._cancelled(command_id, instance))
            note_left_open(error, f"{GOES_ON} {trouble}".rstrip())
            raise
        if answer is None:
            trouble = await self._cancelled(command_id, instance)
            return CommandResult(
                outcome=Outcome.TIMED_OUT,
                reason=f"The host gave no result within {self._longest_s:g} s; the command was cancelled.",
                remedy=f"A process in the container may still run: cancelling does not reach it. {trouble}",
            )
        return read_answer(answer, self._spec, nonce, sink)

    async def _sent(self, instance: str, script: str) -> str:
        """The command's id. If this task is cancelled meanwhile, so is the command, once its id is known."""
        executor = self._runner.executor
        sending = asyncio.ensure_future(
            backing_off(lambda: made_once_begun(executor, self._send, instance, script))
        )
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError as cancelled:
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled() and not sending.exception():
                trouble = await asyncio.shield(self._cancelled(sending.result(), instance))
                note_left_open(cancelled, f"{GOES_ON} {trouble}".rstrip())
            raise

    @property
    def _longest_s(self) -> float:
        """From SendCommand to the last state: delivery, the command, its watchdog, and some slack."""
        return DELIVERY_S + self._spec.timeout_s + KILL_AFTER_S + 15

    async def _awaited(self, command_id: str, instance: str) -> Mapping[str, Any] | None:
        """The last state of the command; None when the time was over before."""
        began = time.monotonic()
        pause, longest = self._runner.poll_s
        while (passed := time.monotonic() - began) < self._longest_s:
            answer = await backing_off(lambda: self._off_loop(self._look, command_id, instance))
            if answer and answer["Status"] in TERMINAL:
                return answer
            if answer is None and passed > NOT_THERE_YET_S:
                raise AwsRefused(f"GetCommandInvocation knew nothing of it for {NOT_THERE_YET_S} s")
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads the polls
            pause = min(longest, pause * 1.5)
        return None

    async def _cancelled(self, command_id: str, instance: str) -> str:
        """Cancels the command; a sentence when that failed, for it must not hide what happened before."""
        try:
            await self._off_loop(self._cancel, command_id, instance)
        except TaskmedicError as error:
            return f"It could not be cancelled: {error.text()}"
        return ""

    async def _off_loop(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._runner.executor, call, *arguments)

    def _client(self, service: str, *, retry: bool = True) -> Any:
        return self._runner.clients.get(service, self._access, retry=retry)

    def _instance_id(self) -> str:
        arn = self._node.get(nodes.CONTAINER_INSTANCE_ARN)
        with translated("cannot find the task's host", arn):
            found = self._client("ecs").describe_container_instances(
                cluster=self._node.cluster_arn, containerInstances=[arn]
            )["containerInstances"]
        if not found or not found[0].get("ec2InstanceId"):
            raise ExecAgentNotReady("the task's host is not known to ECS", where=arn)
        return str(found[0]["ec2InstanceId"])

    def _send(self, instance: str, script: str) -> str:
        run_s = max(LEAST_RUN_S, math.ceil(self._spec.timeout_s) + KILL_AFTER_S + 5)
        with translated("cannot send the command to the host", instance):
            try:
                answer = self._client("ssm", retry=False).send_command(
                    InstanceIds=[instance],
                    DocumentName="AWS-RunShellScript",
                    Comment=f"taskmedic: {self._node.name}"[:100],
                    TimeoutSeconds=DELIVERY_S,
                    Parameters={"commands": [script], "executionTimeout": [str(run_s)]},
                )
            except ClientError as error:
                raise _refusal(error, instance) or error from error
            except NO_ANSWER as error:
                raise _no_answer(instance, no_answer_because(error)) from error
        try:
            return str(answer["Command"]["CommandId"])
        except KeyError as error:  # botocore takes any text with status 200 for an answer
            raise _no_answer(instance, f"what came holds no {error}") from None

    def _look(self, command_id: str, instance: str) -> Mapping[str, Any] | None:
        """The command's state; None while SSM does not know it yet, for its answers lag behind."""
        with translated("cannot see the command's state", command_id):
            try:
                answer: Mapping[str, Any] = self._client("ssm").get_command_invocation(
                    CommandId=command_id, InstanceId=instance
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvocationDoesNotExist":
                    return None
                raise
        return answer

    def _cancel(self, command_id: str, instance: str) -> None:
        with translated("cannot cancel the command", command_id):
            self._client("ssm").cancel_command(CommandId=command_id, InstanceIds=[instance])


def host_script(node: Node, spec: CommandSpec, nonce: str) -> str:
    """The one line that the host's shell runs.

    Raises:
        CommandInvalid: it would be longer than SSM takes.
        ExecAgentNotReady: the container has no runtime id yet.
    """
    container = node.get(nodes.CONTAINER_RUNTIME_ID)
    if not container:
        raise ExecAgentNotReady(
            "the container has no runtime id", where=node.name, remedy="Wait until it runs."
        )
    invocation = prepare(spec, nonce, MAX_PARAMETER_BYTES)
    if invocation.upload:
        raise CommandInvalid(
            f"the script is too long for SSM Run Command, which takes about {MAX_PARAMETER_BYTES} bytes",
            where="script",
            remedy="Put it into the image or into S3, and let a short script fetch and run it.",
        )
    line = HOST_SCRIPT.format(container=shlex.quote(container), command=invocation.command_line)
    return f'eval "$(printf %s {b64encode(line.encode()).decode()} | base64 -d)"'


def _refusal(error: ClientError, instance: str) -> Exception | None:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "InvalidInstanceId":
        return ExecAgentNotReady(
            "Systems Manager does not reach the task's host",
            where=instance,
            why="the instance is not running, or not managed by Systems Manager",
            remedy="Give its instance profile AmazonSSMManagedInstanceCore and see that the SSM agent runs.",
        )
    if status >= 500 and code not in THROTTLING:
        return _no_answer(instance, code)
    return None


def _no_answer(instance: str, why: str) -> CommandMayHaveRun:
    return CommandMayHaveRun(
        "the answer to SendCommand did not come",
        where=instance,
        why=why,
        remedy="See in the container whether the command ran before you run it again.",
    )
