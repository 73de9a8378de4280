"""StopTask: stops the tasks a runbook names, and looks whether they have stopped and their service is whole.

The state machine calls it once with `stop` and then, after each wait, with `check`; in a dry run once with
`plan`. What it must remember between the calls travels in `state`. Stopping twice does no harm: the tasks are
named, and ECS takes a second stop of a task as the first. While another run is replacing a task of the same
service, or the service runs fewer tasks than it wants, the step waits and stops nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from taskmedic.aws.clients import Clients
from taskmedic.aws.ledger import Ledger
from taskmedic.aws.tasks import Tasks, TaskState
from taskmedic.domain.arns import last_part
from taskmedic.domain.budget import OUTCOME_BYTES, SUMMARY_CHARS, within
from taskmedic.domain.errors import TaskmedicError
from taskmedic.domain.runbooks.context import complete
from taskmedic.domain.stops import OWN_STOP_PREFIX
from taskmedic.settings import StopTaskSettings
from taskmedic.steps.stop_targets import Stop, known, stops_of, unwell
from taskmedic.steps.turns import Turns

# Seconds between looks: soon at first, then ever less often. The last one repeats.
LOOKS = (1, 2, 3, 5, 8, 13, 20)
ROWS_BYTES = OUTCOME_BYTES - 4_000  # the summary takes up to half of the rest
REASON_MAX = 255  # the console shows no more, and ECS takes 1024

logger = Logger(child=True)


def run(event: Mapping[str, Any], settings: StopTaskSettings, clients: Clients) -> dict[str, Any]:
    """Stops, or checks, or says what it would stop.

    Args:
        event: As the state machine gives it: run, trigger, step, stop_tasks, outcomes, action and state.
        settings: The function's.
        clients: For ECS and DynamoDB.

    Returns:
        ``{"done", "wait_s", "state", "outcome"}``; the outcome is None until it is done.

    Raises:
        StepInvalid: the task named has no cluster, or a text cannot be completed.
        TaskNotFound: the task named does not exist.
        TooManyTargets: there are more tasks than ``max_tasks``; none was stopped.
        AccessDenied, Throttled, …: ECS refused.
    """
    clients = clients.for_execution(event["run"]["execution_name"])
    ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
    if event["action"] == "plan":
        return _planned(event, clients)
    if event["action"] == "stop" or "stops" not in event["state"]:
        return _stop(event, ledger, clients)
    return _check(event, ledger, clients)


def _stop(event: Mapping[str, Any], ledger: Ledger, clients: Clients) -> dict[str, Any]:
    execution, step = event["run"], event["step"]
    spec = complete(step["spec"], outcomes=event["outcomes"])
    stops = stops_of(event, spec)
    now = time.time()
    state = event["state"] or {"started_at": now, "deadline": now + spec["wait_s"], "looks": 0}
    if not stops:
        return _done(step, state, "skipped", "no running task matches", [])
    if state["looks"] and state["deadline"] <= time.time():
        return _stopped_nothing(step, state)
    reason = f"{OWN_STOP_PREFIX}{spec['reason']} (execution {execution['execution_name']})"[:REASON_MAX]
    tasks = [known(stop, clients) for stop in stops]  # all are looked up before the first is stopped
    services = sorted({(task.cluster_arn, task.service) for task in tasks if task.service})
    turns = _turns(event, ledger, services)
    begun = any(task.stopped_reason == reason for task in tasks)  # by a call whose answer was lost
    try:
        busy = turns.taken(state["deadline"])
        if not busy and not begun and not spec["even_if_unwell"] and (busy := unwell(stops, tasks, clients)):
            turns.give_back()
        if busy:
            return _later(step, {**state, "busy": busy})
        for stop, task in zip(stops, tasks, strict=True):
            if not task.stopped:
                _stop_one(stop, task, reason, execution["execution_arn"], ledger, clients)
                begun = True
    except TaskmedicError:  # ECS or the ledger refused; after any other error the task may be stopping
        if not begun:
            turns.give_back()
        raise
    state |= {
        "stops": [
            asdict(stop)
            | {
                "task": task.arn,
                "service": task.service,
                "was_stopped": task.stopped and task.stopped_reason != reason,
            }
            for stop, task in zip(stops, tasks, strict=True)
        ],
        "locks": services,
        "looks": 0,
        "wait_for_service": spec["wait_for_service"],
    }
    return {"done": False, "wait_s": LOOKS[0], "state": state, "outcome": None}


def _planned(event: Mapping[str, Any], clients: Clients) -> dict[str, Any]:
    """For a dry run: the same look-up and the same refusals, and nothing is stopped."""
    step = event["step"]
    spec = step["spec"]
    state = {"started_at": time.time()}
    if "${steps." in spec["task"] + spec["cluster"]:
        return _done(step, state, "planned", "would stop the task that an earlier step tells of", [])
    stops = stops_of(event, spec)
    tasks = [known(stop, clients) for stop in stops]
    running = [last_part(task.arn) for task in tasks if not task.stopped]
    rows = [
        {"task_arn": task.arn, "service": task.service, "last_status": task.last_status} for task in tasks
    ]
    if not running:
        why = f"task {last_part(tasks[0].arn)} is STOPPED" if tasks else "no running task matches"
        return _done(step, state, "planned", f"would stop nothing: {why}", rows)
    what = f"task {running[0]}" if len(running) == 1 else f"{len(running)} tasks: {', '.join(running)}"
    return _done(step, state, "planned", f"would stop {what}", rows)


def _stop_one(
    stop: Stop, task: TaskState, reason: str, execution_arn: str, ledger: Ledger, clients: Clients
) -> None:
    ledger.record_action(
        task.cluster_arn,
        task.service,
        task.arn,
        datetime.now(UTC),
        reason=reason,
        execution_arn=execution_arn,
    )
    Tasks(clients.get("ecs", stop.access)).stop(stop.cluster, task.arn, reason)
    logger.info("stop asked for", extra={"task": task.arn, "reason": reason})


def _turns(event: Mapping[str, Any], ledger: Ledger, services: Sequence[tuple[str, str]]) -> Turns:
    return Turns(ledger, f"{event['run']['execution_name']}/{event['step']['name']}", services)


def _later(step: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return _again(state) if state["deadline"] > time.time() else _stopped_nothing(step, state)


def _stopped_nothing(step: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """The time is over: what other runs wait for must not happen to them one after the other."""
    waited = round(state["deadline"] - state["started_at"])
    return _done(step, state, "failed", f"nothing was stopped: for {waited} s {state['busy']}", [])


def _check(event: Mapping[str, Any], ledger: Ledger, clients: Clients) -> dict[str, Any]:
    """One look. The lock is given back when all is well, or when nothing was stopped; else it ends by itself,
    so that no other run takes the next task of a service that does not recover.
    """
    step, state = event["step"], event["state"]
    turns = _turns(event, ledger, [(cluster, service) for cluster, service in state["locks"]])
    untouched = all(item["was_stopped"] for item in state["stops"])
    try:
        rows = [_looked_at(item, state["wait_for_service"], clients) for item in state["stops"]]
    except TaskmedicError:
        if untouched:
            turns.give_back()
        raise
    waiting = [row["waits_for"] for row in rows if row["waits_for"]]
    if waiting and state["deadline"] > time.time():
        return _again(state)
    if waiting:
        waited = round(state["deadline"] - state["started_at"])
        summary = f"after {waited} s still waiting: {'; '.join(waiting)}"
        done = _done(step, state, "failed", summary, rows)
    else:
        done = _done(step, state, "succeeded", _stopped_line(rows, state), rows)
    if untouched or not waiting:
        turns.give_back()  # only now, so that nobody's stop comes before the end of this step
    return done


def _again(state: Mapping[str, Any]) -> dict[str, Any]:
    """Another look is to be had, after a while."""
    looks, left = state["looks"] + 1, int(state["deadline"] - time.time())
    wait_s = max(1, min(LOOKS[min(looks, len(LOOKS) - 1)], left))
    return {"done": False, "wait_s": wait_s, "state": {**state, "looks": looks}, "outcome": None}


def _looked_at(item: Mapping[str, Any], wait_for_service: bool, clients: Clients) -> dict[str, Any]:
    """How one task stands; ``waits_for`` says what is still to come, and is empty when nothing is."""
    stop = Stop(**{name: item[name] for name in Stop.__dataclass_fields__})
    tasks = Tasks(clients.get("ecs", stop.access))
    task = tasks.describe(stop.cluster, [stop.task]).get(stop.task)
    row = {
        "task_arn": stop.task,
        "service": stop.service,
        "outcome": "already_stopped" if item["was_stopped"] else "stopped",
        "last_status": task.last_status if task else "STOPPED",  # ECS forgets a stopped task
        "stop_code": task.stop_code if task else "",
        "stopped_reason": task.stopped_reason if task else "",
        "waits_for": "",
    }
    if task is not None and not task.stopped:
        waits_for = f"task {last_part(task.arn)} is {task.last_status}"
        return row | {"outcome": "not_stopped", "waits_for": waits_for}
    if wait_for_service and stop.service and task is not None:
        row["waits_for"] = _service_waits_for(tasks, stop, task)
    return row


def _service_waits_for(tasks: Tasks, stop: Stop, stopped: TaskState) -> str:
    """What the service lacks. It is whole when it runs what it wants, with a task newer than the stop."""
    service = tasks.service(stop.cluster, stop.service)
    counts = f"service {stop.service} runs {service.running} of {service.desired} tasks"
    if service.running < service.desired or service.pending:
        return counts
    if service.desired == 0:
        return ""
    since = stopped.stopping_at
    newer = [
        task
        for task in tasks.running_of(stop.cluster, stop.service)
        if since is None or (task.created_at is not None and task.created_at >= since)
    ]
    if not newer:
        return f"service {stop.service} has started no new task yet"
    unwell = [task for task in newer if task.last_status != "RUNNING" or task.health == "UNHEALTHY"]
    if unwell:
        return f"{counts}, and the new task {last_part(unwell[0].arn)} is not well"
    return ""


def _stopped_line(rows: Sequence[Mapping[str, Any]], state: Mapping[str, Any]) -> str:
    if len(rows) == 1:
        line = f"task {last_part(rows[0]['task_arn'])} is STOPPED"
        if rows[0]["outcome"] == "already_stopped":
            line += "; it had stopped before"
    else:
        line = f"{len(rows)} tasks are STOPPED"
    services = sorted({row["service"] for row in rows if row["service"]})
    if state["wait_for_service"] and services:
        line += f"; {', '.join(services)} {'is' if len(services) == 1 else 'are'} whole again"
    return line


def _done(
    step: Mapping[str, Any],
    state: Mapping[str, Any],
    outcome: str,
    summary: str,
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    shown = within(rows, ROWS_BYTES)
    return {
        "done": True,
        "wait_s": 0,
        "state": {},
        "outcome": {
            "name": step["name"],
            "type": "stop_task",
            "outcome": outcome,
            "summary": summary[:SUMMARY_CHARS],
            "evidence": [],
            "data": {"tasks": shown, "tasks_left_out": len(rows) - len(shown)},
            "started_at": datetime.fromtimestamp(state["started_at"], UTC).isoformat(timespec="milliseconds"),
            "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        },
    }
