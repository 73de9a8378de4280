"""The report: what a person should know of one run. One model; a renderer for each reader.

report.py         what there is to say
report_input.py   read from the state machine's data
report_legible.py texts of programs, made fit to be read
report_text.py    as plain text: PagerDuty's note, e-mail
report_slack.py   as Slack's blocks
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Channel:
    """What became of one way of telling. ``status`` is posted, edited, done, skipped or failed."""

    channel: str
    status: str
    detail: str = ""


@dataclass(frozen=True)
class Link:
    """Where more is to be read."""

    title: str
    url: str


@dataclass(frozen=True)
class Output:
    """What a command wrote on one node, or the evidence of one diagnosis: as much of it as travelled."""

    title: str
    text: str
    complete: bool = True


@dataclass(frozen=True)
class StepReport:
    """One step. ``outcome`` is succeeded, failed, skipped, planned, or pending: not reached, or not yet."""

    name: str
    type: str
    outcome: str
    summary: str = ""
    outputs: tuple[Output, ...] = ()
    evidence: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What the stopped tasks had: the diagnosis that says most, and how many tasks share it."""

    category: str
    title: str
    cause: str
    advice: tuple[str, ...]
    service: str
    container: str
    tasks: int
    benign: bool

    @property
    def line(self) -> str:
        """``Out of memory (service checkout, container app, 3 tasks)``."""
        parts = (
            self.service and f"service {self.service}",
            self.container and f"container {self.container}",
            f"{self.tasks} tasks" if self.tasks > 1 else "",
        )
        where = ", ".join(part for part in parts if part)
        line = f"{self.title} ({where})" if where else self.title
        return f"No fault found. {line}" if self.benign else line


@dataclass(frozen=True)
class Report:
    """What there is to say of a run, whoever reads it.

    ``phase`` is started, progress or final; ``decision`` is accept_trigger's: run, dry_run or skip;
    ``looked_at`` is where targets were looked for when none was found; ``left_out`` names the targets that
    are not worked on, with the reason; ``rerun`` is a command line for each target; ``verified`` says that
    every step succeeded and the last one checked health.
    """

    run: str
    phase: str
    decision: str
    reason: str
    runbook: str
    revision: str
    started_by: str
    started_at: str
    rerun: tuple[str, ...]
    incident_id: str
    cluster: str
    service: str
    finding: Finding | None
    error: str
    steps: tuple[StepReport, ...]
    looked_at: tuple[str, ...]
    left_out: tuple[str, ...]
    verified: bool
    links: tuple[Link, ...]

    @property
    def headline(self) -> str:
        """The finding in plain words: the first thing that a person reads."""
        if self.target_missing:
            return "Taskmedic could not tell which ECS service this incident is about"
        if self.decision == "skip":
            return f"Nothing was done: {self.reason}"
        if self.finding:
            return self.finding.line
        return self._trouble or self._progress

    @property
    def outcome(self) -> str:
        """The run in a word: failed, skipped, planned, running or succeeded."""
        if self.error or any(step.outcome == "failed" for step in self.steps):
            return "failed"
        if self.decision != "run":
            return "planned" if self.decision == "dry_run" else "skipped"
        return "succeeded" if self.phase == "final" else "running"

    @property
    def done(self) -> tuple[StepReport, ...]:
        return tuple(step for step in self.steps if step.outcome == "succeeded")

    @property
    def not_done(self) -> tuple[StepReport, ...]:
        return tuple(step for step in self.steps if step.outcome != "succeeded")

    @property
    def changed(self) -> tuple[StepReport, ...]:
        """The steps that changed something: stopped a task."""
        return tuple(step for step in self.done if step.type == "stop_task")

    @property
    def target_missing(self) -> bool:
        """Whether nobody could tell which ECS service the incident is about."""
        return bool(self.looked_at)

    def to_json(self) -> dict[str, Any]:
        return {"headline": self.headline, "outcome": self.outcome, **asdict(self)}

    @property
    def _trouble(self) -> str:
        if self.error:
            return f"Runbook {self.runbook} did not finish: {self.error}" if self.runbook else self.error
        failed = next((step for step in self.steps if step.outcome == "failed"), None)
        return f"Step {failed.name} failed: {failed.summary}" if failed else ""

    @property
    def _progress(self) -> str:
        if self.decision == "dry_run":
            return f"Dry run of {self.runbook}: nothing was changed"
        if self.phase != "final":
            return f"Taskmedic is at work with runbook {self.runbook}"
        return self.done[-1].summary if self.done else f"Runbook {self.runbook} is done"
