"""What tells one cause from another, so that tasks of one cause are one group."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taskmedic.domain.diagnosis.catalogue import Category, Telling
from taskmedic.domain.diagnosis.names import without_names
from taskmedic.domain.task_record import ContainerRecord

# Facts that differ among tasks of one cause.
_BY_CHANCE = frozenset({"port", "instance"})
_NUMBER = re.compile(r"\b(?:[0-9a-f]{1,40}-){2,8}[0-9a-f]{1,40}\b|[0-9a-f]{8,}|\d+")


def kind_of(
    category: Category, container: ContainerRecord | None, facts: Mapping[str, str], said: str
) -> str:
    """The same text for tasks that stopped for one cause: the category, the container, what the title names;
    and what was ``said``, without names, ids and numbers, where the category has many causes.
    """
    named = {name: value for name, value in facts.items() if name not in _BY_CHANCE}
    parts = [category.label, container.name if container else "", Telling(named).tell(category.title)]
    if category.many_causes:
        parts.append(_NUMBER.sub("#", without_names(said).lower()))
    return "\n".join(parts)
