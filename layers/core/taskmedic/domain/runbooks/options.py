"""A runbook's options: what was given, against what the runbook asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskmedic.domain.errors import OptionInvalid
from taskmedic.domain.runbooks.context import fill
from taskmedic.domain.runbooks.models import Runbook

MAX_VALUE_BYTES = 16_000  # options travel through every state of an execution


def resolve(book: Runbook, given: Mapping[str, str], trigger_value: Callable[[str], str]) -> dict[str, str]:
    """The value of every option: given, or else its default, in which ``${trigger.NAME}`` may stand.

    An empty value counts as not given, and so does one of blanks and commas only. An option that is not
    required and has no default is empty.

    Raises:
        OptionInvalid: one is unknown, missing or breaks its rule; the text names it.
    """
    unknown = sorted(given.keys() - book.options.keys())
    if unknown:
        raise OptionInvalid(
            f"runbook {book.name} has no option {unknown[0]}",
            where=f"options.{unknown[0]}",
            remedy=f"It has: {', '.join(book.options) or 'none'}.",
        )
    values = {}
    for name, option in book.options.items():
        value = given.get(name, "")
        if not value.strip(" ,"):  # lists of nodes would be empty by it
            value = ""
        if not value and option.default is not None:
            value = fill(option.default, {"trigger": trigger_value}).replace("${}", "$")
        if not value and option.required:
            raise OptionInvalid(
                f"option {name} of runbook {book.name} is required",
                where=f"options.{name}",
                remedy=option.description or f"Give {name}.",
            )
        wrong = option.refuses(value) if value else ""
        if len(value.encode()) > MAX_VALUE_BYTES:
            wrong = f"it is longer than {MAX_VALUE_BYTES} bytes"
        if wrong:
            raise OptionInvalid(
                f"option {name} of runbook {book.name} breaks its rule",
                where=f"options.{name}",
                why=wrong,
                remedy=option.description,
            )
        values[name] = value
    return values
