"""What a runbook's YAML may say. Names are Rundeck's and AWS's; every field's error is raised by pydantic."""

# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see through our base class

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.incident_events import TRIGGERING
from taskmedic.domain.node_source import NodesSpec
from taskmedic.domain.nodes import attribute_named
from taskmedic.domain.runbooks.durations import too_long
from taskmedic.domain.runbooks.fields import Duration, Model, Name, Pattern, Text, Texts
from taskmedic.domain.runbooks.steps import Step

# The outcomes of all steps, 20 kB each, travel in one state of at most 256 KiB, with trigger and plan.
MAX_STEPS = 8


class PagerDutyRule(Model):
    """Answers incidents. ``service``: ids, or names with ``*``; ``title``: a regular expression in it."""

    event: Texts = ["incident.triggered"]
    service: Texts = ["*"]
    title: Pattern = ""
    urgency: list[Literal["high", "low"]] = []

    @field_validator("event")
    @classmethod
    def _may_start_something(cls, events: list[str]) -> list[str]:
        """A type that nothing is started by would be a runbook that silently never runs."""
        for event in events:
            if not any(fnmatchcase(known, event) for known in TRIGGERING):
                raise ValueError(f"{event!r} starts nothing; known are {', '.join(sorted(TRIGGERING))}")
        return events


class TaskStoppedRule(Model):
    """Answers stopped tasks. Each is a list of names with ``*``; a standalone task has the service ``""``."""

    cluster: Texts = ["*"]
    service: Texts = ["*"]
    category: Texts = ["*"]


class TriggerRule(Model):
    """Exactly one of the two."""

    pagerduty: PagerDutyRule | None = None
    task_stopped: TaskStoppedRule | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> TriggerRule:
        if (self.pagerduty is None) == (self.task_stopped is None):
            raise ValueError("give either pagerduty or task_stopped")
        return self


class Option(Model):
    """One option. Without ``enforced``, ``values`` are suggestions."""

    description: str = ""
    required: bool = False
    default: Text | None = None
    pattern: Pattern = ""
    values: list[Text] = []
    enforced: bool = False

    @model_validator(mode="after")
    def _enforced_needs_values(self) -> Option:
        if self.enforced and not self.values:
            raise ValueError("enforced needs values")
        return self

    def refuses(self, value: str) -> str:
        """Why ``value`` breaks the option's rules; empty when it does not. The pattern matches the whole."""
        if self.enforced and value not in self.values:
            return f"{value!r} is none of {', '.join(self.values)}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"{value!r} does not match the pattern {self.pattern}"
        return ""


class NodeSource(Model):
    """Where nodes come from. Every list may also be one text with commas. Rules: domain/node_source.py."""

    clusters: Texts = []
    all_clusters: bool = False
    services: Texts = []
    task_definitions: Texts = []
    containers: Texts = []
    tasks: Texts = []
    tags: dict[str, Text] | Texts = []
    filter_behavior: Literal["include", "exclude"] = "include"
    filter: str = ""
    region: Text = ""
    assume_role_arn: Text = ""
    external_id: Text = ""
    include_stopping: bool = False


class Limits(Model):
    """How many of the nodes found."""

    random: int | None = None
    at_most: int | Text | None = None
    first: bool = False


class Nodes(NodeSource):
    """One node source written out, or ``sources`` with several; filter and limits hold for all of them."""

    sources: list[NodeSource] = []
    allow_empty: bool = False
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _understood(self) -> Nodes:
        """The inventory's own reading is the rule, so that nothing passes here and fails at night."""
        if self.sources and (self.clusters or self.all_clusters or self.services):
            raise ValueError("give either sources, or one source's own fields")
        try:
            NodesSpec.from_json(self.to_json())
        except FilterInvalid as error:
            raise ValueError(str(error)) from error
        return self

    def to_json(self) -> dict[str, Any]:
        """NodesSpec JSON: what was said, without the defaults."""
        return self.model_dump(exclude_defaults=True)


class Dispatch(Model):
    """How a command is spread over the nodes. ``timeout``: for all together, from the step's start."""

    threads: int = Field(default=1, ge=1, le=1000)
    keep_going: bool = False
    timeout: Annotated[Duration, Field(ge=1)] | None = None
    rank_attribute: str = ""
    rank_order: Literal["ascending", "descending"] = "ascending"

    @field_validator("rank_attribute")
    @classmethod
    def _an_attribute(cls, name: str) -> str:
        try:
            return attribute_named(name) if name else name
        except FilterInvalid as error:
            raise ValueError(str(error)) from error


class Limit(Model):
    """How often a runbook that acts may run by itself for one service."""

    attempts: int = Field(default=3, ge=1, le=100)
    within: Annotated[Duration, Field(ge=60, le=7 * 24 * 3600)] = 3600


class Report(Model):
    """What goes back to the incident."""

    pagerduty_note: bool = True
    acknowledge: bool = False
    resolve: bool = False
    custom_fields: dict[str, str] = {}
    change_event: bool = False


class Runbook(Model):
    """One runbook. ``file`` and ``revision`` are those of the file it was read from."""

    name: Name
    description: str = Field(min_length=1)
    priority: int = Field(default=100, ge=0, le=1000)
    triggers: list[TriggerRule] = []
    options: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Option] = {}
    nodes: Nodes | None = None
    dispatch: Dispatch = Dispatch()
    limit: Limit = Limit()
    steps: list[Step] = Field(min_length=1, max_length=MAX_STEPS)
    report: Report = Report()
    file: str = Field(default="", exclude=True)
    revision: str = Field(default="", exclude=True)

    @field_validator("steps")
    @classmethod
    def _names_differ(cls, steps: list[Step]) -> list[Step]:
        names = [step.name for step in steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two steps have the name {', '.join(twice)}")
        return steps

    @model_validator(mode="after")
    def _nodes_for_node_steps(self) -> Runbook:
        for step in self.steps:
            named = step.stop_task is not None and step.stop_task.task
            if step.type in {"command", "find_nodes", "stop_task"} and self.nodes is None and not named:
                raise ValueError(f"step {step.name} needs nodes: say where they come from")
        return self

    @model_validator(mode="after")
    def _time_for_a_report(self) -> Runbook:
        if why := too_long([step.to_json() for step in self.steps], self.dispatch.timeout):
            raise ValueError(why)
        return self

    @property
    def acts(self) -> bool:
        """Whether it does more than look: runs a command or stops a task."""
        return any(step.type in {"command", "stop_task"} for step in self.steps)

    def started_by(self) -> str:
        """Which triggers it answers, for a table: ``incident, stopped task``."""
        kinds = {"incident" if rule.pagerduty is not None else "stopped task" for rule in self.triggers}
        return ", ".join(["by hand", *sorted(kinds)])

    def to_json(self) -> dict[str, Any]:
        """The runbook as it was understood, with every default."""
        return {
            **self.model_dump(mode="json", exclude={"steps"}),
            "revision": self.revision,
            "steps": [step.to_json() for step in self.steps],
        }
