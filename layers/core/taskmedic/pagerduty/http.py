"""Requests to PagerDuty: what is sent, what is tried again, and what its refusals mean.

Tried again, within the time that is left: an answer 429 or a connection that was never made, since nothing
happened; and, where a second time does no harm, 408, 5xx and an answer that never came. Otherwise these are
``Ambiguous``: it may have happened, and only the caller can find out.
Source: PagerDuty's developer docs, "REST API: Rate Limits" and "Errors".
"""

from __future__ import annotations

import json
import math
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable

TRIES: Final = 4
CONNECT_SECONDS: Final = 3.0
# Kept back of the caller's time, so that it can still say what happened.
RESERVE_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0

NO_USER: Final = 'Set "from" in the API secret to the e-mail address of a user of this PagerDuty account.'
# What to do about PagerDuty's error codes, or else about its status.
BY_CODE: Final[Mapping[int, str]] = {
    1008: NO_USER,
    2001: "Check the request against PagerDuty's API reference.",
    2006: 'Put a valid REST API key into "token" of the API secret.',
    2010: "Give the REST API key write access to incidents.",
    2013: NO_USER,
    2100: "Check that the incident belongs to the API key's account, and the API URL's region (US or EU).",
}
BY_STATUS: Final[Mapping[int, str]] = {
    401: BY_CODE[2006],
    402: "The PagerDuty plan does not include this; switch it off in the runbook's report.",
    403: BY_CODE[2010],
    404: BY_CODE[2100],
}


class Ambiguous(PagerDutyUnavailable):
    """A request that must not be repeated may have happened, for it got no answer or a 408 or 5xx.

    Settled inside this package; Step Functions never sees it.
    """


@dataclass(frozen=True)
class Patience:
    """How long a caller can wait.

    Args:
        remaining: Seconds left before the caller must be done.
        sleep: Waits that many seconds.
        now: Epoch seconds.
        answer_s: Seconds that one request may go without an answer.
    """

    remaining: Callable[[], float] = lambda: math.inf
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    answer_s: float = 10.0

    def within(self, seconds: float) -> Patience:
        """The same, for that many seconds from now at the most."""
        end, allowed = time.monotonic() + seconds, self.remaining
        return replace(self, remaining=lambda: min(allowed(), end - time.monotonic()))

    def waited(self, seconds: float) -> bool:
        """Waits, unless there is not the time for that and one more try; whether it did."""
        if seconds > LONGEST_WAIT_SECONDS or seconds + RESERVE_SECONDS + 1 > self.remaining():
            return False
        self.sleep(seconds)
        return True


@dataclass(frozen=True)
class Request:
    """One request.

    Args:
        method: GET, PUT, POST or DELETE.
        path: From the host's root, such as ``/incidents/Q1/notes``.
        what: What failed if it fails, as in "cannot list the notes".
        body: Sent as JSON.
        query: Query parameters.
        headers: Besides those of the host.
        repeatable: Whether a second time does no harm.
        before: Called before each try; what it raises ends the trying.
    """

    method: str
    path: str
    what: str
    body: Any = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    before: Callable[[], None] = lambda: None

    @property
    def where(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Failure:
    """One try without success.

    Args:
        why: The cause, in words.
        remedy: What the reader can do.
        wait: Seconds after which PagerDuty wants the next try; None where it does not say.
        harmless: Whether it is certain that nothing happened.
        final: Whether the same request would be refused again.
    """

    why: str
    remedy: str = ""
    wait: float | None = None
    harmless: bool = False
    final: bool = False


@dataclass(frozen=True)
class Http:
    """Sends JSON to one host and reads its JSON.

    Args:
        url: Where paths are appended to.
        headers: Sent with each request; the credentials are among them and appear in no error.
        patience: Bounds every wait.
        pool: urllib3's pool.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    patience: Patience
    pool: urllib3.PoolManager

    def send(self, request: Request) -> Any:
        """Sends ``request``, again where that is safe, and returns the answer's JSON.

        Raises:
            PagerDutyRefused: it would be refused again.
            Ambiguous: it may have happened and must not be repeated.
            PagerDutyUnavailable: it was tried to the end of the patience and may succeed later.
        """
        for attempt in range(1, TRIES + 1):
            request.before()
            result = self._once(request)
            if not isinstance(result, Failure):
                return result
            if result.final:
                raise PagerDutyRefused(
                    request.what, where=request.where, why=result.why, remedy=result.remedy
                )
            if not (result.harmless or request.repeatable):
                why = f"{result.why}; it may have happened all the same"
                raise Ambiguous(request.what, where=request.where, why=why)
            wait = _backoff(attempt) if result.wait is None else result.wait
            if attempt == TRIES or not self.patience.waited(wait):
                break
        raise PagerDutyUnavailable(
            request.what,
            where=request.where,
            why=f"{result.why} (tried {attempt} times)",
            remedy="Try again later.",
        )

    def _once(self, request: Request) -> Any | Failure:
        left = max(self.patience.remaining() - RESERVE_SECONDS, 0.5)
        try:
            response = self.pool.request(
                request.method,
                self.url.rstrip("/") + request.path,
                fields=request.query,
                body=None if request.body is None else json.dumps(request.body, ensure_ascii=False).encode(),
                headers={**self.headers, **(request.headers or {})},
                timeout=urllib3.Timeout(
                    connect=min(CONNECT_SECONDS, left), read=min(self.patience.answer_s, left)
                ),
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            return _unanswered(error)
        return _json(response) if response.status < 300 else _refused(response)


def _backoff(attempt: int) -> float:
    """Seconds before the next try: 1, 2, 4, with jitter down to the half."""
    return float(2 ** (attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing


def _unanswered(error: HTTPError) -> Failure:
    """In our words: urllib3's name the pool and an object's address."""
    if isinstance(error, NewConnectionError | ConnectTimeoutError) or _was_a_stranger(error):
        return Failure(why="PagerDuty cannot be reached", harmless=True)
    return Failure(why=f"no answer came ({type(error).__name__})")


def _was_a_stranger(error: HTTPError) -> bool:
    """Whether the host's certificate was refused. Of TLS's errors only this one is sure to come before the
    request is sent; any other may be raised while the answer is read.
    """
    cause = error.args[0] if isinstance(error, SSLError) and error.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)


def _refused(response: urllib3.BaseHTTPResponse) -> Failure:
    why = _reason(response)
    if response.status == 429:
        return Failure(why=why, wait=_reset(response), harmless=True)
    if response.status == 408 or response.status >= 500:
        return Failure(why=why)
    return Failure(why=why, remedy=_remedy(response), final=True)


def _reset(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds until PagerDuty counts anew; None where the header is absent or no number."""
    try:
        seconds = float(response.headers.get("ratelimit-reset", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _json(response: urllib3.BaseHTTPResponse) -> Any:
    """The answer's JSON; None for an answer without any."""
    try:
        return json.loads(response.data) if response.data else None
    except ValueError:
        return None


def _error(response: urllib3.BaseHTTPResponse) -> Mapping[str, Any]:
    body = _json(response)
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _reason(response: urllib3.BaseHTTPResponse) -> str:
    """PagerDuty's own words: ``400 Invalid Input Provided (2001): Content cannot be empty``."""
    error = _error(response)
    code = f" ({error['code']})" if "code" in error else ""
    details = error.get("errors")
    more = f": {'; '.join(str(one) for one in details)}" if isinstance(details, list) and details else ""
    return f"{response.status} {error.get('message') or response.reason or ''}{code}{more}"[:500]


def _remedy(response: urllib3.BaseHTTPResponse) -> str:
    code = _error(response).get("code")
    known = BY_CODE.get(code) if isinstance(code, int) else None
    return known or BY_STATUS.get(response.status, "")
