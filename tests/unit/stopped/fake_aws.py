"""AWS as far as collecting stopped tasks needs it: answers from plain data, counts calls, fails on order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from tests.unit.diagnosis.builders import ACCOUNT, REGION, TaskBuilder, a_task, arn

from taskmedic.aws.clients import Access

NOW = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
TARGET_GROUP = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/orders/0a1b2c3d4e5f6a7b"


def error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


class _Client:
    def __init__(self, aws: FakeAws, service: str, access: Access | None) -> None:
        self._aws, self._service, self._access = aws, service, access

    def get_paginator(self, operation: str) -> Any:
        aws = self._aws

        class Paginator:
            def paginate(self, **request: Any) -> Any:
                return aws.pages(operation, request)

        return Paginator()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **request: self._aws.answer(operation, request, self._access)


class FakeAws:
    """Stands in for ``Clients``. Change its members to change the world."""

    def __init__(self, *tasks: TaskBuilder) -> None:
        self.tasks = {task["taskArn"]: task for task in tasks}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, dict[str, Any]] = {}
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.targets: dict[str, list[dict[str, Any]]] = {}
        self.tokens_that_expire = 0
        self.images: dict[str, datetime] = {}
        self.route_tables: list[dict[str, Any]] = []
        self.endpoints: list[dict[str, Any]] = []
        self.security_groups: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = []
        self.objects: dict[str, bytes] = {}
        self.fail: dict[str, Exception] = {}
        self.hang: dict[str, threading.Event] = {}
        self.calls: Counter[str] = Counter()
        self.accesses: dict[str, Access | None] = {}
        self._lock = threading.Lock()

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        return _Client(self, service, access)

    def for_execution(self, execution_name: str) -> FakeAws:
        return self

    def answer(self, operation: str, request: dict[str, Any], access: Access | None = None) -> Any:
        with self._lock:
            self.calls[operation] += 1
            self.accesses[operation] = access
        if operation in self.hang:
            self.hang[operation].wait(30)
        if operation in self.fail:
            raise self.fail[operation]
        return getattr(self, f"_{operation}")(**request)

    def pages(self, operation: str, request: dict[str, Any]) -> Any:
        yield self.answer(operation, request)

    def _list_tasks(
        self,
        serviceName: str = "",  # noqa: N803 - ECS's name
        family: str = "",
        nextToken: str = "",  # noqa: N803
        **_: Any,
    ) -> Any:
        if nextToken and self.tokens_that_expire:
            self.tokens_that_expire -= 1
            raise error("InvalidParameterException", "ListTasks")
        arns = [
            key
            for key, task in self.tasks.items()
            if serviceName in {"", task.get("group", "").removeprefix("service:")}
            and family in {"", task["taskDefinitionArn"].rsplit("/", 1)[-1].partition(":")[0]}
        ]
        at = int(nextToken or 0)
        more = {"nextToken": str(at + 100)} if at + 100 < len(arns) else {}
        return {"taskArns": arns[at : at + 100], **more}

    def _describe_tasks(self, cluster: str, tasks: list[str]) -> Any:
        known = {key.rsplit("/", 1)[-1]: task for key, task in self.tasks.items()}
        found = [known[one.rsplit("/", 1)[-1]] for one in tasks if one.rsplit("/", 1)[-1] in known]
        missing = [one for one in tasks if one.rsplit("/", 1)[-1] not in known]
        return {"tasks": found, "failures": [{"arn": one, "reason": "MISSING"} for one in missing]}

    def _describe_task_definition(self, taskDefinition: str) -> Any:  # noqa: N803 - ECS's name
        name = taskDefinition.rsplit("/", 1)[-1]
        if name not in self.definitions:
            raise error("ClientException", "DescribeTaskDefinition")
        return {"taskDefinition": self.definitions[name]}

    def _describe_services(self, cluster: str, services: list[str]) -> Any:
        return {"services": [{"serviceName": name, **self.services.get(name, {})} for name in services]}

    def _describe_container_instances(self, cluster: str, containerInstances: list[str]) -> Any:  # noqa: N803
        return {"containerInstances": [self.instances[a] for a in containerInstances if a in self.instances]}

    def _get_log_events(self, logGroupName: str, logStreamName: str, **_: Any) -> Any:  # noqa: N803
        if (logGroupName, logStreamName) not in self.logs:
            raise error("ResourceNotFoundException", "GetLogEvents")
        at = int(NOW.timestamp() * 1000) - 1000
        return {"events": [{"timestamp": at, "message": m} for m in self.logs[logGroupName, logStreamName]]}

    def _describe_target_health(self, TargetGroupArn: str) -> Any:  # noqa: N803 - ELB's name
        return {"TargetHealthDescriptions": self.targets.get(TargetGroupArn, [])}

    def _describe_images(self, registryId: str, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:  # noqa: N803
        name = f"{repositoryName}:{imageIds[0].get('imageTag')}"
        if name not in self.images:
            raise error("ImageNotFoundException", "DescribeImages")
        return {"imageDetails": [{"imagePushedAt": self.images[name]}]}

    def _describe_subnets(self, SubnetIds: list[str]) -> Any:  # noqa: N803
        return {"Subnets": [{"SubnetId": SubnetIds[0], "VpcId": "vpc-1"}]}

    def _describe_route_tables(self, Filters: list[dict[str, Any]]) -> Any:  # noqa: N803
        main = any(one["Name"] == "association.main" for one in Filters)
        return {"RouteTables": [t for t in self.route_tables if bool(t.get("main")) == main]}

    def _describe_vpc_endpoints(self, Filters: list[dict[str, Any]]) -> Any:  # noqa: N803
        return {"VpcEndpoints": self.endpoints}

    def _describe_security_groups(self, GroupIds: list[str]) -> Any:  # noqa: N803
        return {"SecurityGroups": self.security_groups}

    def _query(self, **_: Any) -> Any:
        return {"Items": self.items}

    def _put_item(self, Item: dict[str, Any], **_: Any) -> Any:  # noqa: N803
        with self._lock:
            self.items.append(Item)
        return {}

    def _put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Any:  # noqa: N803
        with self._lock:
            self.objects[Key] = Body
        return {}


def orders_task(id_: str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9", revision: int = 7, **more: Any) -> TaskBuilder:
    """A task of service orders that ran and stopped at NOW."""
    return (
        a_task(id_)
        .of_service("orders")
        .revision(f"orders:{revision}")
        .at(createdAt=NOW, startedAt=NOW, stoppedAt=NOW, **more)
    )


def orders_definition(revision: int = 7, **container: Any) -> dict[str, Any]:
    return {
        "taskDefinitionArn": arn("task-definition", f"orders:{revision}"),
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/orders-exec",
        "containerDefinitions": [
            {
                "name": "app",
                "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/orders:{revision}",
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "/ecs/orders", "awslogs-stream-prefix": "ecs"},
                },
                "environment": [{"name": "MODE", "value": "only-in-the-definition"}],
                **container,
            }
        ],
    }
