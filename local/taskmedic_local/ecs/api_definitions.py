"""Operations on task definitions."""

from __future__ import annotations

from taskmedic_local.ecs import render
from taskmedic_local.ecs.call import Call, find_definition
from taskmedic_local.ecs.errors import client_error
from taskmedic_local.ecs.model import Json, Region, TaskDefinition


def register(region: Region, content: Json, tags: list[Json], now: float) -> TaskDefinition:
    """The next revision of the family in ``content``.

    Raises:
        EcsError: ClientException, when a container's definition is not usable.
    """
    _check(content)
    family = content["family"]
    revisions = region.families.setdefault(family, [])
    revision = len(revisions) + 1
    kinds = content.get("requiresCompatibilities", [])
    shown = {key: value for key, value in content.items() if key not in {"family", "tags"}}
    shown["compatibilities"] = ["EC2", "FARGATE"] if "FARGATE" in kinds else ["EC2"]
    definition = TaskDefinition(
        f"{region.prefix}:task-definition/{family}:{revision}", family, revision, shown, now, tags
    )
    revisions.append(definition)
    return definition


def _check(content: Json) -> None:
    names = [each.get("name") for each in content["containerDefinitions"]]
    if not names:
        raise client_error("Container list cannot be empty.")
    for container in content["containerDefinitions"]:
        for field in ("name", "image"):
            if not container.get(field):
                raise client_error(f"Container.{field} should not be null or empty.")
    if len(set(names)) < len(names):
        raise client_error("Container.name: duplicate found.")
    if not any(each.get("essential", True) for each in content["containerDefinitions"]):
        raise client_error("A task definition must have at least one essential container.")
    if "FARGATE" in content.get("requiresCompatibilities", []) and content.get("networkMode") != "awsvpc":
        raise client_error("Fargate only supports network mode 'awsvpc'.")


def register_task_definition(call: Call) -> Json:
    tags = call.body.get("tags", [])
    definition = register(call.region, call.body, tags, call.engine.clock())
    return {"taskDefinition": render.task_definition(definition), "tags": tags}


def deregister_task_definition(call: Call) -> Json:
    definition = find_definition(call.region, call.body["taskDefinition"])
    if definition is None or ":" not in call.body["taskDefinition"]:
        raise client_error("The specified task definition does not exist.")
    if definition.status == "ACTIVE":
        definition.status = "INACTIVE"
        definition.deregistered_at = call.engine.clock()
    return {"taskDefinition": render.task_definition(definition)}


def describe_task_definition(call: Call) -> Json:
    definition = find_definition(call.region, call.body["taskDefinition"])
    if definition is None:
        raise client_error("Unable to describe task definition.")
    shown: Json = {"taskDefinition": render.task_definition(definition)}
    if call.includes("TAGS"):
        shown["tags"] = definition.tags
    return shown


def list_task_definitions(call: Call) -> Json:
    status = call.body.get("status", "ACTIVE")
    family = call.body.get("familyPrefix")
    found = [
        each
        for name, revisions in sorted(call.region.families.items())
        if family in {None, name}
        for each in revisions
        if each.status == status
    ]
    if call.body.get("sort") == "DESC":
        found.reverse()
    places = {each.arn: place for place, each in enumerate(found)}
    return call.page(
        "taskDefinitionArns", found, key=lambda each: places[each.arn], show=lambda each: each.arn
    )


OPERATIONS = {
    "RegisterTaskDefinition": register_task_definition,
    "DeregisterTaskDefinition": deregister_task_definition,
    "DescribeTaskDefinition": describe_task_definition,
    "ListTaskDefinitions": list_task_definitions,
}
