"""What a run writes to its incident: the note, and what the runbook's ``report`` asks for besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from taskmedic.domain.errors import PagerDutyError, PagerDutyUnavailable, StepInvalid, TaskmedicError
from taskmedic.domain.masking import mask
from taskmedic.domain.report import Channel, Report
from taskmedic.domain.runbooks.context import fill, outcome_value
from taskmedic.pagerduty.http import Ambiguous
from taskmedic.pagerduty.note import NoteWriter

NOTE: Final = "pagerduty_note"

# What one action answers: its status and a detail.
Answer = tuple[str, str]


@dataclass(frozen=True)
class Written:
    """What became of each action, and the trouble that is worth another try or a place in the queue."""

    channels: tuple[Channel, ...]
    trouble: TaskmedicError | None = None


@dataclass(frozen=True)
class WriteBack:
    """Writes one report to its incident.

    Args:
        writer: Writes the note; its client does the rest.
        report: What to write.
        options: The runbook's ``report``.
        outcomes: Of the steps, for ``${steps.…}`` in custom fields.
    """

    writer: NoteWriter
    report: Report
    options: Mapping[str, Any]
    outcomes: Sequence[Mapping[str, Any]]

    def write(self) -> Written:
        """Does each action, whatever became of the others. Raises nothing of PagerDuty's."""
        channels: list[Channel] = []
        trouble: TaskmedicError | None = None
        for name, action in self._actions():
            try:
                channels.append(Channel(name, *action()))
            except (PagerDutyError, StepInvalid) as error:
                channels.append(Channel(name, "failed", error.text()))
                if name == NOTE or isinstance(error, PagerDutyUnavailable):
                    trouble = trouble or error
        return Written(tuple(channels), trouble)

    def _actions(self) -> Iterator[tuple[str, Callable[[], Answer]]]:
        acts = self.report.decision == "run"
        final = self.report.phase == "final"
        if acts and self.report.phase == "started" and self.options.get("acknowledge"):
            yield "pagerduty_acknowledge", self._acknowledge
        if self.options.get("pagerduty_note", True):
            yield NOTE, lambda: (self.writer.write(self.report), "")
        if acts and final and self.options.get("custom_fields"):
            yield "pagerduty_custom_fields", self._custom_fields
        if acts and final and self.options.get("resolve"):
            yield "pagerduty_resolve", self._resolve
        if acts and final and self.options.get("change_event"):
            yield "pagerduty_change_event", self._change_event

    def _acknowledge(self) -> Answer:
        if self.writer.client.acknowledge(self.report.incident_id):
            return "done", ""
        return "skipped", "the incident is acknowledged or resolved already"

    def _resolve(self) -> Answer:
        if not self.report.verified:
            return "skipped", "not every step succeeded, or the last one did not check health"
        if self.writer.client.resolve(self.report.incident_id):
            return "done", ""
        return "skipped", "the incident is resolved already"

    def _custom_fields(self) -> Answer:
        lookups = {
            "report": self._fact,
            "steps": lambda name: outcome_value(self.outcomes, name),
        }
        filled = fill(self.options["custom_fields"], lookups, last=True)
        values = {name: mask(value) for name, value in filled.items()}
        self.writer.client.set_custom_fields(self.report.incident_id, values)
        return "done", ", ".join(values)

    def _fact(self, name: str) -> str:
        """``${report.NAME}`` in a custom field."""
        report = self.report
        facts = {
            "headline": report.headline,
            "outcome": report.outcome,
            "category": report.finding.category if report.finding else "",
            "runbook": report.runbook,
            "execution": report.links[0].url if report.links else "",
        }
        if name not in facts:
            known = ", ".join(f"${{report.{one}}}" for one in facts)
            raise StepInvalid(
                f"${{report.{name}}} is not known", where="custom_fields", remedy=f"Known: {known}."
            )
        return facts[name]

    def _change_event(self) -> Answer:
        report, memory = self.report, self.writer.memory
        if not report.changed:
            return "skipped", "nothing was changed"
        if memory.note_of("change", report.run):
            return "skipped", "sent before"
        try:
            sent = self._send_change()
        except Ambiguous as unknown:  # shown to people and nothing more: not worth a second one
            memory.remember_note("change", report.run, "unknown")
            return "failed", unknown.text()
        if not sent:
            return "skipped", "the PagerDuty API secret has no routing_key"
        memory.remember_note("change", report.run, "sent")
        return "done", ""

    def _send_change(self) -> bool:
        report = self.report
        return self.writer.client.send_change(
            f"Taskmedic, {report.runbook}: " + "; ".join(step.summary for step in report.changed),
            timestamp=datetime.fromtimestamp(self.writer.now(), UTC).isoformat(timespec="seconds"),
            details={
                "runbook": report.runbook,
                "cluster": report.cluster,
                "service": report.service,
                "incident": report.incident_id,
            },
            link=report.links[0].url if report.links else "",
        )
