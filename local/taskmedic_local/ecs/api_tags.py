"""Operations on tags, which any resource of ECS can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from taskmedic_local.ecs.call import Call, find_definition
from taskmedic_local.ecs.errors import EcsError, invalid_parameter
from taskmedic_local.ecs.model import Json, Region


class Tagged(Protocol):
    """A record with tags."""

    tags: list[Json]


def tag_resource(call: Call) -> Json:
    tags = _tags(call.region, call.body["resourceArn"])
    given = {each.get("key", ""): each for each in call.body["tags"]}
    tags[:] = [each for each in tags if each["key"] not in given] + list(given.values())
    return {}


def untag_resource(call: Call) -> Json:
    tags = _tags(call.region, call.body["resourceArn"])
    tags[:] = [each for each in tags if each["key"] not in call.body["tagKeys"]]
    return {}


def list_tags_for_resource(call: Call) -> Json:
    return {"tags": list(_tags(call.region, call.body["resourceArn"]))}


def _tags(region: Region, arn: str) -> list[Json]:
    """The list of tags that the resource owns.

    Raises:
        EcsError: InvalidParameterException or ResourceNotFoundException.
    """
    if not arn.startswith(f"{region.prefix}:"):
        raise invalid_parameter("Invalid identifier: Unexpected ARN.")
    kind, _, path = arn.removeprefix(f"{region.prefix}:").partition("/")
    owner = find_definition(region, arn) if kind == "task-definition" else _in_cluster(region, kind, path)
    if owner is None:
        raise EcsError("ResourceNotFoundException", "The specified resource was not found.")
    return owner.tags


def _in_cluster(region: Region, kind: str, path: str) -> Tagged | None:
    cluster = region.clusters.get(path.split("/", maxsplit=1)[0])
    name = path.rsplit("/", 1)[-1]
    if cluster is None or kind == "cluster":
        return cluster
    owners: dict[str, Mapping[str, Tagged]] = {
        "service": cluster.services,
        "task": cluster.tasks,
        "container-instance": cluster.instances,
    }
    return owners.get(kind, {}).get(name)


OPERATIONS = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
