"""Functions and state machines of the tests' own, deployed beside the application's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmedic_local.cloud import LocalCloud
from taskmedic_local.functions import Function


@pytest.fixture
def function(cloud: LocalCloud, tmp_path: Path) -> Callable[..., Function]:
    """``function("def handler(event, context): …", timeout_s=3)`` deploys that code."""

    def deploy(source: str, **settings: Any) -> Function:
        name = f"test-{uuid.uuid4().hex[:12]}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "app.py").write_text(source)
        given = {
            "logical_id": name,
            "name": name,
            "handler": "app.handler",
            "task_root": folder,
            "layers": (),
            "environment": {},
            "log_group": f"/aws/lambda/{name}",
            "timeout_s": 20.0,
            "memory_mb": 256,
            **settings,
        }
        made = Function(**given)
        cloud.lambdas.deploy({name: made})
        return made

    return deploy


@pytest.fixture
def invoke(aws: Callable[[str], Any]) -> Callable[..., tuple[Any, str]]:
    """``invoke(function, payload)``: the payload of the answer, and its FunctionError or ''."""

    def call(function: Function, payload: Any = None) -> tuple[Any, str]:
        answer = aws("lambda").invoke(FunctionName=function.name, Payload=json.dumps(payload or {}))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")

    return call


@pytest.fixture
def machine(aws: Callable[[str], Any]) -> Iterator[Callable[..., str]]:
    """``machine({name: state, …})`` creates a JSONata state machine, first state first; its ARN."""
    made: list[str] = []

    def create(states: dict[str, Any], **more: Any) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **more}
        arn: str = aws("stepfunctions").create_state_machine(
            name=f"test-{uuid.uuid4().hex[:12]}",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/any",
        )["stateMachineArn"]
        made.append(arn)
        return arn

    yield create
    for arn in made:
        aws("stepfunctions").delete_state_machine(stateMachineArn=arn)


@pytest.fixture
def execute(cloud: LocalCloud, aws: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """``execute(machine_arn, input)``: waits for the end; DescribeExecution's answer, its output parsed."""

    def run(machine_arn: str, value: Any = None) -> dict[str, Any]:
        started = aws("stepfunctions").start_execution(
            stateMachineArn=machine_arn, input=json.dumps(value if value is not None else {})
        )
        cloud.executions.wait(started["executionArn"])
        ended: dict[str, Any] = aws("stepfunctions").describe_execution(executionArn=started["executionArn"])
        return {**ended, "output": json.loads(ended.get("output", "null"))}

    return run


@pytest.fixture
def rule(aws: Callable[[str], Any]) -> Iterator[Callable[..., None]]:
    """``rule({"source": […]}, target)``: a rule on the default bus with that one target."""
    made: list[str] = []

    def put(pattern: dict[str, Any], target: dict[str, Any]) -> None:
        name = f"test-{uuid.uuid4().hex[:12]}"
        aws("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        aws("events").put_targets(Rule=name, Targets=[{"Id": "one", **target}])
        made.append(name)

    yield put
    for name in made:
        aws("events").remove_targets(Rule=name, Ids=["one"])
        aws("events").delete_rule(Name=name)


@pytest.fixture
def queue(aws: Callable[[str], Any]) -> Iterator[Callable[[], tuple[str, str]]]:
    """``queue()``: a new queue's URL and ARN."""
    made: list[str] = []

    def create() -> tuple[str, str]:
        name = f"test-{uuid.uuid4().hex[:12]}"
        url = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
        made.append(url)
        return url, f"arn:aws:sqs:us-east-1:123456789012:{name}"

    yield create
    for url in made:
        aws("sqs").delete_queue(QueueUrl=url)
