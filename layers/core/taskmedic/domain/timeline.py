"""What happened around a stop, in order, with its distance to the stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from taskmedic.domain.masking import mask
from taskmedic.domain.task_record import LIFECYCLE, TaskRecord, read_time

# What is told of each life-cycle time of a task.
_TOLD: Mapping[str, str] = {
    "createdAt": "task created",
    "connectivityAt": "network ready",
    "pullStartedAt": "image pull began",
    "pullStoppedAt": "image pull ended",
    "startedAt": "containers running",
    "stoppingAt": "told to stop",
    "executionStoppedAt": "containers stopped",
    "stoppedAt": "task stopped",
}
# Service events and deployments further from the stop than this tell another story.
NEAR = timedelta(minutes=30)
TEXT_CHARS = 500


@dataclass(frozen=True)
class Moment:
    """One thing that happened. ``source`` is task, service, deployment, log NAME, or taskmedic."""

    at: datetime
    source: str
    text: str

    def to_json(self, stop: datetime | None) -> dict[str, Any]:
        seconds = round((self.at - stop).total_seconds(), 3) if stop else None
        return {
            "at": self.at.isoformat(),
            "seconds_from_stop": seconds,
            "source": self.source,
            "text": self.text,
        }


@dataclass(frozen=True)
class Surroundings:
    """What was collected beside the task, as AWS and the ledger give it.

    ``service`` is DescribeServices' service; ``log_events`` maps a container's name to events with
    ``timestamp`` (epoch milliseconds) and ``message``, masked together; ``actions`` are the ledger's records
    of our own stops.
    """

    service: Mapping[str, Any] | None = None
    log_events: Mapping[str, Iterable[Mapping[str, Any]]] | None = None
    actions: Iterable[Mapping[str, Any]] = ()


def timeline(record: TaskRecord, around: Surroundings) -> tuple[Moment, ...]:
    """Life cycle, service events, deployments, log lines and our own actions, in order. Secrets are masked.

    Events and deployments count from half an hour before the task began until half an hour after it stopped.
    """
    moments = [Moment(at, "task", _TOLD[name]) for name in LIFECYCLE if (at := record.time(name)) is not None]
    first, last = _window(record)
    for at, source, text in _around(around):
        if at is not None and (source.startswith("log ") or first is None or (last and first <= at <= last)):
            moments.append(Moment(at, source, _shown(text)))
    return tuple(sorted(moments, key=lambda moment: moment.at))


def render(moments: Iterable[Moment], stop: datetime | None) -> str:
    """A line each: the distance to the stop, where it comes from, what happened."""
    return "\n".join(
        f"{_distance(moment.at, stop):>10}  {moment.source:<12}  {moment.text}" for moment in moments
    )


def _shown(text: str) -> str:
    """One line of it. It is cut after it is masked: a secret that the cut goes through is seen as one."""
    return mask(" ".join(text[: TEXT_CHARS * 4].split()))[:TEXT_CHARS]


def _window(record: TaskRecord) -> tuple[datetime | None, datetime | None]:
    stop = record.stopped_at
    begin = record.time("createdAt") or stop
    return (begin - NEAR if begin else None, stop + NEAR if stop else None)


def _around(around: Surroundings) -> Iterable[tuple[datetime | None, str, str]]:
    service = around.service or {}
    for event in service.get("events") or ():
        yield read_time(event.get("createdAt")), "service", str(event.get("message", ""))
    for deployment in service.get("deployments") or ():
        name = f"{deployment.get('id', '')} of {str(deployment.get('taskDefinition', '')).rsplit('/', 1)[-1]}"
        yield read_time(deployment.get("createdAt")), "deployment", f"{name} began"
        if reason := deployment.get("rolloutStateReason"):
            yield read_time(deployment.get("updatedAt")), "deployment", f"{name}: {reason}"
    for container, events in (around.log_events or {}).items():
        for event in events:
            yield read_time(event.get("timestamp")), f"log {container}", str(event.get("message", ""))
    for action in around.actions:
        reason = str(action.get("reason", ""))
        yield read_time(action.get("at")), "taskmedic", f"stopped {action.get('task', '')}: {reason}"


def _distance(at: datetime, stop: datetime | None) -> str:
    """``-2m13.4s``, ``+0.2s``; the time of day when the stop's own time is not known."""
    if stop is None:
        return at.strftime("%H:%M:%S")
    seconds = (at - stop).total_seconds()
    sign = "-" if seconds < 0 else "+"
    minutes, rest = divmod(abs(seconds), 60)
    if minutes >= 60:
        return f"{sign}{int(minutes // 60)}h{int(minutes % 60):02d}m"
    return f"{sign}{int(minutes)}m{rest:04.1f}s" if minutes else f"{sign}{rest:.1f}s"
