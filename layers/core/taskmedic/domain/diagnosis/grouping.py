"""Ten tasks that died of one cause are one diagnosis with ten tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from taskmedic.domain.diagnosis.model import Diagnosis
from taskmedic.domain.task_record import TaskRecord

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Group:
    """Tasks of one service (or family), revision and cause, newest stop first.

    ``diagnosis`` is that of the newest one.
    """

    diagnosis: Diagnosis
    records: tuple[TaskRecord, ...]

    @property
    def newest(self) -> TaskRecord:
        return self.records[0]


def grouped(diagnosed: Iterable[tuple[TaskRecord, Diagnosis]]) -> list[Group]:
    """Groups by cluster, service or task group, revision and cause.

    Faults come before what is benign, then the larger group, then the newer one.
    """
    members: dict[tuple[str, ...], list[tuple[TaskRecord, Diagnosis]]] = {}
    for record, diagnosis in diagnosed:
        key = (
            record.cluster_arn,
            record.group,
            record.revision,
            diagnosis.kind,
        )
        members.setdefault(key, []).append((record, diagnosis))
    groups = []
    for pairs in members.values():
        pairs.sort(key=lambda pair: pair[0].stopped_at or _NEVER, reverse=True)
        groups.append(Group(pairs[0][1], tuple(record for record, _ in pairs)))
    groups.sort(key=lambda group: group.newest.stopped_at or _NEVER, reverse=True)
    groups.sort(key=lambda group: (group.diagnosis.benign, -len(group.records)))
    return groups
