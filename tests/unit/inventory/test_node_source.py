"""The node source: each field of the original's, and how Include and Exclude combine them."""

from __future__ import annotations

import pytest
from tests.unit.inventory.ecs_world import a_task, names

from taskmedic.domain.ecs_nodes import Origin, nodes_of
from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.node_source import Dispatch, FilterBehavior, NodeSource, NodesSpec
from taskmedic.domain.nodes import Node
from taskmedic.domain.runbooks.models import Dispatch as DispatchModel
from taskmedic.domain.selection import Limits, Rank

# One of each: two services, two definitions of one, a standalone task, a sidecar, tags.
TASKS = (
    a_task(1, service="checkout", family="checkout", revision=3, tags={"team": "shop", "env": "prod"}),
    a_task(2, service="checkout", family="checkout", revision=4, tags={"team": "shop", "env": "test"}),
    a_task(
        3, service="search", family="search", containers={"app": "s:1", "proxy": "p:1"}, tags={"team": "find"}
    ),
    a_task(4, service="", family="report"),
)
NODES = [node for task in TASKS for node in nodes_of(task, Origin())]
ALL = ["1/app", "2/app", "3/app", "3/proxy", "4/app"]


def kept(**fields: object) -> list[str]:
    source = NodeSource.from_json({"clusters": "prod", **fields})
    return names(node for node in NODES if source.accepts(node))


def test_without_fields_every_container_is_kept() -> None:
    assert kept() == ALL
    assert kept(filter_behavior="exclude") == ALL


def test_a_tag_without_a_value_is_matched_by_an_empty_one() -> None:
    tagged = [
        a_task(1, tags={"canary": ""}),
        a_task(2, tags={"canary": "yes"}),
        a_task(3, tags={"a": "canary"}),
    ]
    nodes = [node for task in tagged for node in nodes_of(task, Origin())]
    for tags in ("canary=", {"canary": ""}):
        source = NodeSource.from_json({"clusters": "prod", "tags": tags})
        assert names(node for node in nodes if source.accepts(node)) == ["1/app"]


# The table of docs/inventory.md.
@pytest.mark.parametrize(
    ("fields", "included", "excluded"),
    [
        ({"services": "checkout"}, ["1/app", "2/app"], ["3/app", "3/proxy", "4/app"]),
        ({"services": "checkout,search"}, ["1/app", "2/app", "3/app", "3/proxy"], ["4/app"]),
        ({"task_definitions": "checkout"}, ["1/app", "2/app"], ["3/app", "3/proxy", "4/app"]),
        ({"task_definitions": "checkout:4"}, ["2/app"], ["1/app", "3/app", "3/proxy", "4/app"]),
        ({"containers": "proxy"}, ["3/proxy"], ["1/app", "2/app", "3/app", "4/app"]),
        ({"tags": "team=shop"}, ["1/app", "2/app"], ["3/app", "3/proxy", "4/app"]),
        ({"tags": "team=shop,team=find"}, ["1/app", "2/app", "3/app", "3/proxy"], ["4/app"]),
        ({"tags": "team=shop,env=prod"}, ["1/app"], ["3/app", "3/proxy", "4/app"]),
        ({"services": "search", "containers": "app"}, ["3/app"], []),
        ({"services": "checkout", "containers": "proxy"}, [], ["3/app", "4/app"]),
        ({"services": "checkout", "tags": "env=prod"}, ["1/app"], ["3/app", "3/proxy", "4/app"]),
        ({"services": "checkout", "task_definitions": "report"}, [], ["3/app", "3/proxy"]),
    ],
)
def test_include_and_exclude(fields: dict[str, str], included: list[str], excluded: list[str]) -> None:
    assert kept(**fields, filter_behavior="include") == included
    assert kept(**fields, filter_behavior="exclude") == excluded


def test_service_by_arn() -> None:
    assert kept(services="arn:aws:ecs:eu-west-1:111111111111:service/prod/search") == ["3/app", "3/proxy"]


def test_task_definition_by_arn() -> None:
    assert kept(task_definitions="arn:aws:ecs:eu-west-1:111111111111:task-definition/checkout:3") == ["1/app"]


def test_fields_are_comma_separated_or_lists() -> None:
    comma = NodeSource.from_json({"clusters": " prod , batch,,prod", "services": "a,b"})
    listed = NodeSource.from_json({"clusters": ["prod", "batch"], "services": ["a", "b"]})
    assert comma == listed
    assert comma.clusters == ("prod", "batch")


@pytest.mark.parametrize("value", ["k=v,a=b=c", ["k=v", "a=b=c"], {"k": "v", "a": "b=c"}])
def test_tags_as_text_list_or_mapping(value: object) -> None:
    assert NodeSource.from_json({"clusters": "prod", "tags": value}).tags == (("k", "v"), ("a", "b=c"))


def test_all_clusters_by_star_or_by_name() -> None:
    assert NodeSource.from_json({"clusters": "*"}).all_clusters
    assert NodeSource.from_json({"all_clusters": True}).all_clusters


def test_the_remaining_fields() -> None:
    source = NodeSource.from_json(
        {
            "clusters": "prod",
            "filter_behavior": "Exclude",
            "filter": "ECS:Service-Name: a",
            "region": "eu-west-1",
            "assume_role_arn": "arn:aws:iam::222222222222:role/reader",
            "external_id": "shop",
            "include_stopping": True,
        }
    )
    assert source.filter_behavior is FilterBehavior.EXCLUDE
    assert str(source.filter) == "ECS:Service-Name: a"
    assert (source.region, source.external_id, source.include_stopping) == ("eu-west-1", "shop", True)
    assert source.label() == "prod in eu-west-1 as arn:aws:iam::222222222222:role/reader"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "names no cluster"),
        ({"tasks": "0123"}, "names no cluster"),
        ({"clusters": "prod", "tags": "team"}, "the tag team is no key=value pair"),
        ({"clusters": "prod", "tags": "=x"}, "is no key=value pair"),
        ({"clusters": "prod", "filter_behavior": "drop"}, "It is include or exclude"),
        ({"clusters": "prod", "filter": "nope: x"}, "there is no node attribute nope"),
        (
            {"clusters": "arn:aws:ecs:us-east-1:111111111111:cluster/prod", "region": "eu-west-1"},
            "is in us-east-1, the node source reads eu-west-1",
        ),
    ],
)
def test_field_that_cannot_be_understood(fields: dict[str, str], said: str) -> None:
    with pytest.raises(FilterInvalid, match=said):
        NodeSource.from_json(fields)


def test_tasks_by_long_arn_need_no_cluster() -> None:
    task = "arn:aws:ecs:eu-west-1:111111111111:task/prod/0123456789abcdef0123456789abcdef"
    assert NodeSource.from_json({"tasks": task}).tasks == (task,)


def test_nodes_section_with_one_source_written_straight_in_it() -> None:
    spec = NodesSpec.from_json(
        {"clusters": "prod", "filter": "a", "allow_empty": True, "limits": {"first": True}}
    )
    assert spec.sources == (NodeSource.from_json({"clusters": "prod", "filter": "a"}),)
    assert spec.allow_empty
    assert spec.limits == Limits(at_most=1)


def test_nodes_section_with_several_sources_and_a_filter_over_all() -> None:
    spec = NodesSpec.from_json(
        {"sources": [{"clusters": "a"}, {"clusters": "b", "region": "eu-west-1"}], "filter": "name: x"}
    )
    assert [source.label() for source in spec.sources] == ["a", "b in eu-west-1"]
    assert str(spec.filter) == "name: x"


def test_dispatch_section() -> None:
    dispatch = Dispatch.from_json(
        {
            "threads": 5,
            "keep_going": True,
            "rank_attribute": "ECS:Availability-Zone",
            "rank_order": "descending",
        }
    )
    assert dispatch == Dispatch(5, True, Rank("ECS:Availability-Zone", descending=True))
    assert Dispatch.from_json(dispatch.to_json()) == dispatch
    assert Dispatch.from_json(None) == Dispatch()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"threads": 0}, "dispatch.threads"),
        ({"threads": True}, "dispatch.threads"),
        ({"rank_order": "up"}, "ascending or descending"),
        ({"rank_attribute": "zone"}, "there is no node attribute zone"),
    ],
)
def test_dispatch_that_cannot_be_understood(value: dict[str, object], said: str) -> None:
    with pytest.raises(FilterInvalid, match=said):
        Dispatch.from_json(value)


def test_node_survives_json() -> None:
    for node in NODES:
        assert Node.from_json(node.to_json()) == node


def test_a_rank_attribute_that_does_not_exist_is_found_when_the_runbook_is_read() -> None:
    with pytest.raises(ValueError, match="Did you mean ECS:Availability-Zone"):
        DispatchModel(rank_attribute="ECS:Avail-Zone")
    assert DispatchModel(rank_attribute="ECS:Availability-Zone").rank_attribute == "ECS:Availability-Zone"
