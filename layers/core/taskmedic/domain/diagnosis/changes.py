"""What a revision of a task definition changed against the one before it. Values of the environment are never
shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TASK_FIELDS = (
    "cpu",
    "memory",
    "networkMode",
    "taskRoleArn",
    "executionRoleArn",
    "runtimePlatform",
    "ephemeralStorage",
    "volumes",
)
CONTAINER_FIELDS = (
    "image",
    "cpu",
    "memory",
    "memoryReservation",
    "essential",
    "entryPoint",
    "command",
    "user",
    "healthCheck",
    "portMappings",
    "mountPoints",
    "dependsOn",
    "startTimeout",
    "stopTimeout",
    "readonlyRootFilesystem",
    "logConfiguration",
    "environmentFiles",
)
SHOWN_CHARS = 160

Definition = Mapping[str, Any]


def changes_between(before: Definition, after: Definition) -> tuple[str, ...]:
    """One line for each difference, containers by name; empty when nothing that matters changed."""
    return tuple(_changes(before, after))


def _changes(before: Definition, after: Definition) -> Iterator[str]:
    for field in TASK_FIELDS:
        yield from _field("", field, before, after)
    old, new = _by_name(before.get("containerDefinitions")), _by_name(after.get("containerDefinitions"))
    for name in new.keys() - old.keys():
        yield f"container {name} was added"
    for name in old.keys() - new.keys():
        yield f"container {name} was removed"
    for name in (name for name in new if name in old):
        yield from _container(f"container {name}: ", old[name], new[name])


def _container(where: str, before: Definition, after: Definition) -> Iterator[str]:
    for field in CONTAINER_FIELDS:
        yield from _field(where, field, before, after)
    yield from _environment(where, before.get("environment"), after.get("environment"))
    yield from _references(where, before.get("secrets"), after.get("secrets"))


def _field(where: str, field: str, before: Definition, after: Definition) -> Iterator[str]:
    old, new = before.get(field), after.get(field)
    if old != new and (old or new):
        yield f"{where}{field}: {_shown(old)} → {_shown(new)}"


def _environment(where: str, before: Any, after: Any) -> Iterator[str]:
    old, new = _by_name(before), _by_name(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"{where}environment {name} was added"
        elif name not in new:
            yield f"{where}environment {name} was removed"
        elif old[name].get("value") != new[name].get("value"):
            yield f"{where}environment {name} has another value"


def _references(where: str, before: Any, after: Any) -> Iterator[str]:
    """Secrets: a reference is no secret, so both are shown."""
    old, new = _by_name(before), _by_name(after)
    for name in sorted(old.keys() | new.keys()):
        references = [_shown(side.get(name, {}).get("valueFrom")) for side in (old, new)]
        if references[0] != references[1]:
            yield f"{where}secret {name}: {references[0]} → {references[1]}"


def _by_name(entries: Sequence[Definition] | None) -> dict[str, Definition]:
    return {str(entry.get("name", "")): entry for entry in entries or ()}


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"
