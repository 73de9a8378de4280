"""The inventory read over the wire from the local ECS, which pages, limits and refuses as AWS does."""

from __future__ import annotations

import math

import boto3
import pytest

from taskmedic.aws.clients import Clients
from taskmedic.aws.inventory import find
from taskmedic.domain import nodes as attr
from taskmedic.domain.errors import ClusterNotFound, RoleNotAssumable
from taskmedic.domain.node_source import NodeSource
from taskmedic_local.cloud import LocalCloud
from taskmedic_local.functions import ACCOUNT, REGION

ROLE = "arn:aws:iam::222222222222:role/reader"


@pytest.fixture
def clients(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Clients:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    return Clients(boto3.Session(region_name=REGION))


def calls(cloud: LocalCloud) -> dict[str, int]:
    counts = cloud.front.calls().items()
    return {operation: count for (_, service, operation), count in counts if service == "ecs"}


def source(**fields: object) -> list[NodeSource]:
    return [NodeSource.from_json(fields)]


def test_every_container_of_the_small_world(clients: Clients) -> None:
    found = find(source(all_clusters=True), clients)
    assert not found.errors
    where = sorted((node.get(attr.CLUSTER_NAME), node.service, node.container) for node in found.nodes)
    assert where == [
        ("batch", "", "report"),
        ("prod", "checkout", "app"),
        ("prod", "checkout", "app"),
        ("prod", "checkout", "proxy"),
        ("prod", "checkout", "proxy"),
        ("prod", "search", "app"),
        ("prod", "search", "app"),
    ]


def test_a_task_on_ec2_has_its_host(clients: Clients) -> None:
    (node,) = find(source(clusters="batch"), clients, wanted=attr.INSTANCE_ATTRIBUTES).nodes
    assert node.get(attr.LAUNCH_TYPE) == "EC2"
    assert node.get(attr.EC2_INSTANCE_ID).startswith("i-")
    assert node.get(attr.DOCKER_EXEC) == "true"


def test_tags_of_the_task(clients: Clients) -> None:
    found = find(source(clusters="prod", tags="service=search"), clients).nodes
    assert [node.service for node in found] == ["search", "search"]


def test_a_service_that_does_not_exist(clients: Clients) -> None:
    found = find(source(clusters="prod,batch", services="search,serch"), clients)
    assert len(found.nodes) == 2
    assert "service serch does not exist" in str(found.errors[0])


def test_ten_thousand_tasks_are_complete_without_duplicate_in_the_fewest_calls(
    cloud: LocalCloud, clients: Clients
) -> None:
    # Given 10,000 tasks in 20 clusters beside the two of the small world
    cloud.world.crowd(20, 500)
    region = cloud.world.engine.region(ACCOUNT, REGION)
    expected = {task.arn for cluster in region.clusters.values() for task in cluster.tasks.values()}
    cloud.front.forget_calls()
    # When all of them are read
    found = find(source(all_clusters=True), clients)
    # Then each is there once, and no call was made in vain
    assert not found.errors
    assert {node.task_arn for node in found.nodes} == expected
    assert len({node.identity for node in found.nodes}) == len(found.nodes)
    pages = 20 * math.ceil(500 / 100) + 2
    assert calls(cloud) == {"ListClusters": 1, "ListTasks": pages, "DescribeTasks": pages}


def test_page_tokens_that_expire_are_restarted_once(cloud: LocalCloud, clients: Clients) -> None:
    cloud.world.crowd(1, 250)
    ecs = clients.get("ecs")
    expired = []

    def expire(params: dict[str, str], **_: object) -> None:
        if "nextToken" in params and not expired:
            expired.append(params["nextToken"])
            cloud.world.ecs.pager.expire_tokens()

    ecs.meta.events.register("provide-client-params.ecs.ListTasks", expire)
    found = find(source(clusters="crowd-0"), clients)
    assert expired
    assert not found.errors
    assert len(found.nodes) == 250


def test_throttling_is_met_with_retries(cloud: LocalCloud, clients: Clients) -> None:
    cloud.faults.add(action="error", service="ecs", operation="DescribeTasks", times=2)
    found = find(source(clusters="prod"), clients)
    assert len(found.nodes) == 6
    assert not found.errors


def test_a_role_that_sts_refuses_is_an_error_of_its_source(cloud: LocalCloud, clients: Clients) -> None:
    cloud.faults.add(action="error", service="sts", operation="AssumeRole", code="AccessDenied", status=403)
    sources = source(clusters="prod", assume_role_arn=ROLE) + source(clusters="prod")
    found = find(sources, clients)
    assert len(found.nodes) == 6
    assert [type(error) for error in found.errors] == [RoleNotAssumable]


def test_another_account_has_clusters_of_its_own(clients: Clients) -> None:
    found = find(source(clusters="prod", assume_role_arn=ROLE), clients)
    assert [type(error) for error in found.errors] == [ClusterNotFound]
