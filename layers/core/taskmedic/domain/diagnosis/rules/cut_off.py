"""Texts that AWS cut off in the middle of a word: ``… no space left on devi``.

Fargate cuts long messages, and old container reasons end after 255 characters. A text whose end is the
beginning of a known wording is read as if the wording stood there whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskmedic.domain.diagnosis.rules.model import Rank, Rule
from taskmedic.domain.diagnosis.text import Message, squeeze

# A text shorter than this was not cut by AWS.
SHORTEST_TEXT = 60
# The least that must be left of a wording: characters, and its part of the whole.
LEAST = 12
LEAST_PART = 0.6


class CutWordings:
    """The beginnings of the rules' wordings that end within a word, and what each is the beginning of."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._whole: Mapping[str, str] = _beginnings(rules)
        self._longest = max(map(len, self._whole), default=0)

    def completed(self, message: Message) -> Message | None:
        """``message`` with its last wording whole; None when it does not end within a known one."""
        said = message.squeezed[1:-1].rstrip(".\u2026)")
        if len(said) < SHORTEST_TEXT:
            return None
        for size in range(self._longest, LEAST - 1, -1):
            whole = self._whole.get(said[-size:])
            if whole is not None:
                return message.ending(said[:-size] + whole)
        return None


def _beginnings(rules: Iterable[Rule]) -> dict[str, str]:
    """Of wordings that begin alike, that of the earlier rule counts."""
    found: dict[str, str] = {}
    for rule in rules:
        if rule.rank is Rank.CAUSE:
            for group in rule.all_of:
                for wording in group.shown:
                    whole = squeeze(wording)
                    for at in range(1, len(wording)):
                        if wording[at - 1].isalnum() and wording[at].isalnum():
                            begun = squeeze(wording[:at])
                            if len(begun) >= max(LEAST, LEAST_PART * len(whole)):
                                found.setdefault(begun, whole)
    return found
