"""Requests taken apart as AWS's clients sign them, and answers in the forms those clients parse."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.iam.models import get_account_id_from

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")

# Signing names that differ from the name one calls a service by.
_SERVICES = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}


@dataclass(frozen=True)
class AwsRequest:
    """Who asks which service for what. ``operation`` is the HTTP method for S3 and Lambda, that name none."""

    service: str
    operation: str
    region: str
    access_key: str
    account: str

    @classmethod
    def of(cls, environ: Environ) -> AwsRequest | None:
        """None for a request that is not signed as AWS's are."""
        match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match is None:
            return None
        access_key, region, signing_name = match.groups()
        return cls(
            service=_SERVICES.get(signing_name, signing_name),
            operation=_operation(environ),
            region=region,
            access_key=access_key,
            account=_account(environ, access_key),
        )


def _operation(environ: Environ) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target.rpartition(".")[2])
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        form = parse_qs(body_of(environ).decode("utf-8", "replace"))
        return form.get("Action", [""])[0]
    if environ.get("HTTP_SMITHY_PROTOCOL"):
        return str(environ["PATH_INFO"].rpartition("/")[2])
    return str(environ["REQUEST_METHOD"])


def _account(environ: Environ, access_key: str) -> str:
    return str(environ.get("HTTP_X_MOTO_ACCOUNT_ID") or get_account_id_from(access_key))


def body_of(environ: Environ) -> bytes:
    """The request's body, which stays readable for whoever comes next."""
    stream = environ["wsgi.input"]
    body: bytes = stream.read()
    stream.seek(0)
    return body


def answer(
    start_response: StartResponse,
    status: int,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "application/json",
) -> list[bytes]:
    """A whole answer."""
    names = [("Content-Type", content_type), ("x-amzn-RequestId", str(uuid.uuid4())), *headers]
    start_response(f"{status} {HTTPStatus(status).phrase}", names)
    return [body]


def answer_json(start_response: StartResponse, value: Any, status: int = 200) -> list[bytes]:
    """``value`` as JSON 1.1."""
    return answer(
        start_response,
        status,
        json.dumps(value, default=str).encode(),
        content_type="application/x-amz-json-1.1",
    )


def answer_error(
    environ: Environ, start_response: StartResponse, code: str, message: str, status: int = 400
) -> list[bytes]:
    """An AWS error, in the form of the protocol that the request speaks."""
    if environ.get("HTTP_X_AMZ_TARGET") or "/functions/" in environ["PATH_INFO"]:
        body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
        return answer(start_response, status, body, [("x-amzn-ErrorType", code)])
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        error = f"<ErrorResponse>{error}<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    return answer(start_response, status, error.encode(), content_type="text/xml")


def json_body(environ: Environ) -> Mapping[str, Any]:
    """The body as a JSON object; an empty one when there is none.

    Raises:
        ValueError: it is no JSON object.
    """
    value = json.loads(body_of(environ) or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 - as json.loads has it for no JSON at all
    return value
