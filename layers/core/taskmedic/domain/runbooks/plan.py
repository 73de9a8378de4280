"""A runbook and a trigger become a plan: the nodes, steps and report of one execution, as plain JSON.

A trigger may be about several targets (the alerts of one incident). Then nodes come from one source a target,
and a `stopped_tasks` step is done for each; the other steps work on the nodes of all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskmedic.domain.errors import FilterInvalid, OptionInvalid
from taskmedic.domain.node_source import NodesSpec, comma_list
from taskmedic.domain.runbooks.context import fill
from taskmedic.domain.runbooks.fields import seconds
from taskmedic.domain.runbooks.models import MAX_STEPS, Runbook
from taskmedic.domain.runbooks.options import resolve
from taskmedic.domain.runbooks.steps import Step, StoppedTasksStep
from taskmedic.domain.triggers import Target, Trigger

MAX_PLAN_BYTES = 60_000
_SHARED = ("sources", "allow_empty", "limits")
_NARROWING = ("services", "tasks", "task_definitions", "containers", "tags", "filter")


@dataclass(frozen=True)
class _Completion:
    """What the text of a runbook is completed with, for one target."""

    target: Target
    of_event: bool
    options: Mapping[str, str]
    lookups: Mapping[str, Callable[[str], str]]
    strict_lookups: Mapping[str, Callable[[str], str]]


def plan_for(
    book: Runbook, trigger: Trigger, given: Mapping[str, str], *, own_account: str, own_region: str
) -> dict[str, Any]:
    """The plan of ``book`` for ``trigger``.

    Args:
        book: The runbook.
        trigger: With its targets; none means the trigger's own.
        given: Options by name.
        own_account: Whatever is in another account needs a role to assume.
        own_region: Node sources without a region are read here.

    Raises:
        OptionInvalid: an option is missing or breaks its rule, the trigger lacks a name that nodes or a stop
            need, or the target is out of reach.
    """
    completions = _completions(book, trigger, given)
    for completion in completions:
        _check_account(book, completion, own_account)
    nodes = _nodes(book, completions, own_region)
    plan = {
        "runbook": book.name,
        "description": book.description,
        "revision": book.revision,
        "options": dict(completions[0].options),
        "nodes": nodes,
        "dispatch": book.dispatch.model_dump(),
        "steps": _steps(book, completions, nodes),
        "report": book.report.model_dump(),
    }
    if len(json.dumps(plan)) > MAX_PLAN_BYTES:
        raise OptionInvalid(
            f"the options of runbook {book.name} are too long",
            why=f"runbook and options together are more than {MAX_PLAN_BYTES} bytes",
        )
    return plan


def nothing_planned(book: Runbook) -> dict[str, Any]:
    """The plan of a runbook that was chosen and cannot run: no step, only its report."""
    return {
        "runbook": book.name,
        "description": book.description,
        "revision": book.revision,
        "options": {},
        "nodes": None,
        "dispatch": None,
        "steps": [],
        "report": book.report.model_dump(),
    }


def _completions(book: Runbook, trigger: Trigger, given: Mapping[str, str]) -> list[_Completion]:
    """One for each target for which the options can be resolved; the first target's error when none can."""
    found: list[_Completion] = []
    errors: list[OptionInvalid] = []
    for target in trigger.targets or (trigger.target,):
        about = trigger.about(target)
        try:
            options = resolve(book, given, about.value)
        except OptionInvalid as error:
            errors.append(error)
            continue
        found.append(_completion(about, options))
    if not found:
        raise errors[0]
    return found


def _completion(trigger: Trigger, options: dict[str, str]) -> _Completion:
    def needed(name: str) -> str:
        value = trigger.value(name)
        if not value:
            raise OptionInvalid(
                f"the trigger names no {name}",
                where=f"${{trigger.{name}}}",
                why="without it the runbook would act on more than was meant",
            )
        return value

    option = {"option": options.__getitem__, "unquotedoption": options.__getitem__}
    return _Completion(
        target=trigger.target,
        of_event=trigger.task_detail is not None,
        options=options,
        lookups={**option, "trigger": trigger.value},
        strict_lookups={**option, "trigger": needed},
    )


def _check_account(book: Runbook, completion: _Completion, own_account: str) -> None:
    """A name in another account must not be looked up in ours, where it may be another thing."""
    account = completion.target.account
    if not account or not own_account or account == own_account:
        return
    roles = [source.assume_role_arn for source in book.nodes.sources] if book.nodes else []
    if book.nodes and (book.nodes.assume_role_arn or (roles and all(roles))):
        return
    raise OptionInvalid(
        f"the target is in account {account}, and this is {own_account}",
        why=f"runbook {book.name} names no role to assume",
        remedy="Give its nodes an assume_role_arn.",
    )


def _nodes(book: Runbook, completions: Sequence[_Completion], own_region: str) -> dict[str, Any] | None:
    if book.nodes is None:
        return None
    whole = book.nodes.to_json()
    own = {key: value for key, value in whole.items() if key not in _SHARED}
    several = "sources" in whole
    stops_nodes = any(step.stop_task is not None and not step.stop_task.task for step in book.steps)
    sources: list[dict[str, Any]] = []
    for completion in completions:
        for source in whole["sources"] if several else [own]:
            filled = fill(source, completion.strict_lookups, last=True)
            if stops_nodes:
                _check_as_narrow(source, filled)
            region = completion.target.region
            if region and region != own_region and not filled.get("region"):
                filled["region"] = region
            if filled not in sources:
                sources.append(filled)
    spec = {key: whole[key] for key in _SHARED if key in whole} | {"sources": sources}
    if several:
        spec |= fill({"filter": own.get("filter", "")}, completions[0].strict_lookups, last=True)
    try:
        NodesSpec.from_json(spec)
    except FilterInvalid as error:
        raise OptionInvalid(
            f"the nodes of runbook {book.name} cannot be understood",
            where=error.where,
            why=f"{error.what}: {error.why}" if error.why else error.what,
            remedy=error.remedy,
        ) from error
    return spec


def _check_as_narrow(written: Mapping[str, Any], filled: Mapping[str, Any]) -> None:
    """What is written to narrow the nodes must not vanish by an empty option where tasks are stopped."""
    for name in _NARROWING:
        if written.get(name) and not comma_list(filled[name]):
            raise OptionInvalid(
                f"{name} of the nodes is empty once the options are filled in",
                where=f"nodes.{name}",
                why="without it the runbook would stop a task that nobody named",
                remedy="Give the option, or make it required in the runbook.",
            )


def _steps(
    book: Runbook, completions: Sequence[_Completion], nodes: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Step JSON of every step, `stopped_tasks` once for each target as far as the number of steps allows."""
    repeated = [step for step in book.steps if step.stopped_tasks is not None]
    room = (MAX_STEPS - len(book.steps)) // max(1, len(repeated)) + 1
    steps: list[dict[str, Any]] = []
    for step in book.steps:
        specs: list[dict[str, Any]] = []
        for completion in completions if step in repeated else completions[:1]:
            filled = _filled(step, completion, nodes)
            if filled not in specs:
                specs.append(filled)
        steps += [
            spec if index == 0 else {**spec, "name": f"{spec['name']}-{index + 1}"}
            for index, spec in enumerate(specs[:room])
        ]
    return steps


def _filled(step: Step, completion: _Completion, nodes: Mapping[str, Any] | None) -> dict[str, Any]:
    lookups = completion.strict_lookups if step.stop_task is not None else completion.lookups
    filled: dict[str, Any] = step.to_json()
    spec = filled["spec"] = fill(filled["spec"], lookups, quote=True)
    if step.stop_task is not None and step.stop_task.task and not spec["task"].strip():
        raise OptionInvalid(
            f"the task of step {step.name} is empty once the options are filled in",
            where=step.stop_task.task,
            why="nobody has named the task to stop",
            remedy="Give the option, or make it required in the runbook.",
        )
    if isinstance(step.stopped_tasks, StoppedTasksStep):
        spec["since_s"] = _seconds(spec["since_s"], step.name)
        if not completion.of_event and not any(
            spec[name] for name in ("cluster", "service", "family", "tasks")
        ):
            spec |= _where_to_look(completion.target, nodes)
    return filled


def _where_to_look(target: Target, nodes: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a bare `stopped_tasks` is about where no event started the run: the target, or else the nodes."""
    if target.cluster:
        tasks = [target.task] if target.task else []
        return {"cluster": target.cluster, "service": target.service, "tasks": tasks}
    sources = (nodes or {}).get("sources", [])
    clusters, services = (
        {name for source in sources for name in comma_list(source.get(field))}
        for field in ("clusters", "services")
    )
    if len(clusters) != 1 or len(services) > 1:
        return {}  # the step says at run time that it does not know where to look
    return {"cluster": clusters.pop(), "service": services.pop() if services else ""}


def _seconds(value: int | str, step: str) -> int:
    if isinstance(value, int):
        return value
    try:
        return seconds(value)
    except ValueError as error:
        raise OptionInvalid(f"since of step {step} is no duration", where=value, why=str(error)) from error
