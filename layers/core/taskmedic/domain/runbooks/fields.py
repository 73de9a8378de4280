"""Kinds of values in a runbook's YAML, and the base of its models."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from taskmedic.domain.runbooks.context import PLACEHOLDER

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Seconds of ``60s``, ``15m``, ``1h`` or ``2d``.

    Raises:
        ValueError: it is written otherwise.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not found:
        raise ValueError("write a duration as 60s, 15m or 1h")
    return int(found[1]) * UNITS[found[2]]


def _seconds(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def _seconds_or_option(value: Any) -> Any:
    return value if isinstance(value, str) and PLACEHOLDER.search(value) else _seconds(value)


def _text(value: Any) -> Any:
    """YAML reads ``1`` as a number; an option's value is always text."""
    if isinstance(value, bool):  # YAML's bare yes, no, on, off
        raise ValueError("put it in quotes, or YAML reads it as true or false")  # noqa: TRY004 - pydantic's
    return str(value) if isinstance(value, int | float) else value


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Duration = Annotated[int, BeforeValidator(_seconds)]
DurationOrOption = Annotated[int | str, BeforeValidator(_seconds_or_option)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[Text], BeforeValidator(_one_or_many)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Model(BaseModel):
    """Unknown fields are errors; nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
