"""What one trigger costs: state transitions, Lambda calls, writes, and dollars per million.

    python benchmarks/cost.py

Four events of a stopped task go their ways on the local cloud: one is accepted and diagnosed, one suppressed
(our own stop, past the rule), one is a duplicate, one is kept out by the rule. Transitions are counted in the
execution's history, calls where they arrive. Lambda's time is what the calls took here: on AWS calls to other
services take longer and a cold start comes on top, neither of which changes the order of size.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml

from taskmedic_local.cloud import LocalCloud

ROOT = Path(__file__).resolve().parents[1]
# US dollars per million in us-east-1 beyond any free tier, noted from AWS's public pages on 2026-11-21:
# aws.amazon.com/step-functions/pricing, lambda/pricing, dynamodb/pricing/on-demand, s3/pricing, sns/pricing.
PRICES = {
    "Standard state transition": 25.00,
    "Lambda request": 0.20,
    "Lambda GB-second, arm64": 13.3334,
    "DynamoDB write request unit": 0.625,
    "DynamoDB read request unit": 0.125,
    "S3 PUT": 5.00,
    "SNS publish": 0.50,
}
# What each call is billed as. Our items are under 1 kB to write and under 4 kB to read.
BILLED = {
    ("dynamodb", "PutItem"): ("DynamoDB write request unit", 1),
    ("dynamodb", "GetItem"): ("DynamoDB read request unit", 1),  # consistent reads
    ("dynamodb", "Query"): ("DynamoDB read request unit", 1),
    ("s3", "PUT"): ("S3 PUT", 1),
    ("sns", "Publish"): ("SNS publish", 1),
}


@dataclass
class Bill:
    """What one trigger used, in the units of the price table."""

    way: str
    decision: str
    states: list[str] = field(default_factory=list)
    units: dict[str, float] = field(default_factory=dict)

    def add(self, unit: str, amount: float = 1) -> None:
        self.units[unit] = self.units.get(unit, 0) + amount

    @property
    def dollars_per_million(self) -> float:
        return sum(PRICES[unit] * amount for unit, amount in self.units.items())


def event(name: str, **detail: Any) -> dict[str, Any]:
    value: dict[str, Any] = copy.deepcopy(json.loads((ROOT / f"events/ecs/{name}.json").read_text()))
    value["detail"] |= detail
    return value


def billed_transitions(history: list[dict[str, Any]]) -> Iterator[str]:
    """The states entered, and again each state that was retried: AWS bills a retry as a transition."""
    name = ""
    for one in history:
        if "stateEnteredEventDetails" in one:
            name = one["stateEnteredEventDetails"]["name"]
            yield name
        elif one["type"] == "TaskFailed":
            yield f"{name} (again)"


def bill_of(cloud: LocalCloud, states: Any, way: str, given: Mapping[str, Any]) -> Bill:
    """Runs one trigger and counts."""
    cloud.front.forget_calls()
    machine = cloud.info["state_machines"]["remediation"]
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    cloud.executions.wait(arn)
    history = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    output = json.loads(states.describe_execution(executionArn=arn)["output"])
    bill = Bill(way, f"{output['decision']}: {output['reason']}", states=list(billed_transitions(history)))
    bill.add("Standard state transition", len(bill.states))
    for memory_gb, seconds in lambda_calls(cloud, history):
        bill.add("Lambda request")
        bill.add("Lambda GB-second, arm64", seconds * memory_gb)
    for (function, service, operation), count in cloud.front.calls().items():
        if function and (service, operation) in BILLED:
            unit, units = BILLED[service, operation]
            bill.add(unit, units * count)
    return bill


def lambda_calls(cloud: LocalCloud, history: list[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """Memory in GB and time in seconds of each call of a function."""
    memory_gb, began = 0.0, None
    for one in history:
        if one["type"] == "TaskScheduled":
            arn = json.loads(one["taskScheduledEventDetails"]["parameters"])["FunctionName"]
            memory_gb = cloud.lambdas.functions[arn.rpartition(":")[2]].memory_mb / 1024
            began = one["timestamp"]
        elif one["type"] in {"TaskSucceeded", "TaskFailed"} and began:
            yield memory_gb, (one["timestamp"] - began).total_seconds()


def machine_states() -> set[str]:
    definition = yaml.safe_load((ROOT / "statemachines/remediation.asl.yaml").read_text())
    return set(definition["States"])


def main() -> int:
    with LocalCloud() as cloud:
        session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")
        states = session.client("stepfunctions", endpoint_url=cloud.endpoint)
        task = event("exit-code")["detail"]["taskArn"]
        bill_of(cloud, states, "", event("exit-code", taskArn=f"{task}0"))  # the processes start
        bills = [
            bill_of(cloud, states, "accepted", event("out-of-memory")),
            bill_of(cloud, states, "suppressed", event("own-stop")),
            bill_of(cloud, states, "duplicate", event("out-of-memory")),
            Bill("kept out", "by the rule's pattern: AWS's own events on the default bus are free"),
        ]
    print("US dollars per million (us-east-1, 2026-11-21):")
    for unit, price in PRICES.items():
        print(f"  {unit:28} {price:8.4f}")
    for bill in bills:
        print(f"\n{bill.way}: {bill.decision}")
        if bill.states:
            print(f"  states: {', '.join(bill.states)}")
        for unit, amount in bill.units.items():
            print(f"  {amount:8.3f} x {unit}")
        print(f"  = ${bill.dollars_per_million:.2f} per million such triggers")
    unknown = {name.removesuffix(" (again)") for bill in bills for name in bill.states} - machine_states()
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
