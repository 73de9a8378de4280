"""Pages of lists, and their tokens."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from taskmedic_local.ecs.errors import invalid_parameter
from taskmedic_local.ecs.model import Json

PAGE = 100
T = TypeVar("T")


class Pager:
    """Cuts lists. A token belongs to one call with one set of parameters; all can be made to expire."""

    def __init__(self) -> None:
        self._age = 0

    def expire_tokens(self) -> None:
        """Every token given out so far is refused from now on."""
        self._age += 1

    def page(
        self, operation: str, body: Json, items: Iterable[T], *, key: Callable[[T], int | str], size: int
    ) -> tuple[list[T], str]:
        """The next page of ``items``, which come in the order of ``key``, and the token after it; empty at
        the end.

        Raises:
            EcsError: InvalidParameterException, for the token or ``maxResults``.
        """
        size = body.get("maxResults", size)
        if not 1 <= size <= PAGE:
            raise invalid_parameter(f"maxResults must be between 1 and {PAGE}.")
        scope = _scope(operation, body)
        after = self._position(body["nextToken"], scope) if body.get("nextToken") else None
        found: list[T] = []
        for item in items:
            if after is not None and key(item) <= after:  # type: ignore[operator]
                continue
            if len(found) == size:
                return found, self._token(scope, key(found[-1]))
            found.append(item)
        return found, ""

    def _token(self, scope: str, last: int | str) -> str:
        return base64.urlsafe_b64encode(json.dumps([self._age, scope, last]).encode()).decode()

    def _position(self, token: str, scope: str) -> int | str:
        try:
            age, wanted, last = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError):
            raise invalid_parameter(f"Invalid token: {token}") from None
        if age != self._age or wanted != scope:
            raise invalid_parameter(f"Invalid token: {token}")
        position: int | str = last
        return position


def _scope(operation: str, body: Json) -> str:
    asked = {name: value for name, value in body.items() if name not in {"nextToken", "maxResults"}}
    return hashlib.sha256(json.dumps([operation, asked], sort_keys=True).encode()).hexdigest()[:16]
