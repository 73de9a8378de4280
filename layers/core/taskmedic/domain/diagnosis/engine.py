"""From a task to its diagnosis.

The order of evidence: what a container's reason says, then stoppedReason, then a stop code that settles it,
then what only names the part of the start that failed, then the exit code of the container that stopped
first. Otherwise it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from taskmedic.domain.diagnosis.catalogue import CATEGORIES, Telling, fields_of
from taskmedic.domain.diagnosis.culprit import SIGKILL_CODE, container_meant
from taskmedic.domain.diagnosis.evidence import evidence_of
from taskmedic.domain.diagnosis.exits import exit_in_text, first_to_exit, meaning_of
from taskmedic.domain.diagnosis.facts import facts_of
from taskmedic.domain.diagnosis.kind import kind_of
from taskmedic.domain.diagnosis.logs import last_error
from taskmedic.domain.diagnosis.model import Confidence, Diagnosis, DiagnosisContext, Evidence
from taskmedic.domain.diagnosis.rules import RULES, Rank, Rule
from taskmedic.domain.diagnosis.rules.cut_off import CutWordings
from taskmedic.domain.diagnosis.rules.orchestration import REQUEST_RULES
from taskmedic.domain.diagnosis.text import Message, in_one_line
from taskmedic.domain.masking import mask
from taskmedic.domain.task_record import ContainerRecord, TaskRecord
from taskmedic.domain.task_shapes import read_task

SAID_CHARS, SHOWN_CHARS = 1000, 300
CRASH_LOOP_STOPS = 3
CRASH_LOOP_WINDOW = timedelta(minutes=15)

# Stop codes that settle the cause by themselves. The others settle nothing (facts: stop codes).
DECISIVE_CODES: Mapping[str, str] = {
    "UserInitiated": "user.stopped",
    "SpotInterruption": "capacity.spot_interruption",
}


@dataclass(frozen=True)
class Verdict:
    """A category, how sure it is, and the text, code or container it rests on."""

    category: str
    confidence: Confidence
    basis: Evidence
    message: Message | None = None
    container: ContainerRecord | None = None
    rule: str = ""


def diagnose(task: Mapping[str, Any] | TaskRecord, context: DiagnosisContext | None = None) -> Diagnosis:
    """Why ``task`` stopped.

    Args:
        task: An ECS task in any of the shapes AWS gives it in, also in an event's envelope; or its record.
        context: What else is known. Without it the diagnosis rests on the task alone.

    Raises:
        InputError: ``task`` is no JSON object.
        NotAStoppedTask: it is no ECS task, or one that has not stopped.
    """
    record = task if isinstance(task, TaskRecord) else read_task(task)
    context = context or DiagnosisContext()
    return _told(record, context, _verdict(record, context))


def _verdict(record: TaskRecord, context: DiagnosisContext) -> Verdict:
    by_text = _by_text(record)
    if by_text and by_text[0].rank is Rank.CAUSE:
        return _text_verdict(record, context, *by_text)
    if category := DECISIVE_CODES.get(record.stop_code):
        return Verdict(category, Confidence.HIGH, Evidence("stopCode", record.stop_code))
    if by_text:
        return _text_verdict(record, context, *by_text)
    return _verdict_without_words(record, context)


def _verdict_without_words(record: TaskRecord, context: DiagnosisContext) -> Verdict:
    """No text names a cause: the stop code and the exit codes are left."""
    said = Evidence("stoppedReason", record.stopped_reason)
    if record.stop_code == "TerminationNotice":
        return Verdict("host.instance_terminated", Confidence.MEDIUM, Evidence("stopCode", record.stop_code))
    if record.stop_code != "ServiceSchedulerInitiated":
        if container := first_to_exit(record, context):
            return _exit_verdict(container, record)
        if container := exit_in_text(record.stopped_reason):
            return Verdict(_exit_category(container), Confidence.MEDIUM, said, container=container)
    if record.stopped_reason and record.last_status.upper() == "RUNNING":
        # Still running and told to stop, in words that are none of ECS's: the caller of StopTask chose them.
        return Verdict("user.stopped", Confidence.MEDIUM, said)
    return Verdict("unknown.generic", Confidence.LOW, _unread_reason(record))


def _unread_reason(record: TaskRecord) -> Evidence:
    """The reason that no rule knows: a container's tells more than the task's."""
    for index, container in enumerate(record.containers):
        if container.reason:
            return Evidence(f"containers[{container.name or index}].reason", container.reason)
    if record.stopped_reason:
        return Evidence("stoppedReason", record.stopped_reason)
    return Evidence("stopCode", record.stop_code or "AWS gives neither reason nor code")


def _by_text(record: TaskRecord) -> tuple[Rule, Message] | None:
    """The rule of lowest rank that holds for a text, and that text. Earlier texts win among equals."""
    best: tuple[Rule, Message] | None = None
    for said, rules in _messages(record):
        rule, message = _read(said, rules)
        if rule and (best is None or rule.rank < best[0].rank):
            best = rule, message
            if rule.rank is Rank.CAUSE:
                break
    return best


def _read(message: Message, rules: tuple[Rule, ...]) -> tuple[Rule | None, Message]:
    """The rule that holds, and the text as it was read: whole, where a cause is in a word that was cut."""
    rule = next((rule for rule in rules if rule.holds(message)), None)
    if rule is None or rule.rank is Rank.OUTLINE:
        whole = _cut_wordings().completed(message) if rules is RULES else None
        fuller = next((rule for rule in rules if rule.holds(whole)), None) if whole else None
        if whole and fuller and fuller.rank is Rank.CAUSE:
            return fuller, whole
    return rule, message


@cache
def _cut_wordings() -> CutWordings:
    return CutWordings(RULES)  # some 20 ms, which an import should not cost


def _messages(record: TaskRecord) -> list[tuple[Message, tuple[Rule, ...]]]:
    """The texts in the order in which they count, each with the rules that may read it."""
    found = [
        (Message(f"containers[{container.name or index}].reason", container.reason, container.name), RULES)
        for index, container in enumerate(record.containers)
        if container.reason
    ]
    if record.stopped_reason:
        # A caller of StopTask writes what he likes: only ECS's own sentences are believed then.
        rules = REQUEST_RULES if record.stop_code == "UserInitiated" else RULES
        found.append((Message("stoppedReason", record.stopped_reason), rules))
    return found


def _text_verdict(record: TaskRecord, context: DiagnosisContext, rule: Rule, message: Message) -> Verdict:
    confidence = {
        Rank.CAUSE: Confidence.HIGH,
        Rank.CONSEQUENCE: Confidence.MEDIUM,
        Rank.OUTLINE: Confidence.LOW,
    }[rule.rank]
    if message.cut_off:
        confidence = Confidence.MEDIUM
    container = container_meant(record, rule.category, message, context)
    return Verdict(
        rule.category, confidence, Evidence(message.source, message.text), message, container, rule.name
    )


def _exit_verdict(container: ContainerRecord, record: TaskRecord) -> Verdict:
    alone = len([c for c in record.containers if c.exit_code is not None]) == 1
    certain = alone or container.exit_code not in {0, 137, 143}
    return Verdict(
        _exit_category(container),
        Confidence.HIGH if certain and container.exit_code != 137 else Confidence.MEDIUM,
        Evidence(f"containers[{container.name or 0}].exitCode", str(container.exit_code)),
        container=container,
    )


def _exit_category(container: ContainerRecord) -> str:
    return "app.exit_zero" if container.exit_code == 0 else "app.exit_nonzero"


@cache
def _wanted(label: str) -> frozenset[str]:
    return fields_of(CATEGORIES[label])


def _told(record: TaskRecord, context: DiagnosisContext, verdict: Verdict) -> Diagnosis:
    category = CATEGORIES[verdict.category]
    wanted = _wanted(verdict.category)
    facts = facts_of(wanted, verdict.message, record, verdict.container, context)
    facts |= _exit_facts(verdict.container)
    said = _said(record, verdict)
    if said and "said" in wanted:
        facts["said"] = f'Its reason reads: "{mask(said)[:SHOWN_CHARS]}".'
    error = _last_error(context, verdict.container)
    telling = Telling(facts)
    loop = "" if category.benign else _crash_loop(record, context)
    advice = telling.advise(category.advice)
    cause = telling.tell(category.cause)
    if loop:
        cause = f"{cause} {loop}"
        advice = ("This repeats: roll back, or set the desired count to 0 until it is mended.", *advice)
    if error:
        cause = f"{cause} Its log ends with: {error}"
    return Diagnosis(
        task_arn=record.task_arn,
        category=verdict.category,
        benign=category.benign or _finished_job(record, verdict),
        confidence=verdict.confidence,
        title=telling.tell(category.title),
        cause=cause,
        advice=advice,
        evidence=evidence_of(record, context, verdict.basis, loop),
        container=verdict.container.name if verdict.container else "",
        service=record.service,
        revision=record.revision,
        rule=verdict.rule,
        kind=kind_of(category, verdict.container, facts, said),
    )


def _said(record: TaskRecord, verdict: Verdict) -> str:
    """The reason in AWS's words that the verdict is about, else the task's; "" when AWS gives none."""
    of_text = verdict.basis.source.lower().endswith("reason")
    return in_one_line(verdict.basis.text if of_text else record.stopped_reason)[:SAID_CHARS]


def _finished_job(record: TaskRecord, verdict: Verdict) -> bool:
    """A job ended with 0, and nothing was killed: beside a 137 nobody knows which was first."""
    killed = any(container.exit_code == SIGKILL_CODE for container in record.containers)
    return verdict.category == "app.exit_zero" and not record.of_service and not killed


def _exit_facts(container: ContainerRecord | None) -> dict[str, str]:
    if container is None or container.exit_code is None:
        return {}
    meaning = meaning_of(container.exit_code)
    return {
        "exit_code": str(container.exit_code),
        "exit_meaning": meaning.meaning,
        "exit_advice": meaning.advice,
    }


def _last_error(context: DiagnosisContext, container: ContainerRecord | None) -> str:
    if container is None or container.name not in context.log_tail:
        return ""
    return mask(last_error(context.log_tail[container.name]))


def _crash_loop(record: TaskRecord, context: DiagnosisContext) -> str:
    """A sentence when this revision keeps stopping for a cause that is not benign."""
    at = record.stopped_at
    if at is None:
        return ""
    near = [
        stop.at
        for stop in context.earlier_stops
        if stop.revision == record.revision
        and timedelta(0) <= at - stop.at <= CRASH_LOOP_WINDOW
        and not _benign(stop.category)
    ]
    stops = len(near) + 1
    if stops < CRASH_LOOP_STOPS:
        return ""
    minutes = round((at - min(near)).total_seconds() / 60)
    span = f"in {minutes} minutes" if minutes > 1 else "within a minute"
    return f"Crash loop: {stops} stops {span} on {record.revision or 'this revision'}."


def _benign(label: str) -> bool:
    return label in CATEGORIES and CATEGORIES[label].benign
