"""What can be made to go wrong with requests to the stand-in."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

# 429 with the time of its reset, or without; any other status of an error; a time-out or a closed connection
# before or after the effect; timeout_late: the effect comes after the client has given up, when `POST late`
# says so; note_limit: as if the incident held 2,000 notes.
KINDS = re.compile(
    r"[45]\d\d|429_without_reset|timeout_before|timeout_after|timeout_late|close_before|close_after|note_limit"
)


@dataclass
class Fault:
    """One thing that goes wrong for the next ``times`` requests that match."""

    kind: str
    times: int = 1
    method: str = ""
    path: str = ""
    seconds: float = 30.0
    """How long an answer does not come; after how long the rate limit is reset."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Fault:
        """Raises ValueError, with a text for a person, when there is no such fault."""
        if strange := set(value) - set(cls.__dataclass_fields__):
            raise ValueError(f"unknown: {', '.join(sorted(strange))}")
        if not KINDS.fullmatch(str(value.get("kind"))):
            raise ValueError(f"kind must match {KINDS.pattern}")
        return cls(**value)


class Faults:
    """The faults that wait for their request. Safe to use from several threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def set(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this request, used up by one."""
        with self._lock:
            for fault in self._faults:
                if fault.method in {"", method} and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None
