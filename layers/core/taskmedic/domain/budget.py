"""What may travel in an execution: a state of Step Functions takes 256 KiB at most.

The largest is what the report gets: the outcomes of up to 8 steps, the plan (60 kB) and the trigger. JSON is
measured as Python writes it, which is never shorter than UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

OUTCOME_BYTES = 20_000
SUMMARY_CHARS = 2_000

M = TypeVar("M", bound=Mapping[str, Any])


def json_bytes(value: Any) -> int:
    """How long ``value`` is as JSON, in bytes."""
    return len(json.dumps(value))


def within(items: Iterable[M], limit_bytes: int) -> list[M]:
    """As many of ``items``, from the first, as have ``limit_bytes`` as a JSON list."""
    kept = []
    for item in items:
        limit_bytes -= json_bytes(item) + 2  # the comma and blank of the list
        if limit_bytes < 0:
            break
        kept.append(item)
    return kept
