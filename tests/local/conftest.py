"""One local cloud a worker; each test finds it as it was at its start."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import boto3
import pytest

from taskmedic_local.cloud import LocalCloud

T = TypeVar("T")


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    """The local cloud. Keep nothing in it beyond a test: each test that asks for it, starts with a reset."""
    with LocalCloud() as running:
        yield running


@pytest.fixture(autouse=True)
def _as_at_the_start(request: pytest.FixtureRequest) -> None:
    if "cloud" in request.fixturenames:
        request.getfixturevalue("cloud").reset()


@pytest.fixture(scope="session")
def aws(cloud: LocalCloud) -> Callable[[str], Any]:
    """``aws("ecs")``: a boto3 client of the local cloud, as any user of it would make one."""
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")

    @cache
    def client(service: str) -> Any:
        return session.client(service, endpoint_url=cloud.endpoint)  # type: ignore[call-overload]

    return client


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """``wait_for(predicate, timeout_s=10)``: what ``predicate()`` gives as soon as it is true."""
    pause = threading.Event()

    def wait(predicate: Callable[[], T], timeout_s: float = 10.0) -> T:
        end = time.monotonic() + timeout_s
        while not (value := predicate()):
            if time.monotonic() > end:
                pytest.fail(f"{predicate} was not true within {timeout_s} s; it gave {value!r}")
            pause.wait(0.01)
        return value

    return wait


@pytest.fixture
def run(cloud: LocalCloud, aws: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """``run({"runbook": …})``: starts an execution, waits for its end; DescribeExecution's answer."""

    def start(trigger: Any, timeout_s: float = 30.0, **more: str) -> dict[str, Any]:
        arn = aws("stepfunctions").start_execution(
            stateMachineArn=cloud.info["state_machines"]["remediation"], input=json.dumps(trigger), **more
        )["executionArn"]
        cloud.executions.wait(arn, timeout_s)
        described: dict[str, Any] = aws("stepfunctions").describe_execution(executionArn=arn)
        return described

    return start
