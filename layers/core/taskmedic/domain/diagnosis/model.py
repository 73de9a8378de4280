"""What a diagnosis is, and what may be known beside the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Confidence(StrEnum):
    """How sure a diagnosis is. What it rests on is its first line of evidence."""

    HIGH = "high"  # AWS names the cause
    MEDIUM = "medium"  # it follows from a code, a cut word, or the part of the start that failed
    LOW = "low"  # the text was cut off, or nothing says why


@dataclass(frozen=True)
class Evidence:
    """One line that was seen, and where: ``containers[app].reason``, ``log app/app/0123``, …"""

    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"


@dataclass(frozen=True)
class EarlierStop:
    """A stop of the same service that the ledger remembers."""

    at: datetime
    category: str
    revision: str


@dataclass(frozen=True)
class DiagnosisContext:
    """What was collected beside the task. Everything is optional.

    ``task_definition`` is DescribeTaskDefinition's ``taskDefinition``; ``log_tail`` maps a container's name
    to its last log lines; ``earlier_stops`` are those before this one, in any order; ``changes`` are lines of
    what its revision changed; ``target_reason`` is what the load balancer says of the target; ``notes`` are
    further lines of evidence.
    """

    task_definition: Mapping[str, Any] | None = None
    log_tail: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    earlier_stops: tuple[EarlierStop, ...] = ()
    changes: tuple[str, ...] = ()
    target_reason: str = ""
    notes: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """Why one task stopped.

    ``category`` is a label of the taxonomy (docs/diagnosis.md); ``benign`` means that nothing needs to be
    done; ``container`` is the container that failed first, "" when none did; ``rule`` is the rule that
    decided, "" when stop code or exit codes did; ``kind`` is the same for tasks that stopped for one cause.
    """

    task_arn: str
    category: str
    benign: bool
    confidence: Confidence
    title: str
    cause: str
    advice: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    container: str = ""
    service: str = ""
    revision: str = ""
    rule: str = ""
    kind: str = ""

    @property
    def family(self) -> str:
        """The first part of the category: ``image_pull`` of ``image_pull.auth``."""
        return self.category.split(".", 1)[0]

    @property
    def rests_on(self) -> str:
        """Where the deciding words, code or number stood: ``containers[app].reason``, ``stopCode``, …"""
        return self.evidence[0].source if self.evidence else ""

    def to_json(self) -> dict[str, Any]:
        """As ``taskmedic explain`` prints it."""
        return {
            "task_arn": self.task_arn,
            "category": self.category,
            "benign": self.benign,
            "confidence": self.confidence.value,
            "rests_on": self.rests_on,
            "title": self.title,
            "cause": self.cause,
            "advice": list(self.advice),
            "evidence": [str(line) for line in self.evidence],
            "container": self.container,
            "service": self.service,
            "revision": self.revision,
        }
