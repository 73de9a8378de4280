"""The local cloud's own levers under ``/_local/``, for tests and demonstrations from outside the process.

GET, POST, DELETE /_local/faults     what is in force; {"action": …} adds one (see faults.Fault); none
POST              /_local/kills      {"function": NAME, "after_s": 0.05}: its next call loses its process
GET, DELETE       /_local/calls      how often each (function, service, operation) was called; forget
POST              /_local/reset      everything as it was at the start
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from taskmedic_local.answers import Environ, StartResponse, answer, json_body
from taskmedic_local.faults import Faults
from taskmedic_local.front import Front
from taskmedic_local.lambdas import Lambdas

PREFIX = "/_local/"


class Control:
    """WSGI application."""

    def __init__(self, *, faults: Faults, front: Front, lambdas: Lambdas, reset: Callable[[], None]) -> None:
        self._faults = faults
        self._front = front
        self._lambdas = lambdas
        self._reset = reset

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PREFIX)
        try:
            status, value = self._answer(method, path, json_body(environ))
        except (ValueError, TypeError, KeyError) as error:
            status, value = 400, {"error": f"{type(error).__name__}: {error}"}
        return answer(start_response, status, json.dumps(value).encode())

    def _answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        match method, path:
            case "GET", "faults":
                return 200, [asdict(fault) for fault in self._faults.in_force()]
            case "POST", "faults":
                self._faults.add(**body)
            case "DELETE", "faults":
                self._faults.clear()
            case "POST", "kills":
                self._lambdas.kill_next_call(body["function"], float(body.get("after_s", 0.05)))
            case "GET", "calls":
                return 200, [
                    {"function": function, "service": service, "operation": operation, "count": count}
                    for (function, service, operation), count in sorted(self._front.calls().items())
                ]
            case "DELETE", "calls":
                self._front.forget_calls()
            case "POST", "reset":
                self._reset()
            case _:
                return 404, {"error": f"there is no {method} {PREFIX}{path}"}
        return 200, {}
