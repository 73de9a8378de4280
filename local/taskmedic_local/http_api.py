"""API Gateway's HTTP API: routes a request to a function as a payload of format 2.0.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from taskmedic_local.answers import Environ, StartResponse, body_of
from taskmedic_local.functions import ACCOUNT
from taskmedic_local.lambdas import Result, TooManyRequests

MAX_BODY_BYTES = 10 * 1024 * 1024
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
API_ID = "localapi"


class HttpApi:
    """WSGI application for the routes of the template."""

    def __init__(self, routes: Mapping[tuple[str, str], Callable[[bytes], Result]]) -> None:
        """
        Args:
            routes: what to call, with the payload, for a method and path.
        """
        self._routes = routes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        invoke = self._routes.get((method, path)) or self._routes.get(("ANY", path))
        if invoke is None:
            return _message(start_response, 404, "Not Found")
        body = body_of(environ)
        if len(body) > MAX_BODY_BYTES:
            return _message(start_response, 413, "Request Entity Too Large")
        try:
            result = invoke(json.dumps(payload(environ, body)).encode())
        except TooManyRequests:
            return _message(start_response, 503, "Service Unavailable")
        if result.function_error:
            return _message(start_response, 500, "Internal Server Error")
        return _from_function(result.payload, start_response)


def payload(environ: Environ, body: bytes) -> dict[str, Any]:
    """The event of format 2.0 for a request: names of headers in lower case, what is repeated by a comma."""
    headers = {
        name[5:].replace("_", "-").lower(): v for name, v in environ.items() if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    headers["content-length"] = str(len(body))
    text = headers.get("content-type", "").startswith(_TEXT_TYPES)
    try:
        encoded = body.decode() if text else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        text, encoded = False, base64.b64encode(body).decode()
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    now = datetime.now(UTC)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": environ.get("QUERY_STRING", ""),
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": headers.get("host", ""),
            "domainPrefix": API_ID,
            "http": {
                "method": method,
                "path": path,
                "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
                "sourceIp": environ.get("REMOTE_ADDR", ""),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": f"{method} {path}",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": not text and bool(body),
    }
    if query := parse_qs(event["rawQueryString"], keep_blank_values=True):
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query.items()}
    if body:
        event["body"] = encoded
    return event


def _from_function(answer: bytes, start_response: StartResponse) -> Iterable[bytes]:
    """A function's answer; one without ``statusCode`` is a body of its own, as API Gateway takes it."""
    value = json.loads(answer or b"null")
    if not isinstance(value, dict) or "statusCode" not in value:
        value = {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": answer.decode()}
    try:
        status = int(value["statusCode"])
        phrase = HTTPStatus(status).phrase
    except (TypeError, ValueError):
        return _message(start_response, 500, "Internal Server Error")
    body = value.get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    content = base64.b64decode(text) if value.get("isBase64Encoded") else text.encode()
    headers = {
        "content-type": "text/plain;charset=UTF-8",
        **{k.lower(): str(v) for k, v in (value.get("headers") or {}).items()},
    }
    start_response(f"{status} {phrase}", list(headers.items()))
    return [content]


def _message(start_response: StartResponse, status: int, text: str) -> Iterable[bytes]:
    start_response(f"{status} {HTTPStatus(status).phrase}", [("content-type", "application/json")])
    return [json.dumps({"message": text}).encode()]
