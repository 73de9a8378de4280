"""Reading an inventory: what is found, what is asked of ECS, and what is said when something is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.unit.inventory.ecs_world import EcsWorld, WorldClients, a_task, names, refused

from taskmedic.aws.inventory import Inventory, find
from taskmedic.domain import nodes as attr
from taskmedic.domain.errors import (
    AccessDenied,
    AwsRefused,
    ClusterNotFound,
    RoleNotAssumable,
    ServiceNotFound,
    TaskNotFound,
    Throttled,
)
from taskmedic.domain.node_filter import NodeFilter
from taskmedic.domain.node_source import NodeSource


def read(world: EcsWorld | WorldClients, *sources: dict[str, Any], **options: Any) -> Inventory:
    clients = world if isinstance(world, WorldClients) else WorldClients(world)
    return find([NodeSource.from_json(source) for source in sources], clients, **options)


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [a_task(number, **fields) for number in range(1, count + 1)]


# What a node is


def test_a_node_has_every_attribute_that_ecs_tells() -> None:
    task = a_task(7, tags={"team": "shop", "canary": ""}, capacityProviderName="FARGATE_SPOT")
    (node,) = read(EcsWorld().with_tasks(task), {"clusters": "prod"}).nodes
    task_id = f"{7:032x}"
    assert node.name == f"{task_id}/app"
    assert node.tags == ("team=shop", "canary")
    assert node.attributes == {
        "ECS:Cluster-Name": "prod",
        "ECS:Cluster-ARN": "arn:aws:ecs:eu-west-1:111111111111:cluster/prod",
        "ECS:Service-Name": "checkout",
        "ECS:Task-ID": task_id,
        "ECS:Task-ARN": f"arn:aws:ecs:eu-west-1:111111111111:task/prod/{task_id}",
        "ECS:Task-Group": "service:checkout",
        "ECS:Task-Definition": "checkout:3",
        "ECS:Task-Definition-Family": "checkout",
        "ECS:Task-Definition-ARN": "arn:aws:ecs:eu-west-1:111111111111:task-definition/checkout:3",
        "ECS:Started-By": "ecs-svc/7",
        "ECS:Launch-Type": "FARGATE",
        "ECS:Capacity-Provider": "FARGATE_SPOT",
        "ECS:Platform-Version": "1.4.0",
        "ECS:Platform-Family": "Linux",
        "ECS:CPU-Architecture": "arm64",
        "ECS:Availability-Zone": "eu-west-1b",
        "ECS:Private-IP": "10.0.0.7",
        "ECS:Task-Health": "HEALTHY",
        "ECS:Exec-Enabled": "true",
        "ECS:Exec-Agent-Status": "RUNNING",
        "ECS:Container-Name": "app",
        "ECS:Container-ARN": f"arn:aws:ecs:eu-west-1:111111111111:container/prod/{task_id}/app",
        "ECS:Container-Image": "shop/checkout:1.0",
        "ECS:Container-Image-Digest": "sha256:app",
        "ECS:Container-Runtime-ID": f"{task_id}-app",
        "ECS:Container-Status": "RUNNING",
        "ECS:Container-Health": "UNKNOWN",
        "ECS:Tag-team": "shop",
        "region": "eu-west-1",
        "account": "111111111111",
    }


def test_an_attribute_without_a_value_is_absent() -> None:
    task = a_task(1, service="", attachments=[], attributes=[], enableExecuteCommand=False)
    del task["startedBy"]
    (node,) = read(EcsWorld().with_tasks(task), {"clusters": "prod"}).nodes
    absent = {
        attr.SERVICE_NAME,
        attr.PRIVATE_IP,
        attr.STARTED_BY,
        attr.CPU_ARCHITECTURE,
        attr.ASSUME_ROLE_ARN,
    }
    assert not absent & node.attributes.keys()
    assert node.get(attr.EXEC_ENABLED) == "false"


def test_every_container_is_a_node_of_its_own() -> None:
    world = EcsWorld().with_tasks(a_task(1, containers={"app": "a", "proxy": "b"}))
    assert names(read(world, {"clusters": "prod"}).nodes) == ["1/app", "1/proxy"]


def test_a_container_that_has_stopped_in_a_running_task_is_no_node() -> None:
    task = a_task(1, containers={"init": "a", "app": "b"})
    task["containers"][0]["lastStatus"] = "STOPPED"
    assert names(read(EcsWorld().with_tasks(task), {"clusters": "prod"}).nodes) == ["1/app"]


# Which tasks

STATES = [
    a_task(1),
    a_task(2, lastStatus="PENDING"),
    a_task(3, desiredStatus="STOPPED"),  # told to stop, containers not yet
    a_task(4, desiredStatus="STOPPED", lastStatus="DEACTIVATING"),
    a_task(5, desiredStatus="STOPPED", lastStatus="STOPPING"),
    a_task(6, desiredStatus="STOPPED", lastStatus="STOPPED"),
]


def test_only_running_tasks() -> None:
    assert names(read(EcsWorld().with_tasks(*STATES), {"clusters": "prod"}).nodes) == ["1/app"]


def test_include_stopping() -> None:
    inventory = read(EcsWorld().with_tasks(*STATES), {"clusters": "prod", "include_stopping": True})
    assert names(inventory.nodes) == ["1/app", "3/app", "4/app", "5/app"]


def test_clusters_by_name_and_by_arn() -> None:
    world = EcsWorld().with_tasks(a_task(1, cluster="a"), a_task(2, cluster="b"), a_task(3, cluster="c"))
    assert names(read(world, {"clusters": "a,arn:aws:ecs:eu-west-1:111111111111:cluster/b"}).nodes) == [
        "1/app",
        "2/app",
    ]


def test_all_clusters_over_several_pages() -> None:
    world = EcsWorld(page_size=2).with_tasks(*(a_task(n, cluster=f"c{n}") for n in range(1, 6)))
    assert len(read(world, {"all_clusters": True}).nodes) == 5
    assert world.calls["ListClusters"] == 3


def test_tasks_by_id_and_by_arn_are_described_without_listing() -> None:
    world = EcsWorld().with_tasks(*many(3))
    tasks = [f"{1:032x}", f"arn:aws:ecs:eu-west-1:111111111111:task/prod/{3:032x}"]
    assert names(read(world, {"clusters": "prod", "tasks": tasks}).nodes) == ["1/app", "3/app"]
    assert names(read(world, {"tasks": tasks[1]}).nodes) == ["3/app"]
    assert world.calls["ListTasks"] == 0


def test_node_filter_of_a_source_and_of_all() -> None:
    world = EcsWorld().with_tasks(a_task(1, service="a"), a_task(2, service="b"), a_task(3, service="b"))
    both = NodeFilter.parse(f"!ECS:Task-ID: {3:032x}")
    inventory = read(world, {"clusters": "prod", "filter": "ECS:Service-Name: b"}, node_filter=both)
    assert names(inventory.nodes) == ["2/app"]


def test_a_container_that_two_sources_find_is_there_once() -> None:
    world = EcsWorld().with_tasks(a_task(1), a_task(2, service="other"))
    inventory = read(world, {"clusters": "prod"}, {"clusters": "prod", "services": "other"})
    assert names(inventory.nodes) == ["1/app", "2/app"]
    assert [outcome.count for outcome in inventory.outcomes] == [2, 1]


# How many calls


def test_pages_and_batches_of_a_hundred() -> None:
    world = EcsWorld().with_tasks(*many(250))
    assert len(read(world, {"clusters": "prod"}).nodes) == 250
    assert world.calls == {"ListTasks": 3, "DescribeTasks": 3}


def test_short_pages_are_joined_to_batches_of_a_hundred() -> None:
    world = EcsWorld(page_size=30).with_tasks(*many(150))
    assert len(read(world, {"clusters": "prod"}).nodes) == 150
    assert world.calls == {"ListTasks": 5, "DescribeTasks": 2}


def test_ecs_is_asked_for_the_services_that_are_included() -> None:
    others = [a_task(number, service="other") for number in range(1000, 1300)]
    world = EcsWorld().with_tasks(*others, a_task(1, service="a"), a_task(2, service="b"))
    assert names(read(world, {"clusters": "prod", "services": "a,b"}).nodes) == ["1/app", "2/app"]
    assert world.calls == {"ListTasks": 2, "DescribeTasks": 1}


def test_ecs_is_asked_for_the_families_that_are_included() -> None:
    world = EcsWorld().with_tasks(
        a_task(1, family="a", revision=1), a_task(2, family="a", revision=2), a_task(3)
    )
    assert names(read(world, {"clusters": "prod", "task_definitions": "a:2"}).nodes) == ["2/app"]
    assert [r["family"] for operation, r in world.requests if operation == "ListTasks"] == ["a"]


def test_many_services_are_found_by_listing_the_cluster() -> None:
    world = EcsWorld().with_tasks(*(a_task(n, service=f"s{n}") for n in range(1, 9)))
    wanted = ",".join(f"s{n}" for n in range(1, 8))
    assert len(read(world, {"clusters": "prod", "services": wanted}).nodes) == 7
    assert world.calls == {"ListTasks": 1, "DescribeTasks": 1}


def test_what_is_excluded_is_not_asked_for() -> None:
    world = EcsWorld().with_tasks(a_task(1, service="a"), a_task(2, service="b"))
    source = {"clusters": "prod", "services": "a", "filter_behavior": "exclude"}
    assert names(read(world, source).nodes) == ["2/app"]


@pytest.mark.parametrize("parallel", [1, 2, 32])
def test_any_number_of_calls_side_by_side_finds_the_same(parallel: int) -> None:
    world = EcsWorld(page_size=7).with_tasks(*(a_task(n, cluster=f"c{n % 9}") for n in range(1, 200)))
    assert len(read(world, {"all_clusters": True}, parallel=parallel).nodes) == 199


# Look-ups: EC2, machines of one's own, processor


def on_host(number: int, instance: str, launch_type: str = "EC2") -> dict[str, Any]:
    arn = f"arn:aws:ecs:eu-west-1:111111111111:container-instance/prod/{instance}"
    return a_task(number, launchType=launch_type, containerInstanceArn=arn, attributes=[], attachments=[])


def hosts() -> EcsWorld:
    arn = "arn:aws:ecs:eu-west-1:111111111111:container-instance/prod/"
    world = EcsWorld().with_tasks(
        on_host(1, "x"), on_host(2, "x"), on_host(3, "y", launch_type="EXTERNAL"), a_task(4)
    )
    world.instances = {
        f"{arn}x": {"ec2InstanceId": "i-0123456789abcdef0", "agentConnected": True},
        f"{arn}y": {"ec2InstanceId": "mi-0123456789abcdef0", "agentConnected": False},
    }
    definition = "arn:aws:ecs:eu-west-1:111111111111:task-definition/checkout:3"
    world.definitions = {definition: {"runtimePlatform": {"cpuArchitecture": "ARM64"}}}
    return world


def test_hosts_are_not_looked_up_unless_asked_for() -> None:
    world = hosts()
    nodes = read(world, {"clusters": "prod"}).nodes
    assert not any(node.get(attr.EC2_INSTANCE_ID) for node in nodes)
    assert world.calls == {"ListTasks": 1, "DescribeTasks": 1}


def test_each_host_is_looked_up_once() -> None:
    world = hosts()
    nodes = read(world, {"clusters": "prod"}, {"clusters": "prod"}, wanted=[attr.EC2_INSTANCE_ID]).nodes
    assert [node.get(attr.EC2_INSTANCE_ID) for node in nodes] == [
        "i-0123456789abcdef0",
        "i-0123456789abcdef0",
        "mi-0123456789abcdef0",
        "",
    ]
    assert world.calls["DescribeContainerInstances"] == 1
    assert world.calls["DescribeTaskDefinition"] == 0


def test_docker_exec_reaches_containers_on_hosts_whose_agent_is_connected() -> None:
    nodes = read(hosts(), {"clusters": "prod"}, wanted=[attr.DOCKER_EXEC]).nodes
    assert [node.get(attr.DOCKER_EXEC) for node in nodes] == ["true", "true", "false", ""]


def test_a_filter_on_the_host_looks_it_up() -> None:
    inventory = read(hosts(), {"clusters": "prod", "filter": "ECS:EC2-Instance-ID: mi-.*"})
    assert names(inventory.nodes) == ["3/app"]


def test_more_than_a_hundred_hosts_are_described_by_the_hundred() -> None:
    world = EcsWorld().with_tasks(*(on_host(n, f"host{n}") for n in range(1, 151)))
    read(world, {"clusters": "prod"}, wanted=[attr.EC2_INSTANCE_ID])
    assert world.calls["DescribeContainerInstances"] == 2


def test_processor_comes_from_the_task_definition_where_the_task_does_not_say() -> None:
    world = hosts()
    nodes = read(world, {"clusters": "prod"}, wanted=[attr.CPU_ARCHITECTURE]).nodes
    assert {node.get(attr.CPU_ARCHITECTURE) for node in nodes} == {"arm64"}
    assert world.calls["DescribeTaskDefinition"] == 1


def test_a_host_that_is_gone_leaves_its_attributes_absent() -> None:
    world = hosts()
    world.instances.clear()
    inventory = read(world, {"clusters": "prod"}, wanted=[attr.EC2_INSTANCE_ID])
    assert len(inventory.nodes) == 4
    assert not inventory.errors


def test_a_filter_that_cannot_be_decided_keeps_nothing() -> None:
    # Given hosts that may not be described, and a filter that is true for a host that is not known
    world = hosts()

    def deny(_: object) -> None:
        raise refused("AccessDeniedException", "DescribeContainerInstances")

    world.on["DescribeContainerInstances"] = deny
    inventory = read(world, {"clusters": "prod", "filter": "!ECS:EC2-Instance-ID: i-.*"})
    # Then only the task without a host is kept, and it is said why
    assert names(inventory.nodes) == ["4/app"]
    assert [type(error) for error in inventory.errors] == [AccessDenied]


# Change while reading


def test_a_task_that_vanishes_between_list_and_describe_is_left_out() -> None:
    world = EcsWorld().with_tasks(*many(3))
    world.on["DescribeTasks"] = lambda _: world.clusters.update(prod=world.clusters["prod"][1:])
    inventory = read(world, {"clusters": "prod"})
    assert names(inventory.nodes) == ["2/app", "3/app"]
    assert not inventory.errors


def expired_once(after: int) -> tuple[EcsWorld, list[str]]:
    """A world whose page token is refused once, at the call number ``after``."""
    world = EcsWorld(page_size=2).with_tasks(*many(7))
    seen: list[str] = []

    def expire(request: dict[str, Any]) -> None:
        seen.append(request.get("nextToken", ""))
        if len(seen) == after:
            raise refused("InvalidParameterException", "ListTasks", "Token is expired.")

    world.on["ListTasks"] = expire
    return world, seen


def test_a_page_token_that_expires_is_restarted_once() -> None:
    world, tokens = expired_once(after=3)
    inventory = read(world, {"clusters": "prod"})
    assert len(inventory.nodes) == 7
    assert not inventory.errors
    assert tokens == ["", "2", "4", "", "2", "4", "6"]
    assert world.calls["DescribeTasks"] == 1


def test_a_page_token_that_expires_again_is_an_error_and_the_rest_is_kept() -> None:
    world = EcsWorld(page_size=2).with_tasks(*many(7))

    def expire(request: dict[str, Any]) -> None:
        if request.get("nextToken") == "4":
            raise refused("InvalidParameterException", "ListTasks", "Token is expired.")

    world.on["ListTasks"] = expire
    inventory = read(world, {"clusters": "prod"})
    assert len(inventory.nodes) == 4
    assert [type(error) for error in inventory.errors] == [AwsRefused]


def test_a_page_token_of_the_clusters_that_expires_is_restarted_once() -> None:
    world = EcsWorld(page_size=1).with_tasks(*(a_task(n, cluster=f"c{n}") for n in range(1, 4)))
    calls: list[int] = []

    def expire(_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise refused("InvalidParameterException", "ListClusters")

    world.on["ListClusters"] = expire
    inventory = read(world, {"all_clusters": True})
    assert len(inventory.nodes) == 3
    assert not inventory.errors


def test_a_first_page_that_is_refused_is_no_expired_token() -> None:
    world = EcsWorld().with_tasks(a_task(1))

    def refuse(_: object) -> None:
        raise refused("InvalidParameterException", "ListTasks", "Invalid cluster identifier.")

    world.on["ListTasks"] = refuse
    inventory = read(world, {"clusters": "prod"})
    assert "Invalid cluster identifier" in str(inventory.errors[0])
    assert world.calls["ListTasks"] == 1


def test_a_task_that_moves_between_pages_is_there_once() -> None:
    world = EcsWorld(page_size=2).with_tasks(a_task(1), a_task(2), a_task(2), a_task(3))
    assert names(read(world, {"clusters": "prod"}).nodes) == ["1/app", "2/app", "3/app"]
    assert [len(r["tasks"]) for operation, r in world.requests if operation == "DescribeTasks"] == [3]


# What is said


def said(inventory: Inventory) -> str:
    return " | ".join([*(str(error) for error in inventory.errors), *inventory.notes])


def test_a_cluster_that_does_not_exist_is_named_and_hides_no_other() -> None:
    world = EcsWorld().with_tasks(a_task(1))
    inventory = read(world, {"clusters": "prod,nope"})
    assert names(inventory.nodes) == ["1/app"]
    assert [type(error) for error in inventory.errors] == [ClusterNotFound]
    assert "nope" in said(inventory)


def test_a_role_that_cannot_be_assumed_is_named_and_hides_no_other_source() -> None:
    good, bad = "arn:aws:iam::111111111111:role/a", "arn:aws:iam::222222222222:role/b"
    clients = WorldClients({("eu-west-1", good): EcsWorld().with_tasks(a_task(1))})
    inventory = read(
        clients,
        {"clusters": "prod", "region": "eu-west-1", "assume_role_arn": bad},
        {"clusters": "prod", "region": "eu-west-1", "assume_role_arn": good, "external_id": "shop"},
    )
    assert names(inventory.nodes) == ["1/app"]
    assert inventory.nodes[0].assume_role_arn == good
    assert inventory.nodes[0].external_id == "shop"
    first, second = inventory.outcomes
    assert [type(error) for error in first.errors] == [RoleNotAssumable]
    assert bad in first.to_json()["error"]
    assert second.to_json() == {
        "source": f"prod in eu-west-1 as {good}",
        "count": 1,
        "error": "",
        "notes": [],
    }


def test_a_service_that_no_cluster_knows_is_named() -> None:
    world = EcsWorld().with_tasks(a_task(1, cluster="a"), a_task(2, cluster="b"))
    inventory = read(world, {"clusters": "a,b", "services": "checkout,chekout"})
    assert len(inventory.nodes) == 2
    assert [type(error) for error in inventory.errors] == [ServiceNotFound]
    assert "chekout" in said(inventory)


def test_a_service_that_no_cluster_knows_is_named_with_include_stopping_too() -> None:
    world = EcsWorld().with_tasks(a_task(1))
    inventory = read(world, {"clusters": "prod", "services": "chekout", "include_stopping": True})
    assert [type(error) for error in inventory.errors] == [ServiceNotFound]


def test_a_service_that_one_of_the_clusters_knows_is_no_error() -> None:
    world = EcsWorld().with_tasks(a_task(1, cluster="a"), a_task(2, cluster="b", service="search"))
    assert said(read(world, {"clusters": "a,b", "services": "search"})) == ""


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"task_definitions": "checkout,chekout"}, "task definition chekout"),
        ({"containers": "app,ap"}, "container ap"),
        ({"tags": "team=shop,team=shp"}, "tag team shp"),
        ({"services": "a,b,c,d,e,checkout"}, "service a"),
        ({"services": "chekout", "filter_behavior": "exclude"}, "service chekout"),
    ],
)
def test_a_value_that_matches_nothing_is_named(fields: dict[str, str], named: str) -> None:
    inventory = read(EcsWorld().with_tasks(a_task(1, tags={"team": "shop"})), {"clusters": "prod", **fields})
    assert len(inventory.nodes) == 1
    assert re.search(rf"no running container has the {named}( \||$)", said(inventory))


def test_a_filter_that_matches_nothing_is_named() -> None:
    inventory = read(
        EcsWorld().with_tasks(*many(3)), {"clusters": "prod", "filter": "ECS:Service-Name: nope"}
    )
    assert said(inventory) == "filter ECS:Service-Name: nope: matches none of 3 running containers"


def test_an_expression_in_a_comma_list_is_pointed_out() -> None:
    inventory = read(EcsWorld().with_tasks(*many(1)), {"clusters": "prod", "filter": "name: a.*,b"})
    assert "a.* matches nothing, values of a list are exact" in said(inventory)


def test_what_matches_nothing_is_named_beside_what_could_not_be_read() -> None:
    world = EcsWorld().with_tasks(a_task(1))
    inventory = read(world, {"clusters": "prod,nope", "services": "checkout,serch"})
    assert [type(error) for error in inventory.errors] == [ClusterNotFound]
    assert inventory.notes == ("prod,nope: no running container has the service serch",)


def test_a_cluster_without_tasks_is_named() -> None:
    world = EcsWorld(clusters={"prod": []})
    assert said(read(world, {"clusters": "prod"})) == "prod: no running container"


def test_a_task_that_does_not_exist_or_does_not_run_is_named() -> None:
    world = EcsWorld().with_tasks(a_task(1), a_task(2, desiredStatus="STOPPED", lastStatus="STOPPED"))
    tasks = [f"{number:032x}" for number in (1, 2, 3)]
    inventory = read(world, {"clusters": "prod", "tasks": tasks})
    assert names(inventory.nodes) == ["1/app"]
    assert [type(error) for error in inventory.errors] == [TaskNotFound, TaskNotFound]
    assert "is not running (prod): it is STOPPED" in str(inventory.errors[0])
    assert f"task {tasks[2]} does not exist" in str(inventory.errors[1])


def test_what_one_batch_is_refused_is_named_and_the_others_are_kept() -> None:
    world = EcsWorld().with_tasks(*many(150))

    def refuse(request: dict[str, Any]) -> None:
        if len(request["tasks"]) == 50:
            raise refused("ThrottlingException", "DescribeTasks", "Rate exceeded")

    world.on["DescribeTasks"] = refuse
    inventory = read(world, {"clusters": "prod"})
    assert len(inventory.nodes) == 100
    assert [type(error) for error in inventory.errors] == [Throttled]


def test_an_error_of_ours_is_raised_and_ends_the_reading() -> None:
    world = EcsWorld().with_tasks(a_task(1))

    def fail(_: object) -> None:
        raise ZeroDivisionError

    world.on["ListTasks"] = fail
    with pytest.raises(ZeroDivisionError):
        read(world, {"clusters": "prod"})


def test_progress_counts_what_is_kept() -> None:
    counts: list[int] = []
    world = EcsWorld().with_tasks(*many(150))
    read(world, {"clusters": "prod", "filter": f"{5:032x}/app"}, on_page=counts.append)
    assert counts == [1]
