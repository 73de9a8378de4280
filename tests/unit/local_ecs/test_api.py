"""The API: answers in the shapes of AWS's own model, its errors by name, its filters and limits."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from tests.unit.local_ecs.builders import LocalEcs, Refused, a_definition, a_host

MODEL = botocore.session.get_session().get_service_model("ecs")
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
    "double": (int, float),
}


def misfits(value: Any, shape: Shape, path: str = "") -> list[str]:
    """Where ``value`` is not what the model says, by path."""
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no structure"]
        unknown = [f"{path}.{name}: is not in the model" for name in value if name not in shape.members]
        known = [misfits(v, shape.members[k], f"{path}.{k}") for k, v in value.items() if k in shape.members]
        return unknown + [each for found in known for each in found]
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [each for n, v in enumerate(value) for each in misfits(v, shape.member, f"{path}[{n}]")]
    if isinstance(shape, MapShape):
        return [each for k, v in value.items() for each in misfits(v, shape.value, f"{path}.{k}")]
    fits = isinstance(value, KINDS[shape.type_name]) and (
        shape.type_name == "boolean" or not isinstance(value, bool)
    )
    return [] if fits else [f"{path}: {value!r} is no {shape.type_name}"]


def call(ecs: LocalEcs, operation: str, **body: Any) -> dict[str, Any]:
    """The answer, after it was held against the model."""
    answer = ecs.call(operation, **body)
    output = MODEL.operation_model(operation).output_shape
    assert output is not None
    assert misfits(answer, output) == []
    return answer


def test_every_answer_has_the_shape_of_the_model(web: LocalEcs) -> None:
    host = a_host(web, "prod")
    web.call(
        "RegisterTaskDefinition",
        **a_definition(family="job", networkMode="bridge", requiresCompatibilities=[]),
    )
    service = web.engine.cluster("123456789012", "eu-west-1", "prod").services["web"]
    web.causes.strike("out_of_memory", web.order(service))
    ran = call(web, "RunTask", cluster="prod", taskDefinition="job", launchType="EC2")["tasks"]
    web.pass_time(20)
    arns = call(web, "ListTasks", cluster="prod")["taskArns"]
    stopped = call(web, "ListTasks", cluster="prod", desiredStatus="STOPPED")["taskArns"]
    described = call(
        web, "DescribeTasks", cluster="prod", tasks=[*arns, *stopped, "f" * 32], include=["TAGS"]
    )
    assert len(described["tasks"]) == 4
    assert len(described["failures"]) == 1
    call(web, "DescribeClusters", clusters=["prod", "none"], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])
    call(web, "ListClusters")
    call(web, "ListServices", cluster="prod")
    call(web, "DescribeServices", cluster="prod", services=["web", "none"], include=["TAGS"])
    call(web, "ListTaskDefinitions")
    call(web, "DescribeTaskDefinition", taskDefinition="web", include=["TAGS"])
    call(web, "ListContainerInstances", cluster="prod")
    call(
        web,
        "DescribeContainerInstances",
        cluster="prod",
        containerInstances=[host.arn, "0" * 32],
        include=["TAGS"],
    )
    call(web, "UpdateService", cluster="prod", service="web", desiredCount=1)
    call(web, "ExecuteCommand", cluster="prod", task=arns[0], container="app", command="id", interactive=True)
    call(web, "StopTask", cluster="prod", task=ran[0]["taskArn"])
    call(web, "TagResource", resourceArn=arns[0], tags=[{"key": "a", "value": "b"}])
    call(web, "ListTagsForResource", resourceArn=arns[0])
    call(web, "UntagResource", resourceArn=arns[0], tagKeys=["a"])
    call(web, "DeregisterTaskDefinition", taskDefinition="job:1")
    call(web, "DeleteService", cluster="prod", service="web", force=True)


def test_the_check_of_shapes_finds_what_is_wrong() -> None:
    output = MODEL.operation_model("ListTasks").output_shape
    assert output is not None
    assert misfits({"taskArns": [1], "extra": 2}, output) == [
        ".extra: is not in the model",
        ".taskArns[0]: 1 is no string",
    ]


@pytest.mark.parametrize(
    ("operation", "body", "error"),
    [
        ("ListTasks", {"cluster": "none"}, "ClusterNotFoundException: Cluster not found."),
        ("ListTasks", {}, "ClusterNotFoundException: Cluster not found."),
        (
            "ListTasks",
            {"cluster": "prod", "serviceName": "none"},
            "ServiceNotFoundException: Service not found.",
        ),
        ("ListTasks", {"cluster": "prod", "maxResults": 101}, "InvalidParameterException: maxResults"),
        (
            "DescribeTasks",
            {"cluster": "prod", "tasks": []},
            "InvalidParameterException: Tasks cannot be empty.",
        ),
        (
            "DescribeTasks",
            {"cluster": "prod", "tasks": ["a" * 32] * 101},
            "InvalidParameterException: taskIds can have at most 100 items.",
        ),
        (
            "DescribeTasks",
            {"cluster": "prod", "tasks": ["app"]},
            "InvalidParameterException: task length should be one of",
        ),
        (
            "DescribeServices",
            {"cluster": "prod", "services": ["s"] * 11},
            "InvalidParameterException: service names can have at most 10 items.",
        ),
        (
            "DescribeContainerInstances",
            {"cluster": "prod", "containerInstances": ["i"] * 101},
            "InvalidParameterException: instanceIds can have at most 100 items.",
        ),
        (
            "DescribeTaskDefinition",
            {"taskDefinition": "none"},
            "ClientException: Unable to describe task definition.",
        ),
        (
            "RunTask",
            {"cluster": "prod", "taskDefinition": "none"},
            "ClientException: TaskDefinition not found.",
        ),
        (
            "RunTask",
            {"cluster": "prod", "taskDefinition": "web", "count": 11},
            "InvalidParameterException: count",
        ),
        (
            "RunTask",
            {
                "cluster": "prod",
                "taskDefinition": "web",
                "overrides": {"containerOverrides": [{"name": "db"}]},
            },
            "Override for container named db is not a container in the TaskDefinition.",
        ),
        (
            "StopTask",
            {"cluster": "prod", "task": "0" * 32},
            "InvalidParameterException: The referenced task was not",
        ),
        (
            "UpdateService",
            {"cluster": "prod", "service": "none"},
            "ServiceNotFoundException: Service not found.",
        ),
        (
            "CreateService",
            {"cluster": "prod", "serviceName": "web", "taskDefinition": "web"},
            "InvalidParameterException: Creation of service was not idempotent.",
        ),
        (
            "RegisterTaskDefinition",
            {"family": "x", "containerDefinitions": []},
            "ClientException: Container list",
        ),
        (
            "RegisterTaskDefinition",
            {"family": "x", "containerDefinitions": [{"name": "a"}]},
            "ClientException: Container.image should not be null or empty.",
        ),
        (
            "ListTagsForResource",
            {"resourceArn": "arn:aws:s3:::b"},
            "InvalidParameterException: Invalid identifier",
        ),
        (
            "DescribeTasks",
            {"cluster": "prod", "tasks": "all"},
            "SerializationException: Invalid type for parameter tasks",
        ),
        ("DescribeTasks", {"cluster": "prod"}, "SerializationException: Missing required parameter"),
        ("PutAttributes", {}, "UnknownOperationException"),
    ],
)
def test_errors_by_name_and_text(web: LocalEcs, operation: str, body: dict[str, Any], error: str) -> None:
    with pytest.raises(Refused) as refusal:
        web.call(operation, **body)
    assert str(refusal.value).startswith(error) or refusal.value.message.startswith(error)


def test_tasks_are_filtered(web: LocalEcs) -> None:
    host = a_host(web, "prod")
    web.call(
        "RegisterTaskDefinition",
        **a_definition(family="job", networkMode="bridge", requiresCompatibilities=["EC2"]),
    )
    (job,) = web.call("RunTask", cluster="prod", taskDefinition="job", launchType="EC2", startedBy="cron")[
        "tasks"
    ]
    service = web.running()

    def found(**how: str) -> set[str]:
        return set(web.call("ListTasks", cluster="prod", **how)["taskArns"])

    assert found() == {*service, job["taskArn"]}
    assert found(family="job") == {job["taskArn"]}
    assert found(serviceName="web") == set(service)
    assert found(startedBy="cron") == {job["taskArn"]}
    assert found(launchType="FARGATE") == set(service)
    assert found(containerInstance=host.arn) == {job["taskArn"]}
    assert found(family="job", launchType="FARGATE") == set()
    assert found(desiredStatus="STOPPED") == set()
    assert found(desiredStatus="PENDING") == set()
    web.call("StopTask", cluster="prod", task=job["taskArn"])
    assert found(desiredStatus="STOPPED") == {job["taskArn"]}
    assert found() == set(service)


def test_tags_come_only_when_asked_for(ecs: LocalEcs) -> None:
    tags = [{"key": "team", "value": "shop"}]
    (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE", tags=tags)[
        "tasks"
    ]
    assert ecs.describe(task["taskArn"])["tags"] == []
    (shown,) = ecs.call("DescribeTasks", cluster="prod", tasks=[task["taskArn"]], include=["TAGS"])["tasks"]
    assert shown["tags"] == tags


def test_revisions_count_up_and_an_inactive_one_cannot_be_run(ecs: LocalEcs) -> None:
    ecs.call("RegisterTaskDefinition", **a_definition())
    assert ecs.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["revision"] == 2
    ecs.call("DeregisterTaskDefinition", taskDefinition="web:2")
    assert ecs.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["revision"] == 1
    assert (
        ecs.call("DescribeTaskDefinition", taskDefinition="web:2")["taskDefinition"]["status"] == "INACTIVE"
    )
    with pytest.raises(Refused, match="ClientException: TaskDefinition is inactive"):
        ecs.call("RunTask", cluster="prod", taskDefinition="web:2", launchType="FARGATE")
    assert ecs.call("ListTaskDefinitions", familyPrefix="web")["taskDefinitionArns"] == [
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1"
    ]


def test_accounts_and_regions_are_kept_apart(web: LocalEcs) -> None:
    assert web.call("ListClusters", account="210987654321")["clusterArns"] == []
    assert web.call("ListClusters", region="us-west-2")["clusterArns"] == []
    web.call("CreateCluster", clusterName="prod", account="210987654321")
    assert web.call("ListTasks", cluster="prod", account="210987654321")["taskArns"] == []
    own = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
    with pytest.raises(Refused, match="ClusterNotFoundException"):
        web.call("ListTasks", cluster=own, account="210987654321")
    assert len(web.call("ListTasks", cluster=own)["taskArns"]) == 2


class TestExecuteCommand:
    def execute(self, ecs: LocalEcs, task: str, **more: Any) -> dict[str, Any]:
        body = {"container": "app", "command": "id", "interactive": True, **more}
        return ecs.call("ExecuteCommand", cluster="prod", task=task, **body)

    def test_a_session_is_opened_in_the_container(self, web: LocalEcs) -> None:
        task = web.running()[0]
        answer = self.execute(web, task)
        assert answer["containerName"] == "app"
        assert answer["taskArn"] == task
        assert set(answer["session"]) == {"sessionId", "streamUrl", "tokenValue"}
        assert web.opened == [(task.rsplit("/", 1)[-1], "app", "id")]

    def test_only_interactive_commands(self, web: LocalEcs) -> None:
        with pytest.raises(
            Refused, match="InvalidParameterException: Interactive is the only mode supported"
        ):
            self.execute(web, web.running()[0], interactive=False)
        assert web.opened == []

    def test_a_task_of_several_containers_needs_a_name(self, web: LocalEcs) -> None:
        with pytest.raises(Refused, match="InvalidParameterException: A container name must be specified"):
            self.execute(web, web.running()[0], container="")
        with pytest.raises(Refused, match="InvalidParameterException: The container db was not found"):
            self.execute(web, web.running()[0], container="db")

    def test_not_enabled(self, ecs: LocalEcs) -> None:
        (task,) = ecs.call("RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE")["tasks"]
        ecs.pass_time(60)
        with pytest.raises(Refused, match=r"InvalidParameterException: .*execute command was not enabled"):
            self.execute(ecs, task["taskArn"])

    def test_the_agent_does_not_run_yet(self, ecs: LocalEcs) -> None:
        (task,) = ecs.call(
            "RunTask", cluster="prod", taskDefinition="web", launchType="FARGATE", enableExecuteCommand=True
        )["tasks"]
        ecs.pass_time(11)
        assert ecs.describe(task["taskArn"])["lastStatus"] == "RUNNING"
        with pytest.raises(Refused, match=r"InvalidParameterException: .*agent isn't running"):
            self.execute(ecs, task["taskArn"])

    def test_a_stopped_task(self, web: LocalEcs) -> None:
        task = web.running()[0]
        web.call("StopTask", cluster="prod", task=task)
        web.pass_time(30)
        with pytest.raises(Refused, match=r"InvalidParameterException: .*agent isn't running"):
            self.execute(web, task)

    def test_exec_needs_a_task_role(self, ecs: LocalEcs) -> None:
        ecs.call("RegisterTaskDefinition", **{**a_definition(family="bare"), "taskRoleArn": ""})
        with pytest.raises(Refused, match="valid taskRoleArn is not being used"):
            ecs.call(
                "RunTask",
                cluster="prod",
                taskDefinition="bare",
                launchType="FARGATE",
                enableExecuteCommand=True,
            )
