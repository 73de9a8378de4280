"""A report for Slack's incoming webhook: Block Kit sections.

Limits (Slack API reference, "Blocks"): 50 blocks, 150 characters in a header, 3,000 in a section's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from taskmedic.domain.report import Report, StepReport

SECTION: Final = 2900
HEADER: Final = 150
SIGNS: Final = {"succeeded": ":white_check_mark:", "failed": ":x:", "skipped": ":fast_forward:"}


def slack_message(report: Report) -> dict[str, Any]:
    """The body to post. ``text`` is what a notification shows."""
    return {"text": _escaped(report.headline)[:SECTION], "blocks": list(_blocks(report))}


def _blocks(report: Report) -> Iterator[dict[str, Any]]:
    yield {"type": "header", "text": {"type": "plain_text", "text": _fit(report.headline, HEADER)}}
    if report.finding and report.finding.cause:
        yield _section(_escaped(report.finding.cause))
    if report.finding and report.finding.advice:
        yield _section("\n".join(f"• {_escaped(line)}" for line in report.finding.advice[:4]))
    if report.error:
        yield _section(f":x: {_escaped(report.error)}")
    if report.steps:
        yield _section("\n".join(_step(step) for step in report.steps))
    links = [*report.links, *(link for step in report.steps for link in step.evidence[:3])]
    if links:
        yield _section(" · ".join(f"<{link.url}|{_escaped(link.title)}>" for link in links[:10]))
    if report.runbook:
        footer = f"Taskmedic, runbook {report.runbook}, started by {report.started_by}"
        yield {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(footer)}]}


def _step(step: StepReport) -> str:
    sign = SIGNS.get(step.outcome, ":white_circle:")
    return f"{sign} *{_escaped(step.name)}* {_escaped(_fit(step.summary or step.outcome, 200))}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _fit(text, SECTION)}}


def _fit(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _escaped(text: str) -> str:
    """Slack reads these three as its own (Slack API, "Formatting text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
