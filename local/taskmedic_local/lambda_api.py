"""Lambda's Invoke over HTTP; everything else that is asked of Lambda goes to moto.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterable
from urllib.parse import unquote

from taskmedic_local.answers import Environ, StartResponse, answer, answer_error, body_of
from taskmedic_local.functions import Function
from taskmedic_local.lambdas import Lambdas, TooManyRequests
from taskmedic_local.server import WsgiApp

log = logging.getLogger(__name__)

_INVOKE = re.compile(r"/2015-03-31/functions/(.+)/invocations")
_NAME = re.compile(r"(?:arn:aws[^:]*:lambda:[^:]*:\d+:function:|\d+:function:)?([A-Za-z0-9_-]+)(?::[^:]+)?")
MAX_REQUEST_BYTES = {"RequestResponse": 6 * 1024 * 1024, "Event": 1024 * 1024, "DryRun": 6 * 1024 * 1024}
# Lambda tries an asynchronous call twice more, after one and after two minutes. Seconds, before compression.
ASYNC_RETRIES_S = (60.0, 120.0)


class LambdaApi:
    """WSGI application for the service ``lambda``."""

    def __init__(self, lambdas: Lambdas, moto: WsgiApp, time_scale: float) -> None:
        self._lambdas = lambdas
        self._moto = moto
        self._time_scale = time_scale

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        found = _INVOKE.fullmatch(environ["PATH_INFO"])
        if found is None or environ["REQUEST_METHOD"] != "POST":
            return self._moto(environ, start_response)
        function = self.find(unquote(found[1]))
        if function is None:
            return answer_error(
                environ, start_response, "ResourceNotFoundException", f"Function not found: {found[1]}", 404
            )
        payload = body_of(environ) or b"{}"
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        refusal = _refusal(kind, payload)
        if refusal is not None:
            return answer_error(environ, start_response, *refusal)
        match kind:
            case "DryRun":
                return answer(start_response, 204, b"")
            case "Event":
                threading.Thread(target=self._invoke_later, args=[function, payload], daemon=True).start()
                return answer(start_response, 202, b"")
        return self._invoke(function, payload, environ, start_response)

    def find(self, name_or_arn: str) -> Function | None:
        """The function of a name, a partial ARN or an ARN, with or without a qualifier."""
        match = _NAME.fullmatch(name_or_arn)
        return self._lambdas.functions.get(match[1]) if match else None

    def _invoke(
        self, function: Function, payload: bytes, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        try:
            result = self._lambdas.invoke(function, payload)
        except TooManyRequests:
            return answer_error(environ, start_response, "TooManyRequestsException", "Rate Exceeded.", 429)
        headers = [("X-Amz-Executed-Version", "$LATEST")]
        if result.function_error:
            headers.append(("X-Amz-Function-Error", result.function_error))
        return answer(start_response, 200, result.payload, headers)

    def _invoke_later(self, function: Function, payload: bytes) -> None:
        for pause in (*ASYNC_RETRIES_S, None):
            try:
                if not self._lambdas.invoke(function, payload).function_error:
                    return
            except (TooManyRequests, ConnectionAbortedError) as error:
                log.debug("asynchronous call of %s: %r", function.name, error)
            if pause is None:
                log.warning("asynchronous call of %s failed three times and is dropped", function.name)
                return
            time.sleep(pause * self._time_scale)


def _refusal(kind: str, payload: bytes) -> tuple[str, str, int] | None:
    """Error code, message and status for a request that Lambda would not take."""
    limit = MAX_REQUEST_BYTES.get(kind)
    if limit is None:
        return "InvalidParameterValueException", f"Unknown invocation type {kind}", 400
    if len(payload) > limit:
        text = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        return "RequestTooLargeException", text, 413
    try:
        json.loads(payload)
    except ValueError as error:
        text = f"Could not parse request body into json: {error}"
        return "InvalidRequestContentException", text, 400
    return None
