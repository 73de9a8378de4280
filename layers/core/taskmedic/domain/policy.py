"""What to do about a trigger: a pure function from what is known to an action, a reason and a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from re import search
from typing import Any, assert_never

from taskmedic.domain.errors import OptionInvalid, RunbookNotFound
from taskmedic.domain.runbooks.durations import spoken
from taskmedic.domain.runbooks.models import PagerDutyRule, Runbook, TaskStoppedRule
from taskmedic.domain.runbooks.plan import nothing_planned, plan_for
from taskmedic.domain.triggers import Asked, Trigger


class Action(StrEnum):
    """What an execution does."""

    RUN = "run"
    DRY_RUN = "dry_run"
    SKIP = "skip"


@dataclass(frozen=True)
class Switch:
    """The kill switch: everything, or single runbooks by name."""

    enabled: bool = True
    runbooks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """A runbook beyond its limit, with the reason; ``told`` when that was reported a short while ago."""

    runbook: str
    reason: str
    told: bool


@dataclass(frozen=True)
class Facts:
    """What was found out about a trigger before deciding. Each text is a reason to do nothing, or empty.

    ``category`` is that of a stopped task's diagnosis; ``account`` and ``region`` are our own;
    ``spent`` is the runbook that would have acted once more.
    """

    account: str
    region: str
    repeated: str = ""
    own_stop: str = ""
    ignored: str = ""
    category: str = ""
    spent: Spent | None = None


@dataclass(frozen=True)
class NotChosen:
    """A runbook that answers the trigger and does not run, with the reason."""

    runbook: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """``plan`` is None only for a skip that nobody needs to be told of."""

    action: Action
    reason: str
    runbook: str | None = None
    plan: dict[str, Any] | None = None
    not_chosen: tuple[NotChosen, ...] = ()


def decide(
    trigger: Trigger, asked: Asked, facts: Facts, runbooks: Mapping[str, Runbook], switch: Switch
) -> Decision:
    """The decision on a trigger.

    Args:
        trigger: With its targets, as far as they are known.
        asked: The runbook, options and dry run asked for; empty for an event.
        facts: What is known besides.
        runbooks: All that are deployed, by name.
        switch: The kill switch.

    Raises:
        RunbookNotFound: a runbook was asked for that is not deployed.
        OptionInvalid: a person gave options that do not fit the runbook asked for.
    """
    for reason in (facts.repeated, facts.own_stop, facts.ignored):
        if reason:
            return Decision(Action.SKIP, reason)
    if not switch.enabled:
        return Decision(Action.SKIP, "everything is switched off by the kill switch")
    if asked.runbook:
        return _asked_for(trigger, asked, facts, runbooks, switch)
    answering = sorted(
        (book for book in runbooks.values() if _answers(book, trigger, facts.category)),
        key=lambda book: (book.priority, book.name),
    )
    if not answering:
        return Decision(Action.SKIP, f"no runbook answers {_named(trigger, facts.category)}")
    return _first_that_can(trigger, asked, facts, answering, switch)


def needs_category(runbooks: Mapping[str, Runbook]) -> bool:
    """Whether any runbook's trigger looks at the category of a stopped task."""
    return any(
        rule.task_stopped is not None and rule.task_stopped.category != ["*"]
        for book in runbooks.values()
        for rule in book.triggers
    )


def limited(decision: Decision, asked: Asked, runbooks: Mapping[str, Runbook]) -> Runbook | None:
    """The runbook that would act by itself, and so only as often as its limit says; None for any other.

    What was asked for by name, by a person or a button, is not limited.
    """
    if decision.action is not Action.RUN or decision.runbook is None or asked.runbook:
        return None
    book = runbooks[decision.runbook]
    return book if book.acts else None


def beyond_limit(book: Runbook, service: str) -> str:
    """Why the runbook does not act in ``service`` once more."""
    times = "once" if book.limit.attempts == 1 else f"{book.limit.attempts} times"
    return (
        f"{book.name} has acted {times} on {service} within {spoken(book.limit.within)}: a person should look"
    )


def _asked_for(
    trigger: Trigger, asked: Asked, facts: Facts, runbooks: Mapping[str, Runbook], switch: Switch
) -> Decision:
    book = runbooks.get(asked.runbook)
    if book is None:
        raise RunbookNotFound(
            f"there is no runbook {asked.runbook}",
            where="field runbook",
            remedy=f"There are: {', '.join(runbooks)}.",
        )
    barred = _barred(book, trigger, switch)
    if barred:
        # Who pressed a button on an incident waits there for an answer.
        return Decision(Action.SKIP, barred, book.name, nothing_planned(book) if trigger.incident else None)
    action = Action.DRY_RUN if asked.dry_run else Action.RUN
    try:
        plan = plan_for(book, trigger, asked.options, own_account=facts.account, own_region=facts.region)
    except OptionInvalid as error:
        if trigger.incident is None:
            raise
        # Nobody looks at this execution; the incident is where the reason is read.
        return Decision(Action.SKIP, error.text(), book.name, nothing_planned(book))
    return Decision(action, f"runbook {book.name} was asked for", book.name, plan)


def _first_that_can(
    trigger: Trigger, asked: Asked, facts: Facts, answering: Sequence[Runbook], switch: Switch
) -> Decision:
    """The first of the runbooks that may run and whose plan can be made; the others are not chosen."""
    passed_over: list[NotChosen] = []
    unplanned: tuple[Runbook, str] | None = None
    for index, book in enumerate(answering):
        reason = _barred(book, trigger, switch) or _beyond(book, facts.spent)
        if not reason:
            try:
                plan = plan_for(
                    book, trigger, asked.options, own_account=facts.account, own_region=facts.region
                )
            except OptionInvalid as error:
                reason = error.text()
                unplanned = unplanned or (book, reason)
            else:
                others = [
                    NotChosen(other.name, f"{book.name} comes first") for other in answering[index + 1 :]
                ]
                tell = [facts.spent.reason] if facts.spent and not facts.spent.told else []
                why = f"runbook {book.name} answers {_named(trigger, facts.category)}"
                return Decision(
                    Action.DRY_RUN if asked.dry_run else Action.RUN,
                    "; ".join([why, *tell]),
                    book.name,
                    {**plan, "left_out": [*tell, *plan["left_out"]]},
                    (*passed_over, *others),
                )
        passed_over.append(NotChosen(book.name, reason))
    if spent := facts.spent:
        rest = tuple(other for other in passed_over if other.runbook != spent.runbook)
        plan = next(nothing_planned(book) for book in answering if book.name == spent.runbook)
        return Decision(Action.SKIP, spent.reason, spent.runbook, None if spent.told else plan, rest)
    if unplanned is not None:
        return _untouched(trigger, *unplanned, passed_over)
    return Decision(Action.SKIP, passed_over[0].reason, None, None, tuple(passed_over))


def _untouched(trigger: Trigger, book: Runbook, reason: str, passed_over: Sequence[NotChosen]) -> Decision:
    """The skip of a trigger that ``book`` answers and cannot work on; an incident is told why."""
    others = tuple(other for other in passed_over if other.runbook != book.name)
    if trigger.incident is None:
        return Decision(Action.SKIP, reason, book.name, None, others)
    if not trigger.targets:
        reason = f"nothing says which cluster and service incident {trigger.incident.id} is about"
    return Decision(Action.SKIP, reason, book.name, nothing_planned(book), others)


def _barred(book: Runbook, trigger: Trigger, switch: Switch) -> str:
    """Why this runbook must not run, whatever its options; empty when it may."""
    if not switch.runbooks.get(book.name, True):
        return f"runbook {book.name} is switched off by the kill switch"
    if book.acts and trigger.incident is not None and trigger.incident.status == "resolved":
        return f"the incident is resolved already, and runbook {book.name} would act"
    return ""


def _beyond(book: Runbook, spent: Spent | None) -> str:
    """Why this runbook must not run when one has acted too often: then only looking is left."""
    if spent is None or not book.acts:
        return ""
    if book.name == spent.runbook:
        return spent.reason
    return f"{spent.runbook} is beyond its limit, and runbook {book.name} would act"


def _answers(book: Runbook, trigger: Trigger, category: str) -> bool:
    for rule in book.triggers:
        match trigger.kind:
            case "task_stopped":
                if rule.task_stopped is not None and _stop_matches(rule.task_stopped, trigger, category):
                    return True
            case "pagerduty":
                if rule.pagerduty is not None and _incident_matches(rule.pagerduty, trigger):
                    return True
            case "manual":
                return False
            case _:
                assert_never(trigger.kind)
    return False


def _stop_matches(rule: TaskStoppedRule, trigger: Trigger, category: str) -> bool:
    target = trigger.target
    return (
        _any(rule.cluster, target.cluster)
        and _any(rule.service, target.service)
        and (rule.category == ["*"] or _any(rule.category, category))
    )


def _incident_matches(rule: PagerDutyRule, trigger: Trigger) -> bool:
    incident = trigger.incident
    if incident is None:
        # A request by bearer secret that names no incident; it stands for one that was just triggered.
        return "incident.triggered" in rule.event and rule.service == ["*"] and not rule.title
    return (
        _any(rule.event, incident.event_type)
        and (_any(rule.service, incident.service_id) or _any(rule.service, incident.service_name))
        and (not rule.title or search(rule.title, incident.title) is not None)
        and (not rule.urgency or incident.urgency in rule.urgency)
    )


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _named(trigger: Trigger, category: str) -> str:
    match trigger.kind:
        case "task_stopped":
            target = trigger.target
            return " ".join(_stop_words(target.cluster, target.service, category))
        case "pagerduty":
            incident = trigger.incident
            if incident is None:
                return "the request"
            return f"{incident.event_type} of incident {incident.id}" + (
                f" of PagerDuty service {incident.service_name or incident.service_id}"
                if incident.service_name or incident.service_id
                else ""
            )
        case "manual":
            return "a manual start"
        case _:
            assert_never(trigger.kind)


def _stop_words(cluster: str, service: str, category: str) -> Iterator[str]:
    yield "the stopped task of"
    yield f"service {service} in cluster {cluster}" if service else f"cluster {cluster}"
    if category:
        yield f"({category})"
