"""urllib3's pool, with answers written beforehand."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from taskmedic.pagerduty.client import Client, Credentials
from taskmedic.pagerduty.http import Patience

CREDENTIALS = Credentials(token="t0k", from_email="taskmedic@example.com", routing_key="r" * 32)


@dataclass(frozen=True)
class Sent:
    """One request as it left."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any


def answered(status: int, body: Any = None, **headers: str) -> urllib3.HTTPResponse:
    data = b"" if body is None else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.HTTPResponse(io.BytesIO(data), sent, status, preload_content=True)


def an_error(status: int, code: int, *details: str, **headers: str) -> urllib3.HTTPResponse:
    return answered(
        status, {"error": {"message": "Refused", "code": code, "errors": list(details)}}, **headers
    )


def timed_out() -> Exception:
    return ReadTimeoutError(None, "", "read timed out")  # type: ignore[arg-type]


def closed() -> Exception:
    return ProtocolError("Connection aborted.")


def unreachable() -> Exception:
    return NewConnectionError(None, "refused")  # type: ignore[arg-type]


@dataclass
class ScriptedPool:
    """Answers in turn; the last answer stays."""

    answers: list[urllib3.HTTPResponse | Exception]
    sent: list[Sent] = field(default_factory=list)
    timeouts: list[urllib3.Timeout] = field(default_factory=list)

    def request(self, method: str, url: str, **kwargs: Any) -> urllib3.HTTPResponse:
        assert kwargs["retries"] is False
        assert kwargs["redirect"] is False
        query = kwargs["fields"]
        body = json.loads(kwargs["body"]) if kwargs["body"] else None
        self.sent.append(Sent(method, f"{url}?{urlencode(query)}" if query else url, kwargs["headers"], body))
        self.timeouts.append(kwargs["timeout"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class World:
    """A client, what it sent, and how long it slept. Sleeping uses up the time that is left."""

    answers: list[urllib3.HTTPResponse | Exception]
    left: float = 60.0
    credentials: Credentials = CREDENTIALS
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = ScriptedPool(self.answers)
        self.client = Client(
            self.credentials,
            patience=Patience(remaining=lambda: self.left - sum(self.slept), sleep=self.slept.append),
            pool=self.pool,  # type: ignore[arg-type]
        )

    @property
    def sent(self) -> list[str]:
        return [f"{one.method} {one.url.removeprefix('https://api.pagerduty.com')}" for one in self.pool.sent]
