"""ECS Exec's calls for one container: ExecuteCommand, and what a session needs of SSM and KMS.

A call that may have started the command is never made twice: only an answer by which AWS says that it did
nothing (throttling) is tried again. boto3 blocks, so each call runs on a thread of a bounded pool.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import NO_ANSWER, THROTTLING, no_answer_because, translated
from taskmedic.domain import nodes
from taskmedic.domain.arns import last_part
from taskmedic.domain.command import CommandResult, CommandSpec, DataKey, StreamSession
from taskmedic.domain.errors import CommandMayHaveRun, ExecAgentNotReady, TaskmedicError, Throttled
from taskmedic.domain.nodes import Node
from taskmedic.ssm.client import DEFAULT_LIMITS, run_command
from taskmedic.ssm.run import Limits, OutputSink
from taskmedic.ssm.transport import Connect, connect_websocket

T = TypeVar("T")

# Full jitter, as in AWS's paper "Exponential Backoff And Jitter": a storm of retries spreads out evenly.
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 5.0
BACKOFF_TRIES = 7


# Of the many reasons for an InvalidParameterException, the one that another way in can help.
NOT_ENABLED = re.compile("execute command (was not enabled|agent)")


@dataclass(frozen=True)
class ExecRunner:
    """Runs commands by ECS Exec."""

    clients: Clients
    executor: Executor
    assume_role_arn: str = ""
    limits: Limits = DEFAULT_LIMITS
    connect: Connect = connect_websocket

    async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
        """Runs ``spec`` in the container ``node``; see ``ssm.client.run_command``."""
        access = Access.to_node(node, assume_role_arn=self.assume_role_arn)
        calls = ExecCalls(self.clients, access, node, self.executor)
        return await run_command(
            calls.open,
            spec,
            sink=sink,
            terminate=calls.terminate,
            resume=calls.resume,
            data_key=calls.data_key,
            connect=self.connect,
            limits=self.limits,
        )


def target_id(node: Node) -> str:
    """SSM's name for the container, as AWS's own CLI builds it."""
    runtime_id = node.get(nodes.CONTAINER_RUNTIME_ID)
    return f"ecs:{last_part(node.cluster_arn)}_{last_part(node.task_arn)}_{runtime_id}"


async def backing_off(
    call: Callable[[], Awaitable[T]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[float, float], float] = random.uniform,
) -> T:
    """The answer of ``call``, which is repeated with growing, random pauses while AWS throttles it.

    Raises:
        Throttled: it was throttled ``BACKOFF_TRIES`` times.
    """
    for attempt in range(BACKOFF_TRIES - 1):
        try:
            return await call()
        except Throttled:
            await sleep(jitter(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt)))
    return await call()


async def made_once_begun(executor: Executor, call: Callable[..., T], *arguments: Any) -> T:
    """The answer of ``call``, also when this task is cancelled meanwhile: what it began has to be ended.

    Raises:
        CancelledError: the call still waited for a thread, and is not made; or it began nothing.
        CommandMayHaveRun: what it began is not known.
    """
    future = executor.submit(call, *arguments)
    answer = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        if not future.cancel():  # with many containers most may wait for a thread
            try:
                return await answer
            except CommandMayHaveRun:
                raise
            except TaskmedicError:
                pass
        raise


@dataclass(frozen=True)
class ExecCalls:
    """The AWS calls behind the sessions of one node."""

    clients: Clients
    access: Access
    node: Node
    executor: Executor

    async def open(self, command: str) -> StreamSession:
        """Starts ``command`` in the container and gives the session that carries its output.

        Raises:
            ExecAgentNotReady: ECS cannot reach the container; nothing ran.
            CommandMayHaveRun: no answer came, so the command may run without anyone listening.
            AwsError: refused for another reason; nothing ran.
            CancelledError: this task was cancelled before the call was made. Once it is made its session is
                given back all the same, because somebody has to end it.
        """
        return await backing_off(partial(made_once_begun, self.executor, self._execute_command, command))

    async def data_key(self, key_id: str, encryption_context: Mapping[str, str]) -> DataKey:
        """A data key of 64 bytes for the session's encryption.

        Raises:
            AwsError: KMS refused.
        """
        return await self._off_loop(self._generate_data_key, key_id, dict(encryption_context))

    async def terminate(self, session_id: str) -> None:
        """Ends the session and with it the command.

        Raises:
            AwsError: SSM refused.
        """
        await self._off_loop(self._terminate, session_id)

    async def resume(self, session_id: str) -> str | None:
        """A new token for the same session; None when it is over.

        Raises:
            AwsError: SSM refused.
        """
        return await self._off_loop(self._resume, session_id)

    async def _off_loop(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, call, *arguments)

    def _client(self, service: str, *, retry: bool = True) -> Any:
        return self.clients.get(service, self.access, retry=retry)

    def _execute_command(self, command: str) -> StreamSession:
        node = self.node
        with translated("cannot start a session", node.name):
            try:
                answer = self._client("ecs", retry=False).execute_command(
                    cluster=node.cluster_arn,
                    task=node.task_arn,
                    container=node.container,
                    command=command,
                    interactive=True,
                )
            except ClientError as error:
                raise _refusal(error, node) or error from error
            except NO_ANSWER as error:
                raise _no_answer(node, no_answer_because(error)) from error
        try:
            session = answer["session"]
            return StreamSession(
                session_id=session["sessionId"],
                stream_url=session["streamUrl"],
                token=session["tokenValue"],
                target_id=target_id(node),
            )
        except KeyError as error:  # botocore takes any text with status 200 for an answer
            raise _no_answer(node, f"what came holds no {error}") from None

    def _generate_data_key(self, key_id: str, encryption_context: dict[str, str]) -> DataKey:
        with translated("cannot make a data key for the session", key_id):
            answer = self._client("kms").generate_data_key(
                KeyId=key_id, NumberOfBytes=64, EncryptionContext=encryption_context
            )
        return DataKey(plaintext=answer["Plaintext"], ciphertext=answer["CiphertextBlob"])

    def _terminate(self, session_id: str) -> None:
        with translated("cannot end the session", session_id):
            self._client("ssm").terminate_session(SessionId=session_id)

    def _resume(self, session_id: str) -> str | None:
        with translated("cannot resume the session", session_id):
            token: str | None = self._client("ssm").resume_session(SessionId=session_id).get("TokenValue")
        return token


def check_hint(node: Node) -> str:
    """The command that tells why a container is not reached."""
    cluster, task = last_part(node.cluster_arn), last_part(node.task_arn)
    return f"`taskmedic check --cluster {cluster} --task {task}` says what to change."


def _refusal(error: ClientError, node: Node) -> Exception | None:
    """Our error for what ExecuteCommand answers; None leaves it to the general rules."""
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "") or code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    disabled = code == "InvalidParameterException" and NOT_ENABLED.search(message)
    if disabled or code == "TargetNotConnectedException":
        return ExecAgentNotReady(
            "ECS Exec cannot reach the container",
            where=node.name,
            why=message,
            remedy=check_hint(node),
        )
    if status >= 500 and code not in THROTTLING:
        return _no_answer(node, message)
    return None


def _no_answer(node: Node, why: str) -> CommandMayHaveRun:
    return CommandMayHaveRun(
        "the answer to ExecuteCommand did not come",
        where=node.name,
        why=why,
        remedy="See in the container whether the command ran before you run it again.",
    )
