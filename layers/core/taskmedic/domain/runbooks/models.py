"""What a runbook's YAML may say. Names are Rundeck's and AWS's; every field's error is raised by pydantic."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from taskmedic.domain.dispatch import MAX_TIMEOUT_S
from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.node_source import NodesSpec
from taskmedic.domain.runbooks.context import PLACEHOLDER

# The outcomes of all steps, 20 kB each, travel in one state of at most 256 KiB, with trigger and plan.
MAX_STEPS = 8
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Seconds of ``60s``, ``15m``, ``1h`` or ``2d``.

    Raises:
        ValueError: it is written otherwise.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not found:
        raise ValueError("write a duration as 60s, 15m or 1h")
    return int(found[1]) * UNITS[found[2]]


def _seconds(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def _seconds_or_option(value: Any) -> Any:
    return value if isinstance(value, str) and PLACEHOLDER.search(value) else _seconds(value)


def _text(value: Any) -> Any:
    """YAML reads ``1`` as a number; an option's value is always text."""
    if isinstance(value, bool):  # YAML's bare yes, no, on, off
        raise ValueError("put it in quotes, or YAML reads it as true or false")  # noqa: TRY004 - pydantic's
    return str(value) if isinstance(value, int | float) else value


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Duration = Annotated[int, BeforeValidator(_seconds)]
DurationOrOption = Annotated[int | str, BeforeValidator(_seconds_or_option)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[Text], BeforeValidator(_one_or_many)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Model(BaseModel):
    """Unknown fields are errors; nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PagerDutyRule(Model):
    """Answers incidents. ``service``: ids, or names with ``*``; ``title``: a regular expression in it."""

    event: Texts = ["incident.triggered"]
    service: Texts = ["*"]
    title: Pattern = ""
    urgency: list[Literal["high", "low"]] = []


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
    """How a command is spread over the nodes."""

    threads: int = Field(default=1, ge=1, le=1000)
    keep_going: bool = False
    rank_attribute: str = ""
    rank_order: Literal["ascending", "descending"] = "ascending"


class FindNodesStep(Model):
    """Lists the nodes found."""


class StoppedTasksStep(Model):
    """Collects why tasks stopped. Without cluster, service and the like: the task of the event."""

    cluster: Text = ""
    service: Text = ""
    family: Text = ""
    tasks: Texts = []
    since: DurationOrOption = 3600
    log_lines: int = Field(default=50, ge=0, le=500)

    def spec(self) -> dict[str, Any]:
        spec = self.model_dump(exclude={"since"})
        return {**spec, "since_s": self.since}


class CommandStep(Model):
    """Runs a script, or a program with its arguments, in every node."""

    script: str = ""
    argv: list[Text] = []
    shell: bool = True
    timeout: Annotated[Duration, Field(ge=1, le=MAX_TIMEOUT_S)] = 60
    may_repeat: bool = False
    via: Literal["exec", "ec2_host", "auto"] = "exec"
    first_success: bool = False
    assume_role_arn: Text = ""

    @model_validator(mode="after")
    def _script_or_argv(self) -> CommandStep:
        if bool(self.script.strip()) == bool(self.argv):
            raise ValueError("give either script or argv")
        if self.script and not self.shell:
            raise ValueError("a script needs a shell; give argv with shell: false")
        return self

    def spec(self) -> dict[str, Any]:
        what = {"script": self.script} if self.script else {"argv": self.argv}
        rest = self.model_dump(exclude={"script", "argv", "timeout"})
        return {**what, **rest, "timeout_s": self.timeout}


class StopTaskStep(Model):
    """Stops the task named, or the tasks of the nodes, and waits until ECS says STOPPED."""

    task: Text = ""
    cluster: Text = ""
    reason: str = Field(min_length=1, max_length=200)
    max_tasks: int = Field(default=1, ge=1, le=50)
    wait: Annotated[Duration, Field(ge=0, le=3600)] = 300
    wait_for_service: bool = False
    assume_role_arn: Text = ""

    def spec(self) -> dict[str, Any]:
        return {**self.model_dump(exclude={"wait"}), "wait_s": self.wait}


KINDS: dict[str, type[FindNodesStep | StoppedTasksStep | CommandStep | StopTaskStep]] = {
    "find_nodes": FindNodesStep,
    "stopped_tasks": StoppedTasksStep,
    "command": CommandStep,
    "stop_task": StopTaskStep,
}


class Step(Model):
    """A name, exactly one kind, and what happens when it fails."""

    name: Name
    find_nodes: FindNodesStep | None = None
    stopped_tasks: StoppedTasksStep | None = None
    command: CommandStep | None = None
    stop_task: StopTaskStep | None = None
    on_failure: Literal["stop", "continue"] = "stop"

    @field_validator(*KINDS, mode="before")
    @classmethod
    def _bare_kind(cls, value: Any) -> Any:
        """``stopped_tasks:`` with nothing after it means: all defaults."""
        return {} if value is None else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        if len(self.model_fields_set & KINDS.keys()) != 1:
            raise ValueError(f"a step is exactly one of {', '.join(KINDS)}")
        return self

    @property
    def type(self) -> str:
        (kind,) = self.model_fields_set & KINDS.keys()
        return kind

    def to_json(self) -> dict[str, Any]:
        """Step JSON, as the state machine takes it."""
        kind = getattr(self, self.type)
        spec = {} if isinstance(kind, FindNodesStep) else kind.spec()
        return {"name": self.name, "type": self.type, "on_failure": self.on_failure, "spec": spec}


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
