"""`${…}` in a runbook's text: what may stand there, and what it becomes.

    ${option.NAME}           an option's value                      completed when the trigger is accepted
    ${unquotedoption.NAME}   the same, never quoted                 completed when the trigger is accepted
    ${trigger.NAME}          cluster, service, task, …              completed when the trigger is accepted
    ${node.ATTRIBUTE}        an attribute of the node at hand       completed by the step
    ${steps.NAME.FIELD}      the outcome of an earlier step         completed by the step
    ${report.NAME}           in the report's custom fields          completed by the report

The words are Rundeck's. In a script each value is one shell word, quoted where it must be. Text is completed
twice, so that a dollar inside a value of the first pass is kept from the second: it is written `${}`, which
no shell accepts and which the second pass turns back.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from taskmedic.domain.errors import StepInvalid

SCOPES = ("option", "unquotedoption", "trigger", "node", "steps", "report")
TRIGGER_NAMES = ("cluster", "service", "task", "region", "account", "incident")
REPORT_NAMES = ("headline", "outcome", "category", "runbook", "execution")
OUTCOME_FIELDS = ("name", "type", "outcome", "summary", "data")

# `${name.rest}`: a shell's own `${VAR}` and `${VAR%.*}` have no dot right after a name.
PLACEHOLDER = re.compile(r"\$\{(?:(?P<scope>[A-Za-z_]+)\.(?P<name>[^{}]+))?\}")
_KEPT_DOLLAR = "${}"

Lookup = Callable[[str], str]
T = TypeVar("T", str, Mapping[str, Any])


def complete(
    value: T,
    *,
    node: Mapping[str, Any] | None = None,
    outcomes: Sequence[Mapping[str, Any]] = (),
    quote: bool = False,
) -> T:
    """A step's text, or its whole spec, with `${node.*}` and `${steps.*}` completed.

    Args:
        value: A text, or a spec of which every text is completed.
        node: Node JSON, ``{"name", "attributes", "tags"}``; None where no single node is meant.
        outcomes: The outcomes of the steps before.
        quote: Quote each value as one shell word. In a spec this holds for ``script`` and for nothing else.

    Raises:
        StepInvalid: a name is not there, for instance an attribute that this node does not have.
    """
    lookups: dict[str, Lookup] = {"steps": lambda name: outcome_value(outcomes, name)}
    if node is not None:
        lookups["node"] = lambda name: node_value(node, name)
    completed: T = fill(value, lookups, quote=quote, last=True)
    return completed


def fill(value: Any, lookups: Mapping[str, Lookup], *, quote: bool = False, last: bool = False) -> Any:
    """``value`` with the placeholders of the scopes in ``lookups`` filled in; others stay.

    With ``last`` no later pass follows: kept dollars become plain, and a scope without a look-up is an error.
    """
    match value:
        case str():
            return _fill_text(value, lookups, quote=quote, last=last)
        case Mapping():
            return {
                key: fill(inner, lookups, quote=quote and key == "script", last=last)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [fill(inner, lookups, quote=False, last=last) for inner in value]
        case _:
            return value


def _fill_text(text: str, lookups: Mapping[str, Lookup], *, quote: bool, last: bool) -> str:
    def one(found: re.Match[str]) -> str:
        scope, name = found["scope"], found["name"]
        if scope is None:
            return "$" if last else found[0]
        if scope not in lookups:
            if not last:
                return found[0]
            raise StepInvalid(
                f"{found[0]} cannot be completed here",
                remedy=f"Known in this step: {', '.join(f'${{{known}.…}}' for known in lookups)}.",
            )
        plain = lookups[scope](name)
        written = shlex.quote(plain) if quote and scope != "unquotedoption" else plain
        return written if last else written.replace("$", _KEPT_DOLLAR)

    return PLACEHOLDER.sub(one, text)


def node_value(node: Mapping[str, Any], name: str) -> str:
    """The attribute ``name`` of Node JSON; ``name`` itself and ``tags`` are known too.

    Raises:
        StepInvalid: this node has no such attribute.
    """
    if name == "name":
        return str(node["name"])
    if name == "tags":
        return ",".join(node.get("tags", ()))
    attributes = node.get("attributes", {})
    if name not in attributes:
        raise StepInvalid(
            f"${{node.{name}}} cannot be completed",
            where=f"node {node['name']}",
            why="this node has no such attribute",
            remedy=f"It has: {', '.join(sorted(attributes))}.",
        )
    return str(attributes[name])


def outcome_value(outcomes: Sequence[Mapping[str, Any]], name: str) -> str:
    """``STEP.FIELD`` or ``STEP.data.KEY.0.KEY`` of the outcomes; what is no text is written as JSON.

    Raises:
        StepInvalid: no such step ran before, or its outcome has no such field.
    """
    step, *path = name.split(".")
    found: Any = next((outcome for outcome in outcomes if outcome["name"] == step), None)
    if found is None:
        known = ", ".join(outcome["name"] for outcome in outcomes) or "none"
        raise StepInvalid(
            f"${{steps.{name}}} cannot be completed",
            why=f"no step {step} ran before this one; these did: {known}",
        )
    for key in path:
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise StepInvalid(
                f"${{steps.{name}}} cannot be completed", why=f"the outcome of step {step} has no {key}"
            )
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
