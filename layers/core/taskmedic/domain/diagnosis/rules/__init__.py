"""The rules, in the order in which they are tried. The first that holds names the cause of a text.

The order is the precedence: an inner cause stands before the outer name it arrives in, a subject that a
message can only mean (a secret, a log group) before one that it may merely mention, and what only names a
family comes last.
"""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.image import IMAGE_RULES
from taskmedic.domain.diagnosis.rules.lifecycle import LIFECYCLE_RULES
from taskmedic.domain.diagnosis.rules.model import Rank, Rule
from taskmedic.domain.diagnosis.rules.orchestration import ORCHESTRATION_RULES
from taskmedic.domain.diagnosis.rules.outline import OUTLINE_RULES
from taskmedic.domain.diagnosis.rules.placement import PLACEMENT_RULES
from taskmedic.domain.diagnosis.rules.resources import RESOURCE_RULES

RULES: tuple[Rule, ...] = (
    *ORCHESTRATION_RULES,
    *IMAGE_RULES,
    *RESOURCE_RULES,
    *LIFECYCLE_RULES,
    *PLACEMENT_RULES,
    *OUTLINE_RULES,
)

__all__ = ["RULES", "Rank", "Rule"]
