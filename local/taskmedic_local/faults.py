"""Trouble on order: API calls that are slow, refused or cut, and functions that lose their process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from taskmedic_local.answers import AwsRequest

ACTIONS = ("delay", "error", "kill_before", "kill_after")


@dataclass
class Fault:
    """Happens to the next ``times`` calls that fit; -1 means until it is cleared.

    ``service`` and ``operation`` name the call: the signing name and the API's operation (S3 and Lambda: the
    HTTP method); empty fits any. Actions: ``delay`` by ``seconds``; ``error`` with ``code`` and ``status``;
    ``kill_before`` and ``kill_after`` end the function's process that makes the call, before or after the
    call had its effect.
    """

    action: str
    service: str = ""
    operation: str = ""
    function: str = ""
    times: int = 1
    seconds: float = 0.0
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: int = 400

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}; one of {', '.join(ACTIONS)}")

    def fits(self, request: AwsRequest, function: str) -> bool:
        return (
            self.times != 0
            and self.service in {"", request.service}
            and self.operation in {"", request.operation}
            and self.function in {"", function}
        )


class Faults:
    """The faults in force. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **fault: Any) -> None:
        """Puts a ``Fault`` with these fields in force.

        Raises:
            ValueError: the action is unknown.
            TypeError: a field is unknown.
        """
        with self._lock:
            self._faults.append(Fault(**fault))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def in_force(self) -> list[Fault]:
        """Those that have not been used up."""
        with self._lock:
            return [fault for fault in self._faults if fault.times != 0]

    def strike(self, request: AwsRequest, function: str) -> Fault | None:
        """The fault that meets this call, other than a delay, which is served here."""
        delay = 0.0
        struck = None
        with self._lock:
            for fault in self._faults:
                if not fault.fits(request, function) or (struck and fault.action != "delay"):
                    continue
                if fault.times > 0:
                    fault.times -= 1
                if fault.action == "delay":
                    delay += fault.seconds
                else:
                    struck = fault
        if delay:
            time.sleep(delay)
        return struck
