"""The Lambda Runtime API, as far as AWS's Python runtime client uses it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskmedic_local.lambdas import Lambdas

PREFIX = "/_local/runtime/"


class RuntimeApi:
    """WSGI: ``/_local/runtime/<worker>/2018-06-01/runtime/…``."""

    def __init__(self, lambdas: Lambdas) -> None:
        self._lambdas = lambdas

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        worker_id, _, rest = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
        body: bytes = environ["wsgi.input"].read()
        match rest.split("/")[2:]:
            case ["invocation", "next"]:
                return self._next(worker_id, start_response)
            case ["invocation", request_id, "response"]:
                self._lambdas.answered(worker_id, request_id, body, failed=False)
            case ["invocation", request_id, "error"]:
                self._lambdas.answered(worker_id, request_id, body, failed=True)
            case ["init", "error"]:
                self._lambdas.init_failed(worker_id, body)
            case _:
                start_response("404 Not Found", [("Content-Type", "application/json")])
                return [b"{}"]
        start_response("202 Accepted", [("Content-Type", "application/json")])
        return [json.dumps({"status": "OK"}).encode()]

    def _next(self, worker_id: str, start_response: Any) -> Iterable[bytes]:
        call = self._lambdas.next_call(worker_id)
        if call is None:
            start_response("410 Gone", [("Content-Type", "application/json"), ("Connection", "close")])
            return [b"{}"]
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", call.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(int(call.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", call.function.arn),
            ("Lambda-Runtime-Trace-Id", call.trace_id),
        ]
        start_response("200 OK", headers)
        return [call.payload]
