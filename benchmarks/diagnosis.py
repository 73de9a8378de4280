"""Diagnoses per second on one core, and API calls for a thousand stopped tasks against the least possible.

    python benchmarks/diagnosis.py [--records FILE]

The first figure is taken on the wordings of the tests, or on FILE: a JSON record a line, with `stopCode`,
`stoppedReason`, `launchType` and `containers`. The second counts the calls that collecting makes to an AWS
that answers from memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from taskmedic.aws.stopped import Query, collect
from taskmedic.domain.diagnosis import diagnose

ROOT = Path(__file__).resolve().parents[1]
WORDINGS = ROOT / "tests/unit/diagnosis/wordings.yaml"
GOAL_PER_SECOND = 5000
SECONDS = 3.0
TASKS, REVISIONS = 1000, 20
PER_PAGE, PER_DESCRIBE = 100, 100
NOW = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:eu-west-1:123456789012"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=Path, help="records to diagnose, a JSON object a line")
    speed(arguments.parse_args().records)
    calls()


def speed(records: Path | None) -> None:
    tasks = _recorded(records) if records else _worded()
    for task in tasks:
        diagnose(task)
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < SECONDS:
        for task in tasks:
            diagnose(task)
        done += len(tasks)
    rate = done / spent
    print(f"diagnoses: {rate:,.0f} per second on one core, of {len(tasks)} different tasks")
    print(f"  goal {GOAL_PER_SECOND:,}: {rate / GOAL_PER_SECOND:.2f} of it")


def calls() -> None:
    aws = CountingAws()
    began = time.perf_counter()
    collection = collect(Query(cluster="prod", service="orders"), aws, now=NOW)  # type: ignore[arg-type]
    spent = time.perf_counter() - began
    least = {
        "ListTasks": TASKS // PER_PAGE,
        "DescribeTasks": TASKS // PER_DESCRIBE,
        "DescribeTaskDefinition": REVISIONS,  # what changed is read from the same ones
        "DescribeServices": 1,
        "GetLogEvents": len(collection.cases),  # one container of the newest task of each cause
    }
    print(f"\nAPI calls for {TASKS} stopped tasks of {REVISIONS} revisions, {len(collection.cases)} causes:")
    print(f"  {'call':<24}{'made':>6}{'least':>7}")
    for name in sorted(least | aws.calls):
        print(f"  {name:<24}{aws.calls[name]:>6}{least.get(name, 0):>7}")
    made, minimum = sum(aws.calls.values()), sum(least.values())
    print(f"  {'all':<24}{made:>6}{minimum:>7}   ratio {made / minimum:.2f}, {spent:.2f} s without AWS")
    if aws.calls != Counter(least):
        sys.exit("more calls than needed")


def _recorded(file: Path) -> list[dict[str, Any]]:
    wanted = ("stopCode", "stoppedReason", "launchType")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    return [
        {"lastStatus": "STOPPED", "containers": line.get("containers") or []}
        | {name: line[name] for name in wanted if line.get(name)}
        for line in lines
    ]


def _worded() -> list[dict[str, Any]]:
    texts = [text for texts in yaml.safe_load(WORDINGS.read_text("utf-8")).values() for text in texts]
    return [
        {"lastStatus": "STOPPED", "stoppedReason": text, "containers": [{"name": "app"}]} for text in texts
    ]


class CountingAws:
    """Stands in for ``Clients``: a service of twenty revisions, each of whose fifty tasks exited alike."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.tasks = {task["taskArn"]: task for task in map(self._task, range(TASKS))}

    def get(self, *_: Any, **__: Any) -> CountingAws:
        return self

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name = "".join(part.capitalize() for part in operation.split("_"))

        def call(**request: Any) -> Any:
            self.calls[name] += 1
            return getattr(self, f"answer_{name}")(**request)

        return call

    def answer_ListTasks(self, nextToken: str = "0", **_: Any) -> Any:  # noqa: N802, N803
        after = int(nextToken) + PER_PAGE
        page = {"taskArns": list(self.tasks)[after - PER_PAGE : after]}
        return page | ({"nextToken": str(after)} if after < TASKS else {})

    def answer_DescribeTasks(self, tasks: list[str], **_: Any) -> Any:  # noqa: N802 - the operation's name
        return {"tasks": [self.tasks[arn] for arn in tasks], "failures": []}

    def answer_DescribeTaskDefinition(self, taskDefinition: str) -> Any:  # noqa: N802, N803
        options = {"awslogs-group": "/ecs/orders", "awslogs-stream-prefix": "ecs"}
        container = {"name": "app", "logConfiguration": {"logDriver": "awslogs", "options": options}}
        return {"taskDefinition": {"taskDefinitionArn": taskDefinition, "containerDefinitions": [container]}}

    def answer_DescribeServices(self, services: list[str], **_: Any) -> Any:  # noqa: N802
        return {"services": [{"serviceName": name} for name in services]}

    def answer_GetLogEvents(self, **_: Any) -> Any:  # noqa: N802
        return {"events": [{"timestamp": int(NOW.timestamp() * 1000), "message": "ValueError: no orders"}]}

    @staticmethod
    def _task(number: int) -> dict[str, Any]:
        at = NOW - timedelta(seconds=number)
        return {
            "taskArn": f"{ARN}:task/prod/{number:032x}",
            "clusterArn": f"{ARN}:cluster/prod",
            "taskDefinitionArn": f"{ARN}:task-definition/orders:{1 + number % REVISIONS}",
            "group": "service:orders",
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "startedAt": at,
            "stoppedAt": at,
            "containers": [{"name": "app", "exitCode": 1}],
        }


if __name__ == "__main__":
    main()
