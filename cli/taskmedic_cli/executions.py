"""Executions of the deployed state machine `remediation`: find, start, wait for, read the history."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Console

from taskmedic.aws.errors import translated
from taskmedic.domain.errors import AwsRefused
from taskmedic_cli.common import console, print_json

T = TypeVar("T")

FIRST_POLL_S, LAST_POLL_S = 0.05, 2.0


@dataclass(frozen=True)
class Execution:
    """One execution as DescribeExecution tells it; ``output`` and ``error`` only once it has ended."""

    arn: str
    status: str
    output: dict[str, Any] | None = None
    error: str = ""
    cause: str = ""

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"execution_arn": self.arn, "status": self.status, "output": self.output}
        if self.error:
            shown |= {"error": self.error, "cause": self.cause}
        return shown


@dataclass
class StateVisit:
    """One visit of a state: its type (Task, Wait, …), when it was entered, how long it took once left."""

    name: str
    kind: str
    entered: datetime
    seconds: float | None = None
    failed: str = ""


@dataclass
class Follower:
    """Reads one execution's history as it grows; each event is read once."""

    client: Any
    arn: str
    visits: list[StateVisit] = field(default_factory=list)
    _seen: int = 0

    def advance(self) -> Iterator[StateVisit]:
        """The visits that changed since the last call: entered or left."""
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=self.arn)
        with translated("cannot read the execution's history", self.arn):
            events = [event for page in pages for event in page["events"]]
        for event in events[self._seen :]:
            visit = self._apply(event)
            if visit is not None:
                yield visit
        self._seen = len(events)

    def _apply(self, event: Mapping[str, Any]) -> StateVisit | None:
        kind = str(event["type"])
        if kind.endswith("StateEntered"):
            visit = StateVisit(
                event["stateEnteredEventDetails"]["name"],
                kind.removesuffix("StateEntered"),
                event["timestamp"],
            )
            self.visits.append(visit)
            return visit
        if kind.endswith("StateExited"):
            name = event["stateExitedEventDetails"]["name"]
            for visit in reversed(self.visits):
                if visit.name == name and visit.seconds is None:
                    visit.seconds = (event["timestamp"] - visit.entered).total_seconds()
                    return visit
        if kind in {"LambdaFunctionFailed", "TaskFailed"} and self.visits:
            details = (
                event.get("taskFailedEventDetails") or event.get("lambdaFunctionFailedEventDetails") or {}
            )
            self.visits[-1].failed = str(details.get("error", "failed"))
        return None


def start(client: Any, machine: str, given: Mapping[str, Any], name: str | None = None) -> str:
    """Starts an execution with ``given`` as its input; returns its ARN."""
    more = {"name": name} if name else {}
    with translated("cannot start the execution", machine):
        answer = client.start_execution(stateMachineArn=machine, input=json.dumps(given), **more)
    return str(answer["executionArn"])


def describe(client: Any, arn: str) -> Execution:
    """The execution as it stands now."""
    with translated("cannot read the execution", arn):
        answer = client.describe_execution(executionArn=arn)
    output = answer.get("output")
    return Execution(
        arn=arn,
        status=answer["status"],
        output=json.loads(output) if output else None,
        error=answer.get("error", ""),
        cause=answer.get("cause", ""),
    )


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution of that name: ``…:stateMachine:x`` becomes ``…:execution:x:name``."""
    return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"


def succeeded(execution: Execution) -> bool:
    """Whether it ended well, and so did each of its steps."""
    steps = (execution.output or {}).get("steps") or []
    return execution.status == "SUCCEEDED" and all(step.get("outcome") != "failed" for step in steps)


def show(out: Console, execution: Execution) -> None:
    """The execution in a few lines: decision and reason, a line a step, what was reported."""
    lines = [f"{execution.status}  {execution.arn}"]
    if execution.error:
        lines.append(f"{execution.error}: {execution.cause}")
    answer = execution.output or {}
    if "decision" in answer:
        lines.append(f"decision  {answer['decision']}: {answer.get('reason', '')}")
    lines += [
        f"step      {step['name']} ({step['type']}): {step['outcome']}. {step['summary']}"
        for step in answer.get("steps") or []
    ]
    lines += [
        f"report    {channel['channel']}: {channel['status']} {channel.get('detail', '')}".rstrip()
        for channel in (answer.get("report") or {}).get("channels", [])
    ]
    out.print("\n".join(lines), markup=False, soft_wrap=True)


def tell(client: Any, arn: str, *, wait_s: float | None, as_json: bool) -> None:
    """Shows the execution as it is now; with ``wait_s`` once it has ended, and exits 1 if it failed."""
    done = describe(client, arn) if wait_s is None else wait(client, arn, seconds=wait_s)
    if as_json:
        print_json(done.to_json())
    else:
        show(console(), done)
    if wait_s is not None and not succeeded(done):
        sys.exit(1)


def poll(ready: Callable[[], T | None], *, seconds: float) -> T | None:
    """Calls ``ready`` until it returns something true, ever less often; None when ``seconds`` are over."""
    deadline = time.monotonic() + seconds
    pause = FIRST_POLL_S
    while True:
        got = ready()
        if got or time.monotonic() > deadline:
            return got or None
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_POLL_S)


def wait(client: Any, arn: str, *, seconds: float, on_look: Callable[[], None] = lambda: None) -> Execution:
    """Waits until the execution ends.

    Raises:
        AwsRefused: it still runs after ``seconds``.
    """

    def ended() -> Execution | None:
        on_look()
        now = describe(client, arn)
        return now if now.status != "RUNNING" else None

    done = poll(ended, seconds=seconds)
    if done is None:
        raise AwsRefused(
            f"the execution still runs after {seconds:g} s",
            where=arn,
            remedy="It goes on; look at it later by its ARN.",
        )
    on_look()
    return done


def find_by_input(
    client: Any, machine: str, matches: Callable[[Mapping[str, Any]], bool], *, seconds: float
) -> str | None:
    """The newest execution whose input ``matches``; None when ``seconds`` pass without one.

    EventBridge names executions as it likes, so the inputs of the newest ones are looked at.
    """
    looked: set[str] = set()

    def found() -> str | None:
        with translated("cannot list the executions", machine):
            newest = client.list_executions(stateMachineArn=machine, maxResults=50)["executions"]
        for execution in newest:
            arn = str(execution["executionArn"])
            if arn in looked:
                continue
            looked.add(arn)
            with translated("cannot read the execution", arn):
                given = json.loads(client.describe_execution(executionArn=arn)["input"])
            if isinstance(given, dict) and matches(given):
                return arn
        return None

    return poll(found, seconds=seconds)
