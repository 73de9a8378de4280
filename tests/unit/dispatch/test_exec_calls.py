"""ExecuteCommand is asked once; only throttling is tried again; every refusal says what it means."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from taskmedic.aws.clients import Access
from taskmedic.aws.exec import (
    BACKOFF_BASE_S,
    BACKOFF_CAP_S,
    BACKOFF_TRIES,
    ExecCalls,
    backing_off,
    target_id,
)
from taskmedic.domain.command import StreamSession
from taskmedic.domain.dispatch import NODE_OVERHEAD_S
from taskmedic.domain.errors import (
    AccessDenied,
    AwsRefused,
    AwsUnreachable,
    CommandMayHaveRun,
    ExecAgentNotReady,
    TaskmedicError,
    Throttled,
)
from taskmedic.domain.nodes import Node
from taskmedic.ssm.client import DEFAULT_LIMITS
from taskmedic.steps.on_node import LOCK_WAIT_S

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/prod/0123"
NODE = Node(
    "0123/app",
    {
        "ECS:Cluster-ARN": CLUSTER,
        "ECS:Task-ARN": TASK,
        "ECS:Container-Name": "app",
        "ECS:Container-Runtime-ID": "0123-rt",
        "region": "us-east-1",
    },
)
ANSWER = {"session": {"sessionId": "s-1", "streamUrl": "wss://x/s-1?secret", "tokenValue": "hush"}}


def refused(code: str, status: int = 400, message: str = "no") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "ExecuteCommand",
    )


class FakeClients:
    """Answers of ECS, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.kept_from_retrying: list[bool] = []

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        assert service == "ecs"
        self.kept_from_retrying.append(not retry)
        return self

    def execute_command(self, **request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def calls(clients: FakeClients, executor: Executor) -> ExecCalls:
    return ExecCalls(clients, Access("us-east-1"), NODE, executor)  # type: ignore[arg-type]


async def test_the_session_is_what_ecs_answers(executor: Executor) -> None:
    clients = FakeClients(ANSWER)

    session = await calls(clients, executor).open("echo hi")

    assert clients.asked == [
        {"cluster": CLUSTER, "task": TASK, "container": "app", "command": "echo hi", "interactive": True}
    ]
    assert clients.kept_from_retrying == [True]
    assert (session.session_id, session.target_id) == ("s-1", "ecs:prod_0123_0123-rt")
    assert "hush" not in repr(session)
    assert "secret" not in repr(session)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (refused("TargetNotConnectedException"), ExecAgentNotReady),
        (refused("InvalidParameterException", message="execute command was not enabled"), ExecAgentNotReady),
        (
            refused("InvalidParameterException", message="the execute command agent isn't running"),
            ExecAgentNotReady,
        ),
        (refused("InvalidParameterException", message="command is too long"), AwsRefused),
        (refused("AccessDeniedException"), AccessDenied),
        (refused("ServerException", 500), CommandMayHaveRun),
        (ReadTimeoutError(endpoint_url="x"), CommandMayHaveRun),
        (ConnectionClosedError(endpoint_url="x"), CommandMayHaveRun),
        (HTTPClientError(error="half an answer"), CommandMayHaveRun),
        (ResponseParserError("tokenValue: hush"), CommandMayHaveRun),
        ({}, CommandMayHaveRun),
        (ConnectTimeoutError(endpoint_url="x"), AwsUnreachable),
    ],
)
async def test_what_is_no_throttling_is_asked_only_once(
    executor: Executor, failure: Any, error: type[TaskmedicError]
) -> None:
    clients = FakeClients(failure)

    with pytest.raises(error) as raised:
        await calls(clients, executor).open("echo hi")

    assert len(clients.asked) == 1
    assert "hush" not in raised.value.text()


class TestCancelled:
    """Ctrl-C, while ExecuteCommand waits for a thread or for its answer."""

    async def test_before_the_call_is_made_it_is_not_made(self) -> None:
        clients, busy = FakeClients(ANSWER), threading.Event()
        with ThreadPoolExecutor(1) as executor:
            executor.submit(busy.wait)
            opening = asyncio.create_task(calls(clients, executor).open("echo hi"))
            await asyncio.sleep(0)

            opening.cancel()

            with pytest.raises(asyncio.CancelledError):
                await opening
            busy.set()
        assert clients.asked == []

    @pytest.mark.parametrize("answer", [ANSWER, refused("ThrottlingException")])
    async def test_once_the_call_is_made_its_session_comes_back_and_it_is_not_repeated(
        self, answer: Any
    ) -> None:
        asked, may_answer = threading.Event(), threading.Event()

        class SlowClients(FakeClients):
            def execute_command(self, **request: Any) -> Any:
                asked.set()
                may_answer.wait()
                return super().execute_command(**request)

        clients = SlowClients(answer)
        with ThreadPoolExecutor(1) as executor:
            opening = asyncio.create_task(calls(clients, executor).open("echo hi"))
            await asyncio.to_thread(asked.wait)
            opening.cancel()
            await asyncio.sleep(0)
            may_answer.set()
            (came,) = await asyncio.gather(opening, return_exceptions=True)

        if answer is ANSWER:
            assert isinstance(came, StreamSession)
        else:
            assert isinstance(came, asyncio.CancelledError)
        assert len(clients.asked) == 1


async def test_the_remedy_is_a_command_to_paste(executor: Executor) -> None:
    with pytest.raises(ExecAgentNotReady, match=r"`taskmedic check --cluster prod --task 0123` says"):
        await calls(FakeClients(refused("TargetNotConnectedException")), executor).open("x")


class Pauses:
    """A clock that does not wait."""

    def __init__(self) -> None:
        self.longest: list[float] = []

    def jitter(self, low: float, high: float) -> float:
        assert low == 0  # full jitter
        self.longest.append(high)
        return high

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_throttling_is_met_with_growing_pauses() -> None:
    answers = iter([Throttled("slow"), Throttled("slow"), Throttled("slow")])
    pauses = Pauses()

    async def call() -> str:
        for error in answers:
            raise error
        return "done"

    assert await backing_off(call, sleep=pauses.sleep, jitter=pauses.jitter) == "done"
    assert pauses.longest == [0.5, 1.0, 2.0]


async def test_throttling_without_end_is_given_up() -> None:
    pauses = Pauses()

    async def call() -> str:
        raise Throttled("slow")

    with pytest.raises(Throttled):
        await backing_off(call, sleep=pauses.sleep, jitter=pauses.jitter)
    assert len(pauses.longest) == BACKOFF_TRIES - 1
    assert max(pauses.longest) == BACKOFF_CAP_S


def test_the_target_is_named_as_awss_own_programs_name_it() -> None:
    assert target_id(NODE) == "ecs:prod_0123_0123-rt"


def test_a_node_at_its_slowest_stays_within_the_time_that_batches_are_made_for() -> None:
    pauses = [min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt) for attempt in range(BACKOFF_TRIES - 1)]

    assert LOCK_WAIT_S + sum(pauses) + DEFAULT_LIMITS.longest_s(timeout_s=0) <= NODE_OVERHEAD_S
