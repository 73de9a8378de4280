"""The facts behind the checks: read once where they are shared, and unknown where they may not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskmedic.aws.clients import Access
from taskmedic.aws.preflight import gather_facts
from taskmedic.aws.preflight_answers import container_definition, default_route
from taskmedic.domain.errors import AccessDenied, TaskNotFound
from taskmedic.domain.nodes import Node
from taskmedic.domain.preflight_checks import CHANNEL_ACTIONS
from taskmedic.domain.preflight_facts import (
    ContainerDefinition,
    ExecConfiguration,
    KeyState,
    Network,
    Unknown,
)

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
ROLE = "arn:aws:iam::123456789012:role/checkout-task"


def a_task(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:us-east-1:123456789012:task/prod/t{number}",
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:7",
        "enableExecuteCommand": True,
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "containers": [
            {
                "name": "app",
                "lastStatus": "RUNNING",
                "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}],
            }
        ],
        "attachments": [
            {
                "type": "ElasticNetworkInterface",
                "details": [
                    {"name": "subnetId", "value": "subnet-1"},
                    {"name": "networkInterfaceId", "value": f"eni-{number}"},
                ],
            }
        ],
        **changes,
    }


DEFINITION = {
    "taskRoleArn": ROLE,
    "networkMode": "awsvpc",
    "containerDefinitions": [
        {
            "name": "app",
            "environment": [{"name": "STAGE", "value": "prod"}],
            "secrets": [{"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": "x"}],
            "readonlyRootFilesystem": True,
            "mountPoints": [
                {"containerPath": "/data"},
                {"containerPath": "/etc/config", "readOnly": True},
            ],
        }
    ],
}


class World:
    """AWS as the look-ups see it: answers by operation; each call is counted."""

    def __init__(self, tasks: list[dict[str, Any]], **answers: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.tasks = tasks
        self.answers = {
            "describe_task_definition": {"taskDefinition": DEFINITION},
            "describe_clusters": {"clusters": [{}]},
            "simulate_principal_policy": {"EvaluationResults": []},
            "describe_network_interfaces": {
                "NetworkInterfaces": [{"VpcId": "vpc-1", "SubnetId": "subnet-1"}]
            },
            "describe_vpc_endpoints": {"VpcEndpoints": []},
            "describe_route_tables": {"RouteTables": []},
            **answers,
        }

    meta = type("Meta", (), {"region_name": "us-east-1"})

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        return self

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> Any:
        self.calls["describe_tasks"] += 1
        assert len(tasks) <= 100
        return {"tasks": [task for task in self.tasks if task["taskArn"] in tasks]}

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.calls[operation] += 1
            answer = self.answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer(**request) if callable(answer) else answer

        return call

    def nodes(self) -> list[Node]:
        return [
            Node(
                f"{task['taskArn'].rsplit('/', 1)[1]}/app",
                {
                    "ECS:Cluster-ARN": CLUSTER,
                    "ECS:Task-ARN": task["taskArn"],
                    "ECS:Container-Name": "app",
                    "region": "us-east-1",
                },
            )
            for task in self.tasks
        ]


def denied(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


def facts_of(world: World) -> Any:
    return [facts for _, facts in gather_facts(world, world.nodes())]  # type: ignore[arg-type]


def test_the_facts_of_one_container() -> None:
    (facts,) = facts_of(World([a_task(1)]))

    assert (facts.exec_enabled, facts.agent_status, facts.container_status) == (True, "RUNNING", "RUNNING")
    assert facts.definition == ContainerDefinition(
        task_role_arn=ROLE,
        network_mode="awsvpc",
        read_only_root=True,
        writable_mounts=("/data",),
        environment=("STAGE", "AWS_SECRET_ACCESS_KEY"),
    )
    assert facts.exec_configuration == ExecConfiguration()
    assert facts.network == Network()


def test_what_many_containers_share_is_read_once() -> None:
    world = World([a_task(number) for number in range(250)])

    assert len(facts_of(world)) == 250
    assert world.calls["describe_tasks"] == 3
    shared = (
        "describe_task_definition",
        "describe_clusters",
        "simulate_principal_policy",
        "describe_vpc_endpoints",
    )
    assert {name: world.calls[name] for name in shared} == dict.fromkeys(shared, 1)


@pytest.mark.parametrize(
    ("operation", "fact", "action"),
    [
        ("describe_task_definition", "definition", "ecs:DescribeTaskDefinition"),
        ("describe_clusters", "exec_configuration", "ecs:DescribeClusters"),
        ("simulate_principal_policy", "permissions", "iam:SimulatePrincipalPolicy"),
        ("describe_network_interfaces", "network", "ec2:DescribeNetworkInterfaces"),
        ("describe_vpc_endpoints", "network", "ec2:DescribeVpcEndpoints"),
        ("describe_route_tables", "network", "ec2:DescribeRouteTables"),
    ],
)
def test_what_may_not_be_read_is_unknown_with_what_to_allow(operation: str, fact: str, action: str) -> None:
    (facts,) = facts_of(World([a_task(1)], **{operation: denied(operation)}))

    assert getattr(facts, fact) == Unknown(f"the caller may not {action}", allow=action)


def test_without_the_tasks_there_is_nothing_to_check() -> None:
    world = World([a_task(1)])
    nodes = world.nodes()
    world.describe_tasks = lambda **_: (_ for _ in ()).throw(denied("DescribeTasks"))  # type: ignore[method-assign]
    with pytest.raises(AccessDenied):
        gather_facts(world, nodes)  # type: ignore[arg-type]

    gone = World([])
    with pytest.raises(TaskNotFound):
        gather_facts(gone, nodes)  # type: ignore[arg-type]


def test_the_simulation_says_allowed_denied_or_that_conditions_decide() -> None:
    results = [
        {"EvalActionName": "ssmmessages:OpenDataChannel", "EvalDecision": "allowed"},
        {"EvalActionName": "ssmmessages:OpenControlChannel", "EvalDecision": "implicitDeny"},
        {
            "EvalActionName": "ssmmessages:CreateDataChannel",
            "EvalDecision": "implicitDeny",
            "MissingContextValues": ["aws:SourceVpce"],
        },
    ]

    (facts,) = facts_of(World([a_task(1)], simulate_principal_policy={"EvaluationResults": results}))

    assert list(facts.permissions.values()) == ["allowed", "denied", "conditional"]


def test_the_permissions_are_asked_of_the_resources_that_the_cluster_names() -> None:
    allowed = {
        ("kms:Decrypt", KEY),
        ("logs:DescribeLogGroups", "arn:aws:logs:us-east-1:123456789012:log-group::log-stream:"),
        *(
            (
                f"logs:{action}",
                "arn:aws:logs:us-east-1:123456789012:log-group:/exec:log-stream:ecs-execute-command",
            )
            for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")
        ),
        ("s3:PutObject", "arn:aws:s3:::b/sessions/ecs-execute-command"),
        *((action, "*") for action in CHANNEL_ACTIONS),
    }

    def simulate(
        *,
        PolicySourceArn: str,  # noqa: N803
        ActionNames: list[str],  # noqa: N803
        ResourceArns: list[str],  # noqa: N803
    ) -> Mapping[str, Any]:
        assert PolicySourceArn == ROLE
        (resource,) = ResourceArns
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalDecision": "allowed" if (action, resource) in allowed else "implicitDeny",
                }
                for action in ActionNames
            ]
        }

    execute = {
        "kmsKeyId": "alias/exec",
        "logging": "OVERRIDE",
        "logConfiguration": {
            "cloudWatchLogGroupName": "/exec",
            "s3BucketName": "b",
            "s3KeyPrefix": "sessions/",
        },
    }
    (facts,) = facts_of(
        World(
            [a_task(1)],
            simulate_principal_policy=simulate,
            describe_clusters={"clusters": [{"configuration": {"executeCommandConfiguration": execute}}]},
            describe_key={"KeyMetadata": {"KeyState": "Enabled", "Arn": KEY}},
        )
    )

    assert facts.exec_configuration == ExecConfiguration("alias/exec", "OVERRIDE", "/exec", "b", "sessions/")
    assert facts.key == KeyState("Enabled", KEY)
    assert facts.permissions == dict.fromkeys((action for action, _ in allowed), "allowed")


def test_nothing_is_asked_of_a_key_whose_arn_is_not_known() -> None:
    execute = {"configuration": {"executeCommandConfiguration": {"kmsKeyId": "alias/exec"}}}
    world = World([a_task(1)], describe_clusters={"clusters": [execute]}, describe_key=denied("DescribeKey"))

    (facts,) = facts_of(world)

    assert facts.key == Unknown("the caller may not kms:DescribeKey", allow="kms:DescribeKey")
    assert world.calls["simulate_principal_policy"] == 1


def test_the_tasks_own_overrides_hold() -> None:
    overrides = {
        "taskRoleArn": "arn:aws:iam::123456789012:role/other",
        "containerOverrides": [{"name": "app", "environment": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]}],
    }

    found = container_definition(DEFINITION, a_task(1, overrides=overrides), "app")

    assert found.task_role_arn.endswith("role/other")
    assert "AWS_ACCESS_KEY_ID" in found.environment


@pytest.mark.parametrize(
    ("answers", "network"),
    [
        (
            {
                "describe_network_interfaces": {
                    "NetworkInterfaces": [{"Association": {"PublicIp": "203.0.113.7"}}]
                }
            },
            Network(public_ip="203.0.113.7"),
        ),
        (
            {
                "describe_vpc_endpoints": {
                    "VpcEndpoints": [
                        {"VpcEndpointId": "vpce-0", "State": "deleting", "PrivateDnsEnabled": True},
                        {"VpcEndpointId": "vpce-1", "State": "available", "PrivateDnsEnabled": False},
                    ]
                }
            },
            Network(endpoint="vpce-1", endpoint_private_dns=False),
        ),
        (
            {
                "describe_route_tables": {
                    "RouteTables": [
                        {
                            "Routes": [
                                {
                                    "DestinationCidrBlock": "0.0.0.0/0",
                                    "NatGatewayId": "nat-1",
                                    "State": "active",
                                }
                            ]
                        }
                    ]
                }
            },
            Network(default_route="nat-1"),
        ),
        (
            {"describe_network_interfaces": {"NetworkInterfaces": []}},
            Unknown("network interface eni-1 is not there any more"),
        ),
    ],
)
def test_the_way_out_of_the_subnet(answers: dict[str, Any], network: Network | Unknown) -> None:
    (facts,) = facts_of(World([a_task(1)], **answers))

    assert facts.network == network


def test_the_main_route_table_holds_where_the_subnet_has_none() -> None:
    def tables(*, Filters: list[dict[str, Any]]) -> Mapping[str, Any]:  # noqa: N803
        if Filters[0]["Name"] == "association.subnet-id":
            return {"RouteTables": []}
        return {"RouteTables": [{"Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]}]}

    (facts,) = facts_of(World([a_task(1)], describe_route_tables=tables))

    assert facts.network == Network(default_route="igw-1")


def test_a_task_that_is_not_in_awsvpc_mode_has_no_network_of_its_own() -> None:
    bridge = {"taskDefinition": {**DEFINITION, "networkMode": "bridge"}}

    (facts,) = facts_of(World([a_task(1, attachments=[])], describe_task_definition=bridge))

    assert facts.network is None


@pytest.mark.parametrize(
    ("routes", "target"),
    [
        ([], ""),
        ([{"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1"}], ""),
        ([{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "blackhole"}], ""),
        *(
            ([{"DestinationCidrBlock": "0.0.0.0/0", field: target}], target)
            for field, target in {
                "TransitGatewayId": "tgw-1",
                "VpcPeeringConnectionId": "pcx-1",
                "LocalGatewayId": "lgw-1",
                "CarrierGatewayId": "cagw-1",
                "GatewayId": "vgw-1",
                "NetworkInterfaceId": "eni-1",
                "CoreNetworkArn": "arn:aws:networkmanager::1:core-network/core-1",
            }.items()
        ),
        ([{"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"}], "eigw-1"),
        (
            [
                {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"},
                {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"},
            ],
            "eigw-1",
        ),
        (
            [{"DestinationCidrBlock": "0.0.0.0/0", "InstanceOwnerId": "1", "InstanceId": "i-1"}],
            "i-1",
        ),
        ([{"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1"}], ""),
        ([{"DestinationCidrBlock": "0.0.0.0/0", "Origin": "CreateRoute"}], ""),
    ],
)
def test_the_default_route(routes: list[dict[str, str]], target: str) -> None:
    assert default_route(routes) == target


def test_a_container_on_ec2_has_its_hosts_agent() -> None:
    task = a_task(1, launchType="EC2", containerInstanceArn="arn:ci/1")
    instance = {"containerInstances": [{"versionInfo": {"agentVersion": "1.86.3"}}]}

    (facts,) = facts_of(World([task], describe_container_instances=instance))

    assert facts.container_agent == "1.86.3"
