"""The local ECS as boto3 sees it: the shop, pages, accounts, events on the bus, lines in the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from taskmedic_local.cloud import LocalCloud

OTHER_ACCOUNT = "210987654321"


def test_the_shop(aws: Callable[[str], Any]) -> None:
    ecs = aws("ecs")
    names = [arn.rsplit("/", 1)[-1] for arn in ecs.list_clusters()["clusterArns"]]
    assert sorted(names) == ["batch", "prod"]
    services = ecs.describe_services(cluster="prod", services=["checkout", "search"])["services"]
    assert [
        (each["serviceName"], each["runningCount"], each["enableExecuteCommand"]) for each in services
    ] == [
        ("checkout", 2, True),
        ("search", 2, True),
    ]
    arns = ecs.list_tasks(cluster="prod")["taskArns"]
    tasks = ecs.describe_tasks(cluster="prod", tasks=arns, include=["TAGS"])["tasks"]
    containers = {(task["group"], each["name"]) for task in tasks for each in task["containers"]}
    assert containers == {
        ("service:checkout", "app"),
        ("service:checkout", "proxy"),
        ("service:search", "app"),
    }
    agents = {each["managedAgents"][0]["lastStatus"] for task in tasks for each in task["containers"]}
    assert agents == {"RUNNING"}
    assert all(task["tags"] for task in tasks)
    (report,) = ecs.describe_tasks(cluster="batch", tasks=ecs.list_tasks(cluster="batch")["taskArns"])[
        "tasks"
    ]
    (host,) = ecs.describe_container_instances(
        cluster="batch", containerInstances=[report["containerInstanceArn"]]
    )["containerInstances"]
    assert host["ec2InstanceId"].startswith("i-")
    assert host["runningTasksCount"] == 1


def test_the_subnets_and_roles_of_the_shop_exist(aws: Callable[[str], Any]) -> None:
    ecs = aws("ecs")
    task = ecs.describe_tasks(cluster="prod", tasks=ecs.list_tasks(cluster="prod")["taskArns"])["tasks"][0]
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    (subnet,) = aws("ec2").describe_subnets(SubnetIds=[details["subnetId"]])["Subnets"]
    assert subnet["AvailabilityZone"] == task["availabilityZone"]
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    for arn in (definition["taskRoleArn"], definition["executionRoleArn"]):
        assert aws("iam").get_role(RoleName=arn.rsplit("/", 1)[-1])["Role"]["Arn"] == arn


def test_a_crowd_is_paged(cloud: LocalCloud, aws: Callable[[str], Any]) -> None:
    cloud.world.crowd(2, 250)
    for name in ("crowd-0", "crowd-1"):
        pages = list(aws("ecs").get_paginator("list_tasks").paginate(cluster=name))
        assert [len(page["taskArns"]) for page in pages] == [100, 100, 50]
        arns = {arn for page in pages for arn in page["taskArns"]}
        assert len(arns) == 250
        assert all(f":task/{name}/" in arn for arn in arns)


def test_an_assumed_role_sees_its_own_account(cloud: LocalCloud, aws: Callable[[str], Any]) -> None:
    cloud.world.crowd(1, 3, account=OTHER_ACCOUNT)
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/reader"
    keys = aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")
    other: Any = session.client("ecs", endpoint_url=cloud.endpoint)
    (cluster,) = other.list_clusters()["clusterArns"]
    assert cluster == f"arn:aws:ecs:us-east-1:{OTHER_ACCOUNT}:cluster/crowd-0"
    assert len(other.list_tasks(cluster=cluster)["taskArns"]) == 3
    with pytest.raises(other.exceptions.ClusterNotFoundException):
        other.list_tasks(cluster="prod")
    with pytest.raises(aws("ecs").exceptions.ClusterNotFoundException):
        aws("ecs").list_tasks(cluster=cluster)


def test_errors_are_those_of_the_sdk(aws: Callable[[str], Any]) -> None:
    ecs = aws("ecs")
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        ecs.update_service(cluster="prod", service="none")
    with pytest.raises(ecs.exceptions.InvalidParameterException, match="The referenced task was not found"):
        ecs.stop_task(cluster="prod", task="0" * 32)
    with pytest.raises(ClientError) as refusal:
        ecs.put_account_setting(name="containerInsights", value="enabled")
    assert refusal.value.response["Error"]["Code"] == "UnknownOperationException"


def test_a_dying_container_leaves_its_last_words_in_cloudwatch_logs(
    cloud: LocalCloud, aws: Callable[[str], Any], wait_for: Callable[..., Any]
) -> None:
    (task,) = cloud.world.strike("exit", "prod", service="checkout", log_lines=["first", "last words"])
    logs = aws("logs")

    def lines() -> list[str]:
        try:
            found = logs.get_log_events(
                logGroupName="/ecs/checkout", logStreamName=f"ecs/app/{task.id}", startFromHead=True
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in found["events"]]

    assert wait_for(lines) == ["first", "last words"]


def test_a_stopped_task_is_told_on_the_bus(
    cloud: LocalCloud, aws: Callable[[str], Any], wait_for: Callable[..., Any]
) -> None:
    queue = aws("sqs").create_queue(QueueName="task-events")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    pattern = {"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"]}}
    aws("events").put_rule(Name="stopped", EventPattern=json.dumps(pattern))
    aws("events").put_targets(Rule="stopped", Targets=[{"Id": "queue", "Arn": arn}])
    (task,) = cloud.world.strike("out_of_memory", "prod", service="checkout")
    messages = wait_for(lambda: aws("sqs").receive_message(QueueUrl=queue).get("Messages"))
    aws("events").remove_targets(Rule="stopped", Ids=["queue"])
    aws("events").delete_rule(Name="stopped")
    event = json.loads(messages[0]["Body"])
    assert event["detail"]["taskArn"] == task.arn
    assert event["detail"]["containers"][0]["reason"].startswith("OutOfMemoryError")


class TestLevers:
    @pytest.fixture
    def pull(self, cloud: LocalCloud) -> Callable[..., tuple[int, Any]]:
        """A request to ``/_local/world/``: status and JSON."""

        def request(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            url = f"{cloud.endpoint}/_local/world/{path}"
            answer = (
                urllib3.request(method, url, json=body) if body is not None else urllib3.request(method, url)
            )
            return answer.status, answer.json()

        return request

    def test_a_cause(self, pull: Any, aws: Callable[[str], Any]) -> None:
        status, answer = pull(
            "POST", "causes", {"cause": "out_of_memory", "cluster": "prod", "service": "search"}
        )
        assert status == 200
        (arn,) = answer["tasks"]
        (task,) = aws("ecs").describe_tasks(cluster="prod", tasks=[arn])["tasks"]
        assert task["desiredStatus"] == "STOPPED"

    @pytest.mark.parametrize(
        ("body", "complaint"),
        [
            ({"cluster": "prod"}, "cause: is missing"),
            ({"cause": "fire", "cluster": "prod", "service": "search"}, "cause: 'fire' is not known"),
            ({"cause": "exit", "cluster": "none"}, "Cluster not found."),
            (
                {"cause": "exit", "cluster": "prod", "service": "none"},
                "service: cluster prod has no service 'none'",
            ),
            ({"cause": "exit", "cluster": "prod", "task": "0" * 32}, "The referenced task was not found."),
            ({"cause": "exit", "cluster": 7}, "cluster: must be a text"),
            (
                {"cause": "exit", "cluster": "prod", "exit_code": "x"},
                "exit_code: must be a number, 0 or more",
            ),
            ({"cause": "exit", "cluster": "prod", "speed": 3}, "speed"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, pull: Any, body: dict[str, Any], complaint: str) -> None:
        status, answer = pull("POST", "causes", body)
        assert status == 400
        assert complaint in answer["error"]

    def test_faults_on_the_wire(self, pull: Any, cloud: LocalCloud) -> None:
        assert pull("POST", "wire", {"lose": 0.25, "seed": 3})[0] == 200
        assert cloud.world.gateway.faults.lose == 0.25
        assert pull("GET", "wire")[1]["seed"] == 3
        status, answer = pull("POST", "wire", {"loose": 1})
        assert status == 400
        assert answer["error"].startswith("faults.loose: no such field")
        task = next(iter(cloud.world.cluster("prod").services["checkout"].tasks.values()))
        one = {"cluster": "prod", "task": task.arn, "container": "app"}
        assert pull("POST", "wire", {**one, "lose": 1.0})[0] == 200
        assert cloud.world.gateway.faults.lose == 0.25
        assert pull("POST", "wire", {**one, "container": "db"})[0] == 400
        assert pull("DELETE", "wire")[0] == 200
        assert cloud.world.gateway.faults.lose == 0

    def test_an_agent_out_of_reach(self, pull: Any, aws: Callable[[str], Any]) -> None:
        ecs = aws("ecs")
        task = ecs.list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
        call = {"cluster": "prod", "task": task, "container": "app"}
        assert pull("POST", "agents", {**call, "connected": False})[0] == 200
        with pytest.raises(ecs.exceptions.TargetNotConnectedException):
            ecs.execute_command(**call, command="id", interactive=True)

    def test_expired_tokens(self, pull: Any, aws: Callable[[str], Any]) -> None:
        ecs = aws("ecs")
        token = ecs.list_tasks(cluster="prod", maxResults=1)["nextToken"]
        assert pull("POST", "expired-tokens")[0] == 200
        with pytest.raises(ecs.exceptions.InvalidParameterException, match="Invalid token"):
            ecs.list_tasks(cluster="prod", maxResults=1, nextToken=token)

    def test_a_crowd(self, pull: Any, aws: Callable[[str], Any]) -> None:
        assert pull("POST", "crowd", {"clusters": 2, "tasks": 3})[0] == 200
        assert len(aws("ecs").list_tasks(cluster="crowd-1")["taskArns"]) == 3

    def test_there_is_no_such_lever(self, pull: Any) -> None:
        assert pull("POST", "moon")[0] == 404
