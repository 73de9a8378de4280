"""Which container a text is about, when the text stood at the task."""

from __future__ import annotations

from collections.abc import Callable

from taskmedic.domain.diagnosis.facts import container_definition
from taskmedic.domain.diagnosis.model import DiagnosisContext
from taskmedic.domain.diagnosis.text import Message
from taskmedic.domain.task_record import ContainerRecord, TaskRecord

SIGKILL_CODE = 137


def container_meant(
    record: TaskRecord, category: str, message: Message, context: DiagnosisContext
) -> ContainerRecord | None:
    """The container that the message is about; None when that cannot be told.

    It is the one whose reason this is, or the only one, or the only one that fits: that is unhealthy or has a
    health check, whose image the text names, that was killed.
    """
    if message.container:
        return _only([c for c in record.containers if c.name == message.container])
    if len(record.containers) == 1:
        return record.containers[0]
    fits: list[Callable[[ContainerRecord], bool]] = []
    match category.split(".", maxsplit=1)[0], category:
        case _, "container.health_check_failed":
            fits = [
                lambda c: c.health.upper() == "UNHEALTHY",
                lambda c: bool(container_definition(context, c).get("healthCheck")),
            ]
        case _, "container.oom_killed":
            fits = [lambda c: c.exit_code == SIGKILL_CODE]
        case "image_pull", _:
            fits = [lambda c: bool(c.image) and c.image in message.text]
    for fit in fits:
        if found := _only([c for c in record.containers if fit(c)]):
            return found
    return None


def _only(containers: list[ContainerRecord]) -> ContainerRecord | None:
    return containers[0] if len(containers) == 1 else None
