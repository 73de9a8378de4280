"""Reading ECS page by page, where a page token may run out under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from taskmedic.domain.errors import AwsRefused

# What ECS answers to a token it does not take (ECS API reference, ListTasks, errors).
_BAD_TOKEN = frozenset({"InvalidParameterException", "ClientException"})


class TokenExpired(Exception):
    """A page token is not taken any more; the listing can be read again from its first page."""


def page(call: Callable[..., Any], request: Mapping[str, Any], token: str) -> Any:
    """One page of a listing; the first where ``token`` is empty.

    Raises:
        TokenExpired: the token is not taken.
        ClientError: any other refusal.
    """
    if not token:
        return call(**request)
    try:
        return call(**request, nextToken=token)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _BAD_TOKEN:
            raise TokenExpired from error
        raise


def tokens_expire(what: str, where: str) -> AwsRefused:
    """That a listing's tokens ran out also when it was read again from its first page."""
    return AwsRefused(
        f"cannot list {what}",
        where=where,
        why="ECS refused its own page token twice",
        remedy="Try again.",
    )
