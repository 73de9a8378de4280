"""Stopping tasks: only those named, recognised by their reason, waited for until all is well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from taskmedic.aws.clients import Access
from taskmedic.domain.budget import OUTCOME_BYTES, json_bytes
from taskmedic.domain.errors import (
    AccessDenied,
    AwsError,
    ClusterNotFound,
    ServiceNotFound,
    StepInvalid,
    TaskNotFound,
    TooManyTargets,
)
from taskmedic.settings import StopTaskSettings
from taskmedic.steps import stop_task, turns

SETTINGS = StopTaskSettings(ledger_table="ledger")
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
NOW = datetime.now(UTC)


def task_arn(task: str) -> str:
    return f"arn:aws:ecs:us-east-1:123456789012:task/prod/{task}"


def refused(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class FakeEcs:
    """One cluster of ECS, as far as stopping needs it."""

    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    stops: list[dict[str, str]] = field(default_factory=list)
    refuse: ClientError | None = None

    def has(self, task: str, *, service: str = "checkout", status: str = "RUNNING", **more: Any) -> None:
        self.tasks[task_arn(task)] = {
            "taskArn": task_arn(task),
            "clusterArn": CLUSTER,
            "lastStatus": status,
            "desiredStatus": "RUNNING",
            "group": f"service:{service}" if service else "family:export",
            "createdAt": NOW - timedelta(hours=1),
            **more,
        }

    def stopped(self, task: str) -> None:
        self.tasks[task_arn(task)] |= {
            "lastStatus": "STOPPED",
            "stopCode": "UserInitiated",
            "stoppingAt": NOW,
            "stoppedReason": self.stops[-1]["reason"] if self.stops else "",
        }

    def counts(self, service: str, *, desired: int, running: int, pending: int = 0) -> None:
        self.services[service] = {
            "status": "ACTIVE",
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": pending,
        }

    # boto3's side

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        if self.refuse:
            raise self.refuse
        wanted = [name if name.startswith("arn:") else task_arn(name) for name in tasks]
        return {"tasks": [self.tasks[name] for name in wanted if name in self.tasks]}

    def stop_task(self, cluster: str, task: str, reason: str) -> dict[str, Any]:
        self.stops.append({"cluster": cluster, "task": task, "reason": reason})
        return {"task": self.tasks[task] | {"desiredStatus": "STOPPED"}}

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        return {"services": [self.services[name] for name in services if name in self.services]}

    def get_paginator(self, operation: str) -> FakeEcs:
        return self

    def paginate(self, serviceName: str, **_: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's name
        running = [arn for arn, task in self.tasks.items() if task["lastStatus"] != "STOPPED"]
        yield {"taskArns": [arn for arn in running if self.tasks[arn]["group"] == f"service:{serviceName}"]}
        yield {"taskArns": []}


@dataclass
class FakeLedgerTable:
    items: list[dict[str, Any]] = field(default_factory=list)
    locks: dict[str, str] = field(default_factory=dict)

    def put_item(self, **request: Any) -> None:
        item = request["Item"]
        if not item["pk"]["S"].startswith("lock#"):
            self.items.append(item)
        elif self.locks.setdefault(item["pk"]["S"], item["owner"]["S"]) != item["owner"]["S"]:
            raise refused("PutItem", "ConditionalCheckFailedException", "it is another's")

    def delete_item(self, **request: Any) -> None:
        name, owner = request["Key"]["pk"]["S"], request["ExpressionAttributeValues"][":owner"]["S"]
        if self.locks.get(name) != owner:
            raise refused("DeleteItem", "ConditionalCheckFailedException", "it is another's")
        del self.locks[name]


@dataclass
class FakeClients:
    ecs: FakeEcs
    dynamodb: FakeLedgerTable = field(default_factory=FakeLedgerTable)
    asked: list[Access] = field(default_factory=list)

    def for_execution(self, name: str) -> FakeClients:
        return self

    def get(self, service: str, access: Access | None = None) -> Any:
        if service == "ecs":
            self.asked.append(access or Access())
        return {"ecs": self.ecs, "dynamodb": self.dynamodb}[service]


@pytest.fixture
def ecs() -> FakeEcs:
    return FakeEcs()


@pytest.fixture
def clients(ecs: FakeEcs) -> FakeClients:
    return FakeClients(ecs)


def node_task(task: str, **more: str) -> dict[str, str]:
    return {
        "cluster_arn": CLUSTER,
        "task_arn": task_arn(task),
        "service": "checkout",
        "region": "us-east-1",
    } | more


def call(
    clients: FakeClients,
    action: str = "stop",
    *,
    nodes: tuple[dict[str, str], ...] = (),
    state: dict[str, Any] | None = None,
    run: str = "run-1",
    **spec: Any,
) -> dict[str, Any]:
    whole = {
        "task": "",
        "cluster": "",
        "reason": "hung",
        "max_tasks": 1,
        "wait_s": 300,
        "wait_for_service": False,
        "even_if_unwell": False,
        "assume_role_arn": "",
    } | spec
    event = {
        "run": {"execution_arn": f"arn:…:{run}", "execution_name": run},
        "trigger": {"region": "us-east-1"},
        "step": {"name": "replace", "type": "stop_task", "on_failure": "stop", "spec": whole},
        "stop_tasks": list(nodes),
        "outcomes": [{"name": "dump", "summary": "2 of 2 nodes exited 0", "data": {"task": ""}}],
        "action": action,
        "state": state or {},
    }
    return stop_task.run(event, SETTINGS, clients)  # type: ignore[arg-type]


def test_the_task_named_is_stopped_with_a_reason_that_says_who_and_why(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")

    answer = call(clients, task="one", cluster="prod")

    assert ecs.stops == [
        {"cluster": "prod", "task": task_arn("one"), "reason": "Taskmedic: hung (execution run-1)"}
    ]
    assert (answer["done"], answer["wait_s"], answer["outcome"]) == (False, 1, None)


def test_the_stop_is_in_the_ledger_before_it_is_asked_for(ecs: FakeEcs, clients: FakeClients) -> None:
    """Its event may be faster than our next line."""
    ecs.has("one")
    seen: list[int] = []
    asked = ecs.stop_task
    ecs.stop_task = lambda **request: (seen.append(len(clients.dynamodb.items)), asked(**request))[1]  # type: ignore[method-assign,assignment]

    call(clients, task=task_arn("one"))

    assert seen == [1]
    item = clients.dynamodb.items[0]
    assert item["pk"]["S"] == f"service#{CLUSTER}/checkout"
    assert item["sk"]["S"].startswith("action#")
    assert item["task"]["S"] == task_arn("one")


def test_without_a_task_named_those_of_the_nodes_are_stopped(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")

    call(clients, nodes=(node_task("one"), node_task("two")), max_tasks=2)

    assert [stop["task"] for stop in ecs.stops] == [task_arn("one"), task_arn("two")]


def test_more_tasks_than_allowed_are_refused_and_none_is_stopped(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")

    with pytest.raises(TooManyTargets, match=r"would stop 2 tasks, and max_tasks is 1 .*nothing was stopped"):
        call(clients, nodes=(node_task("one"), node_task("two")))

    assert ecs.stops == []


def test_no_task_at_all_is_skipped_and_nothing_is_guessed(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")

    answer = call(clients)

    assert answer["done"]
    assert (answer["outcome"]["outcome"], answer["outcome"]["summary"]) == (
        "skipped",
        "no running task matches",
    )
    assert ecs.stops == []


def test_a_task_without_its_cluster_is_refused(ecs: FakeEcs, clients: FakeClients) -> None:
    with pytest.raises(StepInvalid, match="the task to stop is named without its cluster"):
        call(clients, task="one")


def test_a_task_that_does_not_exist_is_refused_before_any_is_stopped(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")

    with pytest.raises(TaskNotFound, match=r"task two does not exist \(cluster prod\)"):
        call(clients, nodes=(node_task("one"), node_task("two")), max_tasks=2)

    assert ecs.stops == []


@pytest.mark.parametrize(
    ("code", "error"),
    [("ClusterNotFoundException", ClusterNotFound), ("AccessDeniedException", AccessDenied)],
)
def test_what_ecs_refuses_is_an_error_of_ours(
    ecs: FakeEcs, clients: FakeClients, code: str, error: type[Exception]
) -> None:
    ecs.refuse = refused("DescribeTasks", code, "no")

    with pytest.raises(error):
        call(clients, task="one", cluster="prod")


def test_a_task_stopped_before_is_not_stopped_again(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.stopped("one")

    first = call(clients, task="one", cluster="prod")
    last = call(clients, "check", state=first["state"])

    assert ecs.stops == []
    assert last["outcome"]["outcome"] == "succeeded"
    assert last["outcome"]["summary"] == "task one is STOPPED; it had stopped before"


def test_calling_it_again_after_a_crash_stops_the_same_task_and_no_other(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")

    call(clients, task="one", cluster="prod")
    call(clients, task="one", cluster="prod")

    assert {stop["task"] for stop in ecs.stops} == {task_arn("one")}


def test_it_waits_until_ecs_says_stopped_less_and_less_often(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    answer = call(clients, task="one", cluster="prod")
    waits = [answer["wait_s"]]
    for _ in range(7):
        answer = call(clients, "check", state=answer["state"])
        waits.append(answer["wait_s"])

    ecs.stopped("one")
    answer = call(clients, "check", state=answer["state"])

    assert waits == [1, 2, 3, 5, 8, 13, 20, 20]
    assert answer["done"]
    (row,) = answer["outcome"]["data"]["tasks"]
    assert (row["outcome"], row["stop_code"]) == ("stopped", "UserInitiated")
    assert row["stopped_reason"] == "Taskmedic: hung (execution run-1)"


def test_a_stopped_task_that_ecs_has_forgotten_counts_as_stopped(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    state = call(clients, task="one", cluster="prod")["state"]
    ecs.tasks.clear()

    assert call(clients, "check", state=state)["outcome"]["outcome"] == "succeeded"


def test_a_task_that_does_not_stop_in_time_is_a_failed_step(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")

    state = call(clients, task="one", cluster="prod", wait_s=0)["state"]
    outcome = call(clients, "check", state=state)["outcome"]

    assert outcome["outcome"] == "failed"
    assert outcome["summary"] == "after 0 s still waiting: task one is RUNNING"


@pytest.mark.parametrize(
    ("running", "pending", "replacement", "waits_for"),
    [
        (1, 0, None, "service checkout runs 1 of 2 tasks"),
        (2, 1, "RUNNING", "service checkout runs 2 of 2 tasks"),
        (2, 0, None, "service checkout has started no new task yet"),
        (2, 0, "PENDING", "service checkout runs 2 of 2 tasks, and the new task three is not well"),
    ],
)
def test_it_waits_until_the_service_is_whole(
    ecs: FakeEcs, clients: FakeClients, running: int, pending: int, replacement: str | None, waits_for: str
) -> None:
    ecs.has("one")
    ecs.has("two")
    first = call(clients, task="one", cluster="prod", wait_for_service=True, wait_s=0)
    ecs.stopped("one")
    ecs.counts("checkout", desired=2, running=running, pending=pending)
    if replacement:
        ecs.has("three", status=replacement, createdAt=NOW + timedelta(seconds=1))

    outcome = call(clients, "check", state=first["state"])["outcome"]

    assert outcome["outcome"] == "failed"
    assert outcome["summary"] == f"after 0 s still waiting: {waits_for}"


def test_a_service_is_whole_with_a_new_task_that_is_well(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")
    first = call(clients, task="one", cluster="prod", wait_for_service=True)
    ecs.stopped("one")
    ecs.counts("checkout", desired=2, running=2)
    ecs.has("three", createdAt=NOW + timedelta(seconds=1), healthStatus="HEALTHY")

    outcome = call(clients, "check", state=first["state"])["outcome"]

    assert outcome["summary"] == "task one is STOPPED; checkout is whole again"


def test_a_service_with_an_unhealthy_new_task_is_not_whole(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    first = call(clients, task="one", cluster="prod", wait_for_service=True)
    ecs.stopped("one")
    ecs.counts("checkout", desired=1, running=1)
    ecs.has("two", createdAt=NOW + timedelta(seconds=1), healthStatus="UNHEALTHY")

    assert not call(clients, "check", state=first["state"])["done"]


def test_a_service_that_is_gone_ends_the_waiting_with_its_name(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    first = call(clients, task="one", cluster="prod", wait_for_service=True)
    ecs.stopped("one")

    with pytest.raises(ServiceNotFound, match="service checkout does not exist"):
        call(clients, "check", state=first["state"])


def test_a_standalone_task_has_no_service_to_wait_for(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("job", service="")
    first = call(clients, task="job", cluster="batch", wait_for_service=True)
    ecs.stopped("job")

    assert call(clients, "check", state=first["state"])["outcome"]["summary"] == "task job is STOPPED"


def test_the_role_that_found_a_task_stops_it_and_the_step_may_name_another(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")
    found = node_task("one", assume_role_arn="arn:found", external_id="x", region="eu-west-1")

    call(clients, nodes=(found,))
    call(clients, nodes=(found,), assume_role_arn="arn:other")

    assert Access("eu-west-1", "arn:found", "x") in clients.asked
    assert Access("eu-west-1", "arn:other") in clients.asked


def test_an_outcome_of_an_earlier_step_may_stand_in_the_reason(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")

    call(clients, task="one", cluster="prod", reason="hung; ${steps.dump.summary}")

    assert ecs.stops[0]["reason"] == "Taskmedic: hung; 2 of 2 nodes exited 0 (execution run-1)"


def test_a_task_that_an_earlier_step_left_empty_is_not_replaced_by_those_of_the_nodes(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")

    with pytest.raises(StepInvalid, match="empty once its text is completed"):
        call(clients, nodes=(node_task("one"),), task="${steps.dump.data.task}", cluster="prod")

    assert ecs.stops == []


CHECKOUT = f"lock#stop#{CLUSTER}/checkout"


def test_another_run_waits_until_the_service_is_whole(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")
    first = call(clients, task="one", cluster="prod", wait_for_service=True)

    second = call(clients, task="two", cluster="prod", run="run-2")
    second = call(clients, "check", state=second["state"], task="two", cluster="prod", run="run-2")

    assert [stop["task"] for stop in ecs.stops] == [task_arn("one")]
    assert (second["done"], second["outcome"]) == (False, None)

    ecs.stopped("one")
    ecs.counts("checkout", desired=2, running=2)
    ecs.has("three", createdAt=NOW + timedelta(seconds=1), healthStatus="HEALTHY")
    assert call(clients, "check", state=first["state"])["done"]
    second = call(clients, "check", state=second["state"], task="two", cluster="prod", run="run-2")

    assert [stop["task"] for stop in ecs.stops] == [task_arn("one"), task_arn("two")]
    ecs.stopped("two")
    assert call(clients, "check", state=second["state"], run="run-2")["outcome"]["outcome"] == "succeeded"
    assert clients.dynamodb.locks == {}


def test_a_turn_that_does_not_come_in_time_stops_nothing_and_says_why(
    ecs: FakeEcs, clients: FakeClients
) -> None:
    ecs.has("one")
    ecs.has("two")
    call(clients, task="one", cluster="prod")

    answer = call(clients, task="two", cluster="prod", run="run-2", wait_s=0)

    assert answer["outcome"]["outcome"] == "failed"
    assert (
        answer["outcome"]["summary"]
        == "nothing was stopped: for 0 s another run was replacing a task of service prod/checkout"
    )
    assert [stop["task"] for stop in ecs.stops] == [task_arn("one")]
    assert list(clients.dynamodb.locks) == [CHECKOUT]


def test_several_services_are_locked_together_or_not_at_all(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two", service="search")
    call(clients, task="two", cluster="prod")

    call(clients, nodes=(node_task("one"), node_task("two")), max_tasks=2, run="run-2")

    assert clients.dynamodb.locks == {f"lock#stop#{CLUSTER}/search": "run-1/replace"}


def test_a_repeated_stop_of_the_same_run_has_its_lock_again(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    call(clients, task="one", cluster="prod")
    ecs.stopped("one")

    again = call(clients, task="one", cluster="prod")
    call(clients, "check", state=again["state"])

    assert clients.dynamodb.locks == {}


def test_a_lock_outlasts_the_deadline_of_its_step(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    until: list[int] = []
    put = clients.dynamodb.put_item

    def keeping(**request: Any) -> None:
        if "lock_until" in request["Item"]:
            until.append(int(request["Item"]["lock_until"]["N"]))
        put(**request)

    clients.dynamodb.put_item = keeping  # type: ignore[method-assign]

    state = call(clients, task="one", cluster="prod", wait_s=600)["state"]

    assert until[0] >= state["deadline"] + 300


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_refused_stop_gives_the_turn_back(ecs: FakeEcs, clients: FakeClients, code: str) -> None:
    ecs.has("one")

    def refuse(**_: str) -> None:
        raise refused("StopTask", code, "no")

    ecs.stop_task = refuse  # type: ignore[method-assign,assignment]

    with pytest.raises(AwsError):
        call(clients, task="one", cluster="prod")

    assert clients.dynamodb.locks == {}


def test_a_stop_whose_answer_is_lost_keeps_the_turn(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")

    def lost(**_: str) -> None:
        raise ReadTimeoutError(endpoint_url="https://ecs")

    ecs.stop_task = lost  # type: ignore[method-assign,assignment]

    with pytest.raises(ReadTimeoutError):
        call(clients, task="one", cluster="prod")

    assert list(clients.dynamodb.locks) == [CHECKOUT]


def test_a_second_stop_that_is_refused_keeps_the_turn(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")
    asked = ecs.stop_task

    def once(**request: str) -> Any:
        if ecs.stops:
            raise refused("StopTask", "ThrottlingException", "no")
        return asked(**request)

    ecs.stop_task = once  # type: ignore[method-assign]

    with pytest.raises(AwsError):
        call(clients, nodes=(node_task("one"), node_task("two")), max_tasks=2)

    assert list(clients.dynamodb.locks) == [CHECKOUT]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_service_that_did_not_recover_is_left_to_nobody_unless_nothing_was_stopped(
    ecs: FakeEcs, clients: FakeClients, gone: bool, stopped_before: bool
) -> None:
    ecs.has("one")
    if stopped_before:
        ecs.stopped("one")
    first = call(clients, task="one", cluster="prod", wait_for_service=True, wait_s=0)
    ecs.stopped("one")
    if gone:
        with pytest.raises(ServiceNotFound):
            call(clients, "check", state=first["state"])
    else:
        ecs.counts("checkout", desired=2, running=1)
        assert call(clients, "check", state=first["state"])["outcome"]["outcome"] == "failed"

    assert list(clients.dynamodb.locks) == ([] if stopped_before else [CHECKOUT])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """``clock.now``: epoch seconds, which move when the test says so."""
    clock = SimpleNamespace(now=1_800_000_000.0)
    for module in (stop_task, turns):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def test_a_run_that_waited_too_long_stops_nothing_even_when_its_turn_has_come(
    ecs: FakeEcs, clients: FakeClients, clock: SimpleNamespace
) -> None:
    ecs.has("one")
    ecs.has("two")
    call(clients, task="one", cluster="prod")
    second = call(clients, task="two", cluster="prod", run="run-2")
    clients.dynamodb.locks.clear()
    clock.now += 300

    answer = call(clients, "check", state=second["state"], task="two", cluster="prod", run="run-2")

    assert answer["outcome"]["summary"] == (
        "nothing was stopped: for 300 s another run was replacing a task of service prod/checkout"
    )
    assert [stop["task"] for stop in ecs.stops] == [task_arn("one")]


def test_no_healthy_task_is_stopped_while_the_service_lacks_one(
    ecs: FakeEcs, clients: FakeClients, clock: SimpleNamespace
) -> None:
    ecs.has("one")
    ecs.counts("checkout", desired=3, running=2)

    answer = call(clients, task="one", cluster="prod")
    assert (answer["done"], ecs.stops, clients.dynamodb.locks) == (False, [], {})
    clock.now += 300
    late = call(clients, "check", state=answer["state"], task="one", cluster="prod")

    assert late["outcome"]["outcome"] == "failed"
    assert late["outcome"]["summary"] == (
        "nothing was stopped: for 300 s service prod/checkout ran 2 of 3 tasks"
    )
    assert ecs.stops == []

    ecs.counts("checkout", desired=3, running=3)
    call(clients, "check", state=answer["state"] | {"deadline": clock.now + 1}, task="one", cluster="prod")
    assert [stop["task"] for stop in ecs.stops] == [task_arn("one")]


@pytest.mark.parametrize(
    ("task", "spec"),
    [
        ({"healthStatus": "UNHEALTHY"}, {}),
        ({"status": "PENDING"}, {}),
        ({}, {"even_if_unwell": True}),
    ],
)
def test_a_task_of_a_broken_service_may_be_stopped_when_it_is_unwell_itself_or_a_person_says_so(
    ecs: FakeEcs, clients: FakeClients, task: dict[str, str], spec: dict[str, bool]
) -> None:
    ecs.has("one", **task)
    ecs.counts("checkout", desired=3, running=2)

    call(clients, task="one", cluster="prod", **spec)

    assert [stop["task"] for stop in ecs.stops] == [task_arn("one")]


def test_a_repeated_stop_goes_on_with_what_it_has_begun(ecs: FakeEcs, clients: FakeClients) -> None:
    """The service lacks a task because this step stopped it, in a call whose answer was lost."""
    ecs.has("one", status="DEPROVISIONING", stoppedReason="Taskmedic: hung (execution run-1)")
    ecs.has("two")
    ecs.counts("checkout", desired=2, running=1)

    call(clients, nodes=(node_task("one"), node_task("two")), max_tasks=2)

    assert [stop["task"] for stop in ecs.stops] == [task_arn("one"), task_arn("two")]


def test_a_standalone_task_waits_for_nobody(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("job", service="")

    call(clients, task="job", cluster="batch")

    assert clients.dynamodb.locks == {}


def test_the_outcome_of_fifty_stops_is_bounded(ecs: FakeEcs, clients: FakeClients) -> None:
    service = "s" * 255
    names = [f"{number:032x}" for number in range(50)]
    for name in names:
        ecs.has(name, service=service)
    first = call(clients, nodes=tuple(node_task(name) for name in names), max_tasks=50, wait_s=0)
    for name in names:
        ecs.tasks[task_arn(name)] |= {"stoppedReason": "r" * 1024}

    outcome = call(clients, "check", state=first["state"])["outcome"]

    assert json_bytes(outcome) <= OUTCOME_BYTES
    assert len(outcome["data"]["tasks"]) + outcome["data"]["tasks_left_out"] == 50


def planned(clients: FakeClients, **given: Any) -> tuple[str, str]:
    answer = call(clients, "plan", **given)
    assert answer["done"]
    assert clients.ecs.stops == []
    assert clients.dynamodb == FakeLedgerTable()
    return answer["outcome"]["outcome"], answer["outcome"]["summary"]


def test_a_dry_run_names_what_it_would_stop_and_touches_nothing(ecs: FakeEcs, clients: FakeClients) -> None:
    ecs.has("one")
    ecs.has("two")
    both = (node_task("one"), node_task("two"))

    assert planned(clients, task="one", cluster="prod") == ("planned", "would stop task one")
    assert planned(clients, nodes=both, max_tasks=2) == ("planned", "would stop 2 tasks: one, two")
    assert planned(clients) == ("planned", "would stop nothing: no running task matches")
    later = planned(clients, task="${steps.dump.data.task}", cluster="prod")
    assert later == ("planned", "would stop the task that an earlier step tells of")
    ecs.stopped("one")
    assert planned(clients, task="one", cluster="prod")[1] == "would stop nothing: task one is STOPPED"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"task": "one", "cluster": "prod"}, TaskNotFound),
        ({"task": "one"}, StepInvalid),
        ({"nodes": (node_task("one"), node_task("two"))}, TooManyTargets),
    ],
)
def test_a_dry_run_is_refused_where_the_stop_would_be(
    clients: FakeClients, given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        planned(clients, **given)
