"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from taskmedic.domain.diagnosis.text import Message, Phrases, phrases


class Rank(IntEnum):
    """How much a rule's category says. A lower rank wins over a higher one, wherever the text stood."""

    CAUSE = 0  # what happened
    CONSEQUENCE = (
        1  # what followed from something else: a dependency that was not met, an agent that fell over
    )
    OUTLINE = 2  # which part of the start failed, not why


@dataclass(frozen=True, slots=True)
class Rule:
    """``category`` holds when a text says something of every group in ``all_of`` and nothing of ``none_of``.

    ``source`` is where the wording is documented; ``example`` is a text of our own in that wording.
    """

    name: str
    category: str
    all_of: tuple[Phrases, ...]
    source: str
    example: str
    none_of: tuple[Phrases, ...] = ()
    rank: Rank = Rank.CAUSE

    def holds(self, message: Message) -> bool:
        for group in self.all_of:
            if not message.says(group):
                return False
        for group in self.none_of:  # noqa: SIM110 - a plain loop, as above
            if message.says(group):
                return False
        return True


def words(rule: str, *wordings: str | Phrases) -> Phrases:
    """A group of phrases that one rule alone uses."""
    return phrases(f"rule:{rule}", *wordings)


# Where wordings come from.
DOC_STOPPED = "ECS developer guide: Stopped tasks error messages"
DOC_PULL = "ECS developer guide: CannotPullContainer task errors"
DOC_RESOURCE = "ECS developer guide: ResourceInitializationError task errors"
DOC_EVENTS = "ECS developer guide: Service event messages"
DOC_HEALTH = "ECS developer guide: Determine task health using container health checks"
DOC_CIRCUIT = "ECS developer guide: deployment circuit breaker"
DOC_EXEC = "ECS developer guide: ECS Exec"
AGENT = "ECS agent: named errors"
DOCKER = "Docker Engine and runc error texts"
CONTAINERD = "containerd error texts"
EFS_UTILS = "amazon-efs-utils error texts"
EC2_API = "EC2 API error codes"
