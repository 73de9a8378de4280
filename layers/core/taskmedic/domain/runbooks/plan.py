"""A runbook and a trigger become a plan: the nodes, steps and report of one execution, as plain JSON.

A trigger may be about several targets (the alerts of one incident). Then nodes come from one source a target,
and a `stopped_tasks` step is done for each; the other steps work on the nodes of all. A target for which no
plan can be made is left out, and the plan says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from taskmedic.domain.errors import FilterInvalid, OptionInvalid
from taskmedic.domain.node_source import NodeSource, NodesSpec, comma_list
from taskmedic.domain.runbooks.context import fill
from taskmedic.domain.runbooks.durations import time_for_all_nodes
from taskmedic.domain.runbooks.fields import seconds
from taskmedic.domain.runbooks.models import MAX_STEPS, Runbook
from taskmedic.domain.runbooks.options import resolve
from taskmedic.domain.runbooks.reach import Reach, out_of_reach
from taskmedic.domain.runbooks.steps import Step, StoppedTasksStep
from taskmedic.domain.triggers import Target, Trigger

MAX_PLAN_BYTES = 60_000
MAX_REASON = 400
_SHARED = ("sources", "allow_empty", "limits")
_NARROWING = ("services", "tasks", "task_definitions", "containers", "tags", "filter")


@dataclass(frozen=True)
class _Completion:
    """What the text of a runbook is completed with, for one target, and the node sources completed so."""

    target: Target
    of_event: bool
    options: Mapping[str, str]
    lookups: Mapping[str, Callable[[str], str]]
    strict_lookups: Mapping[str, Callable[[str], str]]
    sources: Sequence[dict[str, Any]] = ()


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
        OptionInvalid: for every target an option is missing or breaks its rule, the trigger lacks a name that
            nodes or a stop need, or the target is out of reach.
    """
    completions, left_out = _completions(book, trigger, given, own_account, own_region)
    nodes = _nodes(book, completions)
    steps, not_looked_at = _steps(book, completions, nodes, own_account)
    first = completions[0].options
    plan = {
        "runbook": book.name,
        "description": book.description,
        "revision": book.revision,
        "options": dict(first),
        "other_options": [
            {name: value for name, value in one.options.items() if value != first[name]}
            for one in completions[1:]
            if one.options != first
        ],
        "targets": [asdict(one.target) for one in completions],
        "left_out": [*trigger.left_out, *left_out, *not_looked_at],
        "nodes": nodes,
        "dispatch": book.dispatch.model_dump()
        | {"timeout": time_for_all_nodes(steps, book.dispatch.timeout)},
        "steps": steps,
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


def _completions(
    book: Runbook, trigger: Trigger, given: Mapping[str, str], own_account: str, own_region: str
) -> tuple[list[_Completion], list[str]]:
    """One for each target for which a plan can be made, and why the other targets are left out.

    Raises:
        OptionInvalid: there is none; the error is that of the first target.
    """
    found: list[_Completion] = []
    left_out: list[str] = []
    first_error: OptionInvalid | None = None
    for target in trigger.targets or (trigger.target,):
        about = trigger.about(target)
        try:
            one = _completion(about, resolve(book, given, about.value))
            one = replace(one, sources=_sources(book, one, own_account, own_region))
            _steps(book, [one], _nodes(book, [one]), own_account)
        except OptionInvalid as error:
            first_error = first_error or error
            left_out.append(f"{target.named}: {error.text()}"[:MAX_REASON])
        else:
            found.append(one)
    if first_error and not found:
        raise first_error
    return found, left_out


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


def _sources(
    book: Runbook, completion: _Completion, own_account: str, own_region: str
) -> list[dict[str, Any]]:
    """The node sources of one target, filled in.

    Raises:
        OptionInvalid: the target is in another account, and no role is known to reach it.
    """
    if book.nodes is None:
        return []
    whole = book.nodes.to_json()
    stops_nodes = any(step.stop_task is not None and not step.stop_task.task for step in book.steps)
    account, region = completion.target.account, completion.target.region
    foreign = bool(account and own_account and account != own_account)
    certain = bool(account) and (foreign or completion.of_event)  # an alert that names none counts as ours
    sources: list[dict[str, Any]] = []
    for source in whole.get("sources") or [_own_fields(whole)]:
        filled = fill(source, completion.strict_lookups, last=True)
        if stops_nodes:
            _check_as_narrow(source, filled)
        if certain and out_of_reach(book, source, filled, account):
            continue
        if region and region != own_region and not filled.get("region"):
            filled["region"] = region
        sources.append(filled)
    if not sources or (foreign and not all(source.get("assume_role_arn") for source in sources)):
        raise OptionInvalid(
            f"the target is in account {account}, and this is {own_account}",
            why=f"the nodes of runbook {book.name} are not read there",
            remedy="Give them an assume_role_arn of the target's account, or none for our own.",
        )
    return sources


def _own_fields(nodes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in nodes.items() if key not in _SHARED}


def _nodes(book: Runbook, completions: Sequence[_Completion]) -> dict[str, Any] | None:
    if book.nodes is None:
        return None
    whole = book.nodes.to_json()
    sources: list[dict[str, Any]] = []
    for source in (source for one in completions for source in one.sources):
        if source not in sources:
            sources.append(source)
    spec = {key: whole[key] for key in _SHARED if key in whole} | {"sources": sources}
    if "sources" in whole:
        spec |= fill({"filter": whole.get("filter", "")}, completions[0].strict_lookups, last=True)
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
    book: Runbook,
    completions: Sequence[_Completion],
    nodes: Mapping[str, Any] | None,
    own_account: str,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Step JSON of every step, `stopped_tasks` once for each target as far as the number of steps allows; and
    for which targets it does not.
    """
    repeated = [step for step in book.steps if step.stopped_tasks is not None]
    room = (MAX_STEPS - len(book.steps)) // max(1, len(repeated)) + 1
    reaches = [
        Reach(one.target, one.of_event, [NodeSource.from_json(source) for source in one.sources], own_account)
        for one in completions
    ]
    pairs = list(zip(completions, reaches, strict=True))
    steps: list[dict[str, Any]] = []
    left_out: list[str] = []
    for step in book.steps:
        specs: list[dict[str, Any]] = []
        for completion, reach in pairs if step in repeated else pairs[:1]:
            filled = _filled(step, completion, nodes, reach)
            if filled in specs:
                continue
            if len(specs) == room:
                left_out.append(f"{completion.target.named}: {step.name} looks at {room} targets at most")
                continue
            specs.append(filled)
        steps += [
            spec if index == 0 else {**spec, "name": f"{spec['name']}-{index + 1}"}
            for index, spec in enumerate(specs)
        ]
    return steps, left_out


def _filled(
    step: Step, completion: _Completion, nodes: Mapping[str, Any] | None, reach: Reach
) -> dict[str, Any]:
    lookups = completion.strict_lookups if step.stop_task is not None else completion.lookups
    filled: dict[str, Any] = step.to_json()
    spec = filled["spec"] = fill(filled["spec"], lookups, quote=True)
    if step.stop_task is not None and step.stop_task.task:
        if not spec["task"].strip():
            raise OptionInvalid(
                f"the task of step {step.name} is empty once the options are filled in",
                where=step.stop_task.task,
                why="nobody has named the task to stop",
                remedy="Give the option, or make it required in the runbook.",
            )
        reach.check_stop(step.name, spec)
    if isinstance(step.stopped_tasks, StoppedTasksStep):
        spec["since_s"] = _seconds(spec["since_s"], step.name)
        if not completion.of_event:
            if not any(spec[name] for name in ("cluster", "service", "family", "tasks")):
                spec |= _where_to_look(completion.target, nodes)
            if not spec["cluster"] and not spec["tasks"]:
                spec["cluster"] = completion.target.cluster
        spec |= reach.of_stopped_tasks(step.name, spec)
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
