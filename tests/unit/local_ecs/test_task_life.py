"""A task's life: its states in order, its events, and the hour after its end."""

from __future__ import annotations

import pytest
from tests.unit.local_ecs.builders import LocalEcs, Refused, a_definition, a_host


def test_a_task_goes_through_every_state_and_each_is_an_event(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    assert (task["lastStatus"], task["desiredStatus"]) == ("PROVISIONING", "RUNNING")
    ecs.pass_time(30)
    ecs.call("StopTask", cluster="prod", task=task["taskArn"], reason="drill")
    ecs.pass_time(30)
    assert ecs.history(task["taskArn"]) == [
        (1, "PROVISIONING"),
        (2, "PENDING"),
        (3, "RUNNING"),
        (4, "RUNNING"),  # it is to stop
        (5, "DEACTIVATING"),
        (6, "STOPPING"),
        (7, "DEPROVISIONING"),
        (8, "STOPPED"),
    ]


def test_the_agent_of_ecs_exec_starts_after_the_container(ecs: LocalEcs) -> None:
    (task,) = ecs.call(
        "RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE", enableExecuteCommand=True
    )["tasks"]
    ecs.pass_time(30)
    running = [e["detail"] for e in ecs.events if e["detail"]["lastStatus"] == "RUNNING"]
    agents = [detail["containers"][0]["managedAgents"][0]["status"] for detail in running]
    assert agents == ["PENDING", "RUNNING"]
    described = ecs.describe(task["taskArn"])["containers"][0]["managedAgents"][0]
    assert (described["name"], described["lastStatus"]) == ("ExecuteCommandAgent", "RUNNING")


def test_an_event_has_the_shape_of_ecs(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    ecs.pass_time(30)
    ecs.call("StopTask", cluster="prod", task=task["taskArn"])
    ecs.pass_time(30)
    event = ecs.events[-1]
    assert event["source"] == "aws.ecs"
    assert event["detail-type"] == "ECS Task State Change"
    assert event["resources"] == [task["taskArn"]]
    assert (event["account"], event["region"]) == ("123456789012", "eu-west-1")
    detail = event["detail"]
    assert detail["stopCode"] == "UserInitiated"
    assert detail["stoppedReason"] == "Task stopped by user"
    assert detail["containers"][0]["exitCode"] == 143
    assert "healthStatus" not in detail
    assert "tags" not in detail
    assert detail["attachments"][0]["type"] == "eni"
    for name in ("createdAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt", "updatedAt"):
        assert detail[name].endswith("Z"), name
    assert detail["createdAt"] < detail["startedAt"] < detail["stoppingAt"] < detail["stoppedAt"]


def test_a_stop_is_idempotent(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    ecs.pass_time(30)
    ecs.call("StopTask", cluster="prod", task=task["taskArn"], reason="first")
    again = ecs.call("StopTask", cluster="prod", task=task["taskArn"], reason="second")["task"]
    assert again["stoppedReason"] == "first"
    ecs.pass_time(30)
    after = ecs.call("StopTask", cluster="prod", task=task["taskArn"], reason="third")["task"]
    assert (after["stoppedReason"], after["lastStatus"]) == ("first", "STOPPED")


def test_a_task_stopped_before_it_ran_has_no_exit_code(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    ecs.call("StopTask", cluster="prod", task=task["taskArn"])
    ecs.pass_time(30)
    described = ecs.describe(task["taskArn"])
    assert described["lastStatus"] == "STOPPED"
    assert "startedAt" not in described
    assert all("exitCode" not in container for container in described["containers"])
    assert "RUNNING" not in [status for _, status in ecs.history(task["taskArn"])]


def test_a_stopped_task_is_forgotten_after_an_hour(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    ecs.pass_time(30)
    ecs.call("StopTask", cluster="prod", task=task["taskArn"])
    ecs.pass_time(30)
    stopped = ecs.call("ListTasks", cluster="prod", desiredStatus="STOPPED")["taskArns"]
    assert stopped == [task["taskArn"]]
    ecs.pass_time(3600)
    answer = ecs.call("DescribeTasks", cluster="prod", tasks=[task["taskArn"]])
    assert answer == {"tasks": [], "failures": [{"arn": task["taskArn"], "reason": "MISSING"}]}
    with pytest.raises(Refused, match="InvalidParameterException: The referenced task was not found"):
        ecs.call("StopTask", cluster="prod", task=task["taskArn"])


def test_processes_end_with_their_container(ecs: LocalEcs) -> None:
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
    ecs.pass_time(30)
    runtime_ids = [each["runtimeId"] for each in ecs.describe(task["taskArn"])["containers"]]
    assert ecs.gone == []
    ecs.call("StopTask", cluster="prod", task=task["taskArn"])
    ecs.pass_time(30)
    assert sorted(ecs.gone) == sorted(runtime_ids)


def test_on_ec2_a_task_without_an_interface_is_neither_provisioned_nor_deprovisioned(ecs: LocalEcs) -> None:
    ecs.call("CreateCluster", clusterName="batch")
    ecs.call(
        "RegisterTaskDefinition",
        **a_definition(family="job", networkMode="bridge", requiresCompatibilities=["EC2"]),
    )
    with pytest.raises(Refused, match="No Container Instances were found in your cluster"):
        ecs.call("RunTask", cluster="batch", taskDefinition="job", launchType="EC2")
    a_host(ecs, "batch")
    (task,) = ecs.call("RunTask", cluster="batch", taskDefinition="job", launchType="EC2")["tasks"]
    ecs.pass_time(30)
    ecs.call("StopTask", cluster="batch", task=task["taskArn"])
    ecs.pass_time(30)
    states = [status for _, status in ecs.history(task["taskArn"])]
    assert states == ["PENDING", "RUNNING", "RUNNING", "DEACTIVATING", "STOPPING", "STOPPED"]
    described = ecs.describe(task["taskArn"], "batch")
    assert described["containerInstanceArn"].startswith(
        "arn:aws:ecs:eu-west-1:123456789012:container-instance/batch/"
    )
    assert described["attachments"] == []
    assert "platformVersion" not in described
