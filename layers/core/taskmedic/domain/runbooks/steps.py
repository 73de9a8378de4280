"""The steps of a runbook: what each kind may say, and how the state machine gets it."""

# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see through our base class

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from taskmedic.domain.dispatch import MAX_TIMEOUT_S
from taskmedic.domain.runbooks.fields import Duration, DurationOrOption, Model, Name, Text, Texts


class FindNodesStep(Model):
    """Lists the nodes found."""


class StoppedTasksStep(Model):
    """Collects why tasks stopped. Without cluster, service and the like: the task of the event.

    Without a role of its own it reads by that of the node source which reads the same cluster: reach.py.
    """

    cluster: Text = ""
    service: Text = ""
    family: Text = ""
    tasks: Texts = []
    since: DurationOrOption = 3600
    log_lines: int = Field(default=50, ge=0, le=500)
    region: Text = ""
    assume_role_arn: Text = ""
    external_id: Text = ""

    @model_validator(mode="after")
    def _external_id_of_a_role(self) -> StoppedTasksStep:
        if self.external_id and not self.assume_role_arn:
            raise ValueError("an external_id goes with an assume_role_arn")
        return self

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
    even_if_unwell: bool = False
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
