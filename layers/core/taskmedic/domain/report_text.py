"""A report as plain text: short lines without tables, for PagerDuty's narrow column and for mail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskmedic.domain.report import Output, Report, StepReport

# Lines shown of each output and number of outputs, from roomy to none: the first that fits is taken.
SHAPES: Final = ((25, 12), (12, 12), (6, 10), (3, 8), (0, 0))
LONGEST_LINE: Final = 160
LONGEST_SUMMARY: Final = 500
LONGEST_HEADLINE: Final = 1000
# Lines shown of the targets that were left out, and of how to run it again.
LEFT_OUT: Final = 10
RERUNS: Final = 5
WORDS: Final = {"failed": "failed", "skipped": "skipped", "planned": "would run", "pending": "not run"}


def text_of(report: Report, *, limit_bytes: int, last_line: str = "") -> str:
    """The report as text of at most ``limit_bytes`` in UTF-8.

    Outputs are cut first, then lines from the end. Who started it and how to run it again are kept as long as
    they leave half of the room; ``last_line`` is always kept.
    """
    ending = "\n".join([*_footer(report), last_line])
    if len(ending.encode()) > limit_bytes // 2:
        ending = last_line
    room = limit_bytes - len(ending.encode()) - 1
    for lines, outputs in SHAPES:
        text = "\n".join(_lines(report, lines, outputs))
        if len(text.encode()) <= room:
            return f"{text}\n{ending}".rstrip()
    return f"{_cut(text, room)}\n{ending}".rstrip()


def _lines(report: Report, lines: int, outputs: int) -> Iterator[str]:
    yield _short(report.headline, LONGEST_HEADLINE)
    yield from _finding(report)
    if report.target_missing:
        yield from _how_to_map(report)
    yield from _done(report)
    yield from _not_done(report)
    yield from _left_out(report)
    yield from _outputs(report, lines, outputs)
    yield from _links(report)


def _finding(report: Report) -> Iterator[str]:
    if report.finding is None:
        return
    if report.finding.cause:
        yield ""
        yield f"Cause: {report.finding.cause}"
    if report.finding.advice:
        yield ""
        yield "What helps:"
        yield from (f"- {line}" for line in report.finding.advice[:4])


def _how_to_map(report: Report) -> Iterator[str]:
    yield ""
    yield "Looked at:"
    yield from (f"- {_short(line)}" for line in report.looked_at[:20])
    yield ""
    yield "To map it: let the alert carry ecs_cluster and ecs_service, or add its PagerDuty service to the"
    yield 'service map: {"<PagerDuty service id>": {"cluster": "<cluster>", "service": "<service>"}}.'


def _done(report: Report) -> Iterator[str]:
    if report.done:
        yield ""
        yield "Done:"
        yield from (f"- {step.name}: {_short(step.summary)}" for step in report.done)


def _not_done(report: Report) -> Iterator[str]:
    if report.decision == "skip":
        return
    rest = [step for step in report.not_done if report.phase == "final" or step.outcome != "pending"]
    # The error of a failed step is in its summary already, and without a finding it is the first line.
    error = report.error if report.finding and not any(report.error in step.summary for step in rest) else ""
    if rest or error:
        yield ""
        yield "Not done:"
        yield from (f"- {step.name}: {_why_not(step, report)}" for step in rest)
        if error:
            yield f"- {_short(error)}"
    elif report.not_done:
        yield ""
        yield "Still to come:"
        yield from (f"- {step.name}" for step in report.not_done)


def _why_not(step: StepReport, report: Report) -> str:
    word = WORDS.get(step.outcome, step.outcome)
    why = step.summary
    if step.outcome == "pending" and not why:
        why = "an error came before it" if report.error else "an earlier step failed"
    return _short(f"{word}, {why}" if why else word)


def _left_out(report: Report) -> Iterator[str]:
    if report.left_out:
        yield ""
        yield "Left out:"
        yield from (f"- {_short(line)}" for line in report.left_out[:LEFT_OUT])
        if more := report.left_out[LEFT_OUT:]:
            yield f"- and {len(more)} more"


def _outputs(report: Report, lines: int, outputs: int) -> Iterator[str]:
    shown = 0
    for step in report.steps:
        for output in step.outputs[: outputs - shown]:
            shown += 1
            yield ""
            yield f"{step.name}, {output.title}:"
            yield from _output(output, lines)
    if left_out := sum(len(step.outputs) for step in report.steps) - shown:
        yield ""
        yield f"{left_out} outputs are not shown here; the evidence has them."


def _output(output: Output, lines: int) -> Iterator[str]:
    every = output.text.splitlines()
    yield from (f"  {_short(line, LONGEST_LINE)}" for line in every[:lines])
    if len(every) > lines:
        yield f"  ... {len(every) - lines} more lines"
    elif not output.complete:
        yield "  ... the rest is in the evidence"


def _links(report: Report) -> Iterator[str]:
    yield ""
    yield from (f"{link.title}: {link.url}" for link in report.links)
    for step in report.steps:
        yield from (f"{link.title}: {link.url}" for link in step.evidence[:10])


def _footer(report: Report) -> Iterator[str]:
    yield ""
    by = f"started by {report.started_by}"
    at = f" at {report.started_at[:16].replace('T', ' ')} UTC" if report.started_at else ""
    if report.runbook:
        revision = f" ({report.revision})" if report.revision else ""
        yield f"Taskmedic, runbook {report.runbook}{revision}, {by}{at}."
        if not report.target_missing:  # its options are what nobody knows
            yield from (f"Again: {line}" for line in report.rerun[:RERUNS])
            if more := report.rerun[RERUNS:]:
                yield f"Again: likewise for {len(more)} more targets."
    else:
        yield f"Taskmedic, {by}{at}."


def _short(text: str, limit: int = LONGEST_SUMMARY) -> str:
    line = text if limit == LONGEST_LINE else " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _cut(text: str, limit_bytes: int) -> str:
    """As many bytes as fit, ending on a whole line where there is one."""
    mark = "\n... (cut)"
    kept = text.encode()[: limit_bytes - len(mark)].decode(errors="ignore")
    return kept[: kept.rfind("\n")] + mark if "\n" in kept else kept + mark
