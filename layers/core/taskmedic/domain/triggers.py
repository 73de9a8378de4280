"""What starts an execution: an ECS event, a PagerDuty webhook or a person. Each becomes one `Trigger`.

Input comes from outside, so it is read by pydantic models that tolerate fields they do not know in events and
webhooks, and refuse them in a manual start, where an unknown field is a mistyped one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from taskmedic.domain.arns import Arn, last_part
from taskmedic.domain.errors import InvalidTrigger
from taskmedic.domain.stops import OWN_STOP_PREFIX

DRILL_SOURCE = "taskmedic.drill"
ECS_SOURCES = ("aws.ecs", DRILL_SOURCE)


@dataclass(frozen=True)
class Target:
    """One ECS thing a trigger is about; empty where the trigger does not say. ``task`` is an ARN or an id."""

    account: str = ""
    region: str = ""
    cluster: str = ""
    service: str = ""
    task: str = ""

    @property
    def named(self) -> str:
        """``service search, cluster prod``: what it says, for a sentence."""
        names = (f"{name} {value}" for name, value in reversed(asdict(self).items()) if value)
        return ", ".join(names) or "a target without a name"


@dataclass(frozen=True)
class Incident:
    """The PagerDuty incident of a trigger, as far as it is known."""

    id: str
    title: str = ""
    html_url: str = ""
    status: str = ""
    event_type: str = ""
    service_id: str = ""
    service_name: str = ""
    urgency: str = ""


@dataclass(frozen=True)
class Trigger:
    """What started an execution, in one form for all three kinds. Absent values are empty."""

    kind: Literal["task_stopped", "pagerduty", "manual"]
    key: str
    occurred_at: str
    target: Target = Target()
    targets: tuple[Target, ...] = ()
    incident: Incident | None = None
    delivery_id: str = ""
    task_detail: Mapping[str, Any] | None = None
    looked_at: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Targets that are too many, each with that reason; the plan says them on."""

    def about(self, target: Target) -> Trigger:
        """The same trigger, seen for one of its targets."""
        return replace(self, target=target)

    def value(self, name: str) -> str:
        """``${trigger.NAME}``: the values are those of the target; ``incident`` is the incident's id."""
        if name == "incident":
            return self.incident.id if self.incident else ""
        return str(getattr(self.target, name))

    @property
    def version(self) -> int:
        """The version of an ECS event; 0 for other triggers and for events without one."""
        return int((self.task_detail or {}).get("version") or 0)

    def to_json(self) -> dict[str, Any]:
        """Trigger JSON, as every step gets it."""
        return {
            "kind": self.kind,
            "key": self.key,
            "occurred_at": self.occurred_at,
            **asdict(self.target),
            "targets": [asdict(target) for target in self.targets],
            "incident": asdict(self.incident) if self.incident else None,
            "delivery_id": self.delivery_id or None,
            "task_detail": self.task_detail,
            "looked_at": list(self.looked_at),
        }


@dataclass(frozen=True)
class Asked:
    """What the input asks for by name; an event asks for nothing."""

    runbook: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True)
class Received:
    """The input of an execution, understood. ``webhook`` is PagerDuty's event object, still as it came."""

    trigger: Trigger
    asked: Asked = Asked()
    webhook: Mapping[str, Any] | None = None


def receive(given: Any, *, execution_name: str, started_at: str, account: str, region: str) -> Received:
    """The execution's input as a trigger.

    Args:
        given: The input, any JSON.
        execution_name: The key of a manual start.
        started_at: When the execution started, ISO; the time of a manual start.
        account: Our own account, which a manual start is about.
        region: Our own region, likewise.

    Raises:
        InvalidTrigger: it is none of the three kinds; the text names the field.
    """
    if not isinstance(given, Mapping):
        _refuse("", "the input is a JSON object")
    here = Target(account=account, region=region)
    source = given.get("source")
    if source in ECS_SOURCES or "detail-type" in given:
        return _stopped_task(_read(_EcsEvent, given), given["detail"])
    if source == "pagerduty.webhook":
        return _webhook(_read(_WebhookInput, given), here)
    if source == "pagerduty.action":
        return _action(_read(_ActionInput, given), here, started_at)
    if source is not None:
        known = ", ".join((*ECS_SOURCES, "pagerduty.webhook", "pagerduty.action"))
        _refuse("source", f"{source!r} is none of {known}")
    manual = _read(_ManualInput, given)
    trigger = Trigger(kind="manual", key=execution_name, occurred_at=started_at, target=here)
    return Received(trigger, Asked(manual.runbook, manual.options, manual.dry_run))


def is_own_stop(detail: Mapping[str, Any]) -> bool:
    """Whether ECS's reason says that we stopped this task ourselves."""
    return str(detail.get("stoppedReason") or "").startswith(OWN_STOP_PREFIX)


def _stopped_task(event: _EcsEvent, as_it_came: Mapping[str, Any]) -> Received:
    detail = event.detail
    arn = Arn.parse(detail.task_arn)
    assert arn is not None  # _task_arn has seen to it
    kind, _, name = detail.group.partition(":")
    target = Target(
        account=event.account or arn.account,
        region=event.region or arn.region,
        cluster=last_part(detail.cluster_arn),
        service=name if kind == "service" else "",
        task=detail.task_arn,
    )
    at = detail.stopped_at or event.time
    trigger = Trigger(
        kind="task_stopped",
        key=f"{detail.task_arn}#{detail.version}",
        occurred_at=at.isoformat() if at else "",
        target=target,
        targets=(target,),
        task_detail=as_it_came,
    )
    return Received(trigger)


def _webhook(given: _WebhookInput, here: Target) -> Received:
    event_id = str(given.event.get("id") or "")
    # PagerDuty signs the body, in which the event's id stands, and not the header with the delivery's id: a
    # captured body sent again under another id must start nothing either.
    trigger = Trigger(
        kind="pagerduty",
        key=event_id or given.delivery_id,
        occurred_at=str(given.event.get("occurred_at") or ""),
        target=here,
        delivery_id=given.delivery_id,
    )
    return Received(trigger, webhook=given.event)


def _action(given: _ActionInput, here: Target, started_at: str) -> Received:
    request = given.request
    target = replace(here, cluster=last_part(request.cluster), service=request.service)
    incident = (
        Incident(id=request.incident_id, event_type="incident.triggered") if request.incident_id else None
    )
    trigger = Trigger(
        kind="pagerduty",
        key=given.delivery_id,
        occurred_at=started_at,
        target=target if request.cluster else here,
        targets=(target,) if request.cluster else (),
        incident=incident,
        delivery_id=given.delivery_id,
    )
    return Received(trigger, Asked(request.runbook, request.options, request.dry_run))


def _task_arn(value: str) -> str:
    arn = Arn.parse(value)
    if arn is None or arn.service != "ecs" or arn.kind != "task":
        raise ValueError("not the ARN of an ECS task")
    return value


def _option_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


M = TypeVar("M", bound=BaseModel)
Options = dict[str, Annotated[str, BeforeValidator(_option_text)]]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, defer_build=True)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _TaskDetail(_Tolerant):
    task_arn: Annotated[str, AfterValidator(_task_arn)] = Field(alias="taskArn")
    cluster_arn: str = Field(alias="clusterArn", min_length=1)
    last_status: Literal["STOPPED"] = Field(alias="lastStatus")
    group: str = ""
    version: int = Field(default=0, ge=0)
    stopped_at: datetime | None = Field(default=None, alias="stoppedAt")


class _EcsEvent(_Tolerant):
    detail_type: Literal["ECS Task State Change"] = Field(alias="detail-type")
    source: Literal["aws.ecs", "taskmedic.drill"]
    account: str = ""
    region: str = ""
    time: datetime | None = None
    detail: _TaskDetail


class _WebhookInput(_Tolerant):
    delivery_id: str = Field(min_length=1)
    event: dict[str, Any]


class _ActionRequest(_Strict):
    cluster: str = ""
    service: str = ""
    runbook: str = ""
    options: Options = {}
    incident_id: str = ""
    dry_run: bool = False


class _ActionInput(_Tolerant):
    delivery_id: str = Field(min_length=1)
    request: _ActionRequest


class _ManualInput(_Strict):
    runbook: str = Field(min_length=1)
    options: Options = {}
    dry_run: bool = False


def _read(model: type[M], given: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = {"missing": "it is missing", "extra_forbidden": "there is no such field"}.get(
            first["type"], str(first["msg"]).removeprefix("Value error, ")
        )
        shown = first["input"] if isinstance(first["input"], str | int | float) else None
        _refuse(
            ".".join(str(part) for part in first["loc"]), f"{shown!r}: {what}" if shown is not None else what
        )


def _refuse(field_name: str, why: str) -> NoReturn:
    raise InvalidTrigger(
        "the input is no trigger",
        where=f"field {field_name}" if field_name else "the whole input",
        why=why,
        remedy='Give an ECS Task State Change event, what receive_webhook sends, or {"runbook": "NAME", '
        '"options": {}, "dry_run": false}.',
    )
