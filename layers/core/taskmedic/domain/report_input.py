"""Reads a report from the input of the ``report`` function (docs/architecture.md)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from taskmedic.domain.arns import Arn
from taskmedic.domain.masking import mask
from taskmedic.domain.report import Finding, Link, Output, Report, StepReport
from taskmedic.domain.report_legible import legible

# Characters of a sentence, and of an option's value and a whole line in how to run it again.
LONGEST_TEXT: Final = 1000
LONGEST_VALUE: Final = 200
LONGEST_RERUN: Final = 1000
# The domain of the AWS console, by partition.
CONSOLES: Final = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def report_of(event: Mapping[str, Any]) -> Report:
    """The report of ``{run, decision, reason, trigger, plan, outcomes, error, phase}``.

    Its texts come from outside: they are made legible, and what looks like a secret is hidden.
    """
    event = legible(event)
    run, trigger, plan = event["run"], event.get("trigger") or {}, event.get("plan") or {}
    arn = Arn.parse(str(run.get("execution_arn") or ""))
    runbook = str(plan.get("runbook") or "")
    return Report(
        run=str(run.get("execution_name") or ""),
        phase=str(event.get("phase") or "final"),
        decision=str(event.get("decision") or ""),
        reason=_text(event.get("reason")),
        runbook=runbook,
        revision=str(plan.get("revision") or ""),
        started_by=_started_by(trigger),
        started_at=str(run.get("started_at") or ""),
        rerun=tuple(_reruns(runbook, plan)),
        incident_id=str((trigger.get("incident") or {}).get("id") or ""),
        cluster=str(trigger.get("cluster") or ""),
        service=str(trigger.get("service") or ""),
        finding=_finding(event.get("outcomes") or ()),
        error=_error(event.get("error")),
        steps=tuple(_steps(plan.get("steps") or (), event.get("outcomes") or (), arn)),
        verified=_verified(plan.get("steps") or (), event.get("outcomes") or ()),
        looked_at=() if trigger.get("targets") or not plan else _texts(trigger.get("looked_at")),
        left_out=_texts(plan.get("left_out")),
        links=tuple(_execution_link(arn)),
    )


def _text(value: Any) -> str:
    return mask(str(value or ""))[:LONGEST_TEXT]


def _texts(values: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(_text(value) for value in values or ())


def _error(error: Mapping[str, Any] | None) -> str:
    """Step Functions' error in words. The cause of a Lambda's is JSON with a trace, which nobody needs."""
    if not error:
        return ""
    cause = str(error.get("Cause") or "")
    try:
        document = json.loads(cause)
    except ValueError:
        document = None
    if isinstance(document, Mapping) and document.get("errorMessage"):
        cause = str(document["errorMessage"])
    return _text(cause.strip() or error.get("Error") or "unknown error")


def _finding(outcomes: Sequence[Mapping[str, Any]]) -> Finding | None:
    """Of all diagnoses the one that matters: a fault before what is normal, then the most tasks."""
    diagnoses = [
        diagnosis
        for outcome in outcomes
        for diagnosis in (outcome.get("data") or {}).get("diagnoses") or ()
        if isinstance(diagnosis, Mapping)
    ]
    if not diagnoses:
        return None
    top = max(diagnoses, key=lambda one: (not one.get("benign"), _tasks(one)))
    return Finding(
        category=str(top.get("category") or ""),
        title=_text(top.get("title") or top.get("category")).rstrip("."),
        cause=_text(_cause(top)),
        advice=_texts(top.get("advice")),
        service=str(top.get("service") or ""),
        container=str(top.get("container") or ""),
        tasks=_tasks(top),
        benign=bool(top.get("benign")),
    )


def _cause(diagnosis: Mapping[str, Any]) -> str:
    """The cause; where AWS does not name it outright, also how sure it is and what it rests on."""
    cause, confidence = str(diagnosis.get("cause") or ""), diagnosis.get("confidence")
    if not cause or confidence not in {"medium", "low"}:
        return cause
    return f"{cause} (Confidence {confidence}: it rests on {diagnosis.get('rests_on')}.)"


def _tasks(diagnosis: Mapping[str, Any]) -> int:
    """How many tasks share it; of many, only the newest are named."""
    return int(diagnosis.get("task_count") or len(diagnosis.get("tasks") or ()))


def _steps(
    planned: Sequence[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]], arn: Arn | None
) -> Iterator[StepReport]:
    """Each step of the plan, with its outcome where it has one; outcomes without a plan as they are."""
    by_name = {outcome.get("name"): outcome for outcome in outcomes}
    for step in planned:
        outcome = by_name.pop(step.get("name"), None)
        if outcome:
            yield _step(outcome, arn)
        else:
            yield StepReport(str(step.get("name")), str(step.get("type")), "pending")
    yield from (_step(outcome, arn) for outcome in by_name.values())


def _step(outcome: Mapping[str, Any], arn: Arn | None) -> StepReport:
    data = outcome.get("data") or {}
    results = (_result(one) for one in data.get("results") or () if isinstance(one, Mapping))
    diagnoses = (_diagnosis(one) for one in data.get("diagnoses") or () if isinstance(one, Mapping))
    return StepReport(
        name=str(outcome.get("name") or ""),
        type=str(outcome.get("type") or ""),
        outcome=str(outcome.get("outcome") or ""),
        summary=_text(outcome.get("summary")),
        outputs=tuple(output for output in (*results, *diagnoses) if output.text),
        evidence=tuple(_evidence_link(ref, arn) for ref in outcome.get("evidence") or ()),
    )


def _result(result: Mapping[str, Any]) -> Output:
    """A node's output: its head, and its tail where the middle is missing."""
    label = f"exit {result.get('exit_code')}" if result.get("outcome") == "exited" else result.get("outcome")
    head, tail = str(result.get("head") or ""), str(result.get("tail") or "")
    whole = not result.get("truncated")
    text = head + tail if whole or not tail else f"{head.rstrip()}\n...\n{tail.strip()}"
    said = [text.strip(), str(result.get("reason") or ""), str(result.get("remedy") or "")]
    return Output(f"{result.get('node')} ({label})", mask("\n".join(filter(None, said))), whole)


def _diagnosis(diagnosis: Mapping[str, Any]) -> Output:
    lines = [str(line) for line in diagnosis.get("evidence") or ()]
    return Output(_text(diagnosis.get("title")), mask("\n".join(lines)))


def _verified(planned: Sequence[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]) -> bool:
    """Every step succeeded, and the last one checked: a command, or a stop that waited for the service."""
    succeeded = {outcome.get("name") for outcome in outcomes if outcome.get("outcome") == "succeeded"}
    if not planned or not all(step.get("name") in succeeded for step in planned):
        return False
    last, spec = planned[-1].get("type"), planned[-1].get("spec") or {}
    return last == "command" or (last == "stop_task" and bool(spec.get("wait_for_service")))


def _started_by(trigger: Mapping[str, Any]) -> str:
    incident = (trigger.get("incident") or {}).get("id")
    match trigger.get("kind"):
        case "pagerduty":
            return f"incident {incident}"
        case "task_stopped":
            return "a stopped task"
        case _:
            return f"hand, for incident {incident}" if incident else "hand"


def _reruns(runbook: str, plan: Mapping[str, Any]) -> Iterator[str]:
    """How to run it again, for each target."""
    if runbook:
        options = plan.get("options") or {}
        for differing in ({}, *(plan.get("other_options") or ())):
            yield _rerun(runbook, {**options, **differing})


def _rerun(runbook: str, options: Mapping[str, Any]) -> str:
    """The line for a shell. Of what is long it has the beginning only; the execution's input has all."""
    words = ["taskmedic", "runbook", "run", runbook]
    for name, value in options.items():
        said = f"{name}={value}"
        if name not in {"cluster", "service", "task"}:  # names of ECS's, which must be right to be of use
            said = mask(said)
        words += ["--option", said if len(said) <= LONGEST_VALUE else f"{said[:LONGEST_VALUE]}... (cut)"]
    line = shlex.join(words)
    return line if len(line) <= LONGEST_RERUN else f"{shlex.join(words[:4])} (with options too long to show)"


def _execution_link(arn: Arn | None) -> Iterator[Link]:
    if arn:
        url = f"https://{_console(arn)}/states/home?region={arn.region}#/v2/executions/details/{arn}"
        yield Link("Execution", url)


def _evidence_link(ref: Mapping[str, Any], arn: Arn | None) -> Link:
    title, bucket, key = str(ref.get("title") or "Evidence"), str(ref.get("bucket")), str(ref.get("key"))
    if arn is None:
        return Link(title, f"s3://{bucket}/{key}")
    prefix = quote(key, safe="/")
    return Link(title, f"https://{_console(arn)}/s3/object/{bucket}?region={arn.region}&prefix={prefix}")


def _console(arn: Arn) -> str:
    return f"{arn.region}.{CONSOLES.get(arn.partition, 'console.aws.amazon.com')}"
