"""The `${…}` of a runbook, checked when it is read: each name must be known, each place safe to fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.nodes import attribute_named
from taskmedic.domain.runbooks import quoting
from taskmedic.domain.runbooks.context import (
    OUTCOME_FIELDS,
    PLACEHOLDER,
    REPORT_NAMES,
    SCOPES,
    TRIGGER_NAMES,
)
from taskmedic.domain.runbooks.models import Option, Runbook

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Mistake:
    """What is wrong, and where: the keys and indexes that lead to the field."""

    path: Path
    what: str


def mistakes(book: Runbook) -> Iterator[Mistake]:
    """Every mistake in the references and options of a runbook whose form is right."""
    for name, option in book.options.items():
        yield from _option(name, option)
    if book.nodes is not None:
        yield from _texts(book, ("nodes",), book.nodes.to_json(), allowed={"option", "trigger"})
    earlier: list[str] = []
    for index, step in enumerate(book.steps):
        path: Path = ("steps", index, step.type)
        allowed = {"option", "trigger", "steps"} | ({"node"} if step.type == "command" else set())
        spec = getattr(step, step.type).model_dump(exclude_defaults=True)
        yield from _texts(book, path, spec, allowed=allowed, earlier=tuple(earlier))
        if "script" in spec:
            yield from _script((*path, "script"), spec["script"])
        earlier.append(step.name)
    written = {"custom_fields": book.report.custom_fields}
    yield from _texts(book, ("report",), written, allowed={"report", "steps"}, earlier=tuple(earlier))


def _option(name: str, option: Option) -> Iterator[Mistake]:
    default = option.default
    if default is None:
        return
    for found in PLACEHOLDER.finditer(default):
        if found["scope"] != "trigger" or found["name"] not in TRIGGER_NAMES:
            yield Mistake(
                ("options", name, "default"),
                f"{found[0]} is not known here; known are {_known('trigger', TRIGGER_NAMES)}",
            )
    if not PLACEHOLDER.search(default):
        wrong = option.refuses(default)
        if wrong:
            yield Mistake(("options", name, "default"), wrong)


def _texts(
    book: Runbook, path: Path, value: Any, *, allowed: set[str], earlier: tuple[str, ...] = ()
) -> Iterator[Mistake]:
    """The mistakes in every text of ``value``."""
    match value:
        case str():
            for found in PLACEHOLDER.finditer(value):
                what = _reference(book, found["scope"] or "", found["name"] or "", allowed, earlier)
                if found["scope"] == "unquotedoption":
                    what = _unquoted(path, value, found[0], found["name"], book)
                if what:
                    yield Mistake(path, f"{found[0]}: {what}")
        case Mapping():
            for key, inner in value.items():
                yield from _texts(book, (*path, key), inner, allowed=allowed, earlier=earlier)
        case list():
            for index, inner in enumerate(value):
                yield from _texts(book, (*path, index), inner, allowed=allowed, earlier=earlier)


def _reference(book: Runbook, scope: str, name: str, allowed: set[str], earlier: tuple[str, ...]) -> str:
    """What is wrong with ``${scope.name}``; empty when nothing is."""
    if scope not in SCOPES:
        return f"unknown; known are {', '.join(f'${{{known}.…}}' for known in SCOPES)}"
    if scope not in allowed | {"unquotedoption"}:
        return f"${{{scope}.…}} is not known in this place"
    match scope:
        case "option" | "unquotedoption":
            return "" if name in book.options else f"there is no option {name}"
        case "trigger" | "report":
            names = TRIGGER_NAMES if scope == "trigger" else REPORT_NAMES
            return "" if name in names else f"known are {_known(scope, names)}"
        case "node":
            return _node_attribute(name)
        case _:
            return _outcome_field(name, earlier)


def _outcome_field(name: str, earlier: tuple[str, ...]) -> str:
    step, _, field = name.partition(".")
    if step not in earlier:
        return f"no step before this one is named {step}"
    known = field.partition(".")[0] in OUTCOME_FIELDS
    return "" if known else f"known are {_known(f'steps.{step}', OUTCOME_FIELDS)}"


def _node_attribute(name: str) -> str:
    try:
        attribute_named(name)
    except FilterInvalid as error:
        return str(error)
    return ""


def _unquoted(path: Path, text: str, whole: str, name: str, book: Runbook) -> str:
    if name not in book.options:
        return f"there is no option {name}"
    if path[-1] == "script" and text.strip() == whole:
        return ""
    return "allowed only where the option is the whole script; write ${option.…}, which is quoted for you"


def _script(path: Path, script: str) -> Iterator[Mistake]:
    for found, where in quoting.unsafe_places(script, PLACEHOLDER):
        yield Mistake(
            path,
            f"{found} stands {where}, where quoting it could not hold a hostile value; it is quoted for you, "
            "so write it bare, or put it in a variable first: x=${…}",
        )


def _known(scope: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"${{{scope}.{name}}}" for name in names)
