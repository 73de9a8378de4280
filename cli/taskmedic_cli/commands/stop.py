"""``taskmedic stop``: stops one task and waits until ECS says STOPPED."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.text import Text

from taskmedic.aws.clients import Access
from taskmedic.aws.tasks import Tasks, TaskState, task_not_found
from taskmedic.domain.arns import last_part
from taskmedic.domain.stops import OWN_STOP_PREFIX
from taskmedic_cli import executions
from taskmedic_cli.common import account_options, clients_for, console, print_json, region_of
from taskmedic_cli.terminal import say

DEFAULT_REASON = "stopped by hand"


def stop_and_wait(
    tasks: Tasks, cluster: str, task: str, reason: str, *, seconds: float
) -> tuple[str, TaskState]:
    """Asks once, then looks; ``stopped``, ``already_stopped`` or ``timed_out``, and the task as it is then.

    The reason begins as our own stops do, so that the event of the stop starts no remediation.

    Raises:
        TaskNotFound: there is no such task.
        ClusterNotFound, AccessDenied, Throttled, …: ECS refused.
    """

    def look() -> TaskState:
        found = list(tasks.describe(cluster, [task]).values())
        if not found:
            raise task_not_found(cluster, task)
        return found[0]

    before = look()
    if before.stopped:
        return "already_stopped", before
    tasks.stop(cluster, before.arn, OWN_STOP_PREFIX + reason)
    after = executions.poll(lambda: now if (now := look()).stopped else None, seconds=seconds)
    return ("stopped", after) if after else ("timed_out", look())


@click.command()
@click.option("--cluster", required=True, help="Name or ARN.")
@click.option("--task", required=True, help="Id or ARN; one task.")
@click.option(
    "--reason", default=DEFAULT_REASON, show_default=True, help="Kept by ECS as the stopped reason."
)
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait for STOPPED.")
@click.option("--json", "as_json", is_flag=True)
@account_options
def stop(
    cluster: str,
    task: str,
    reason: str,
    timeout: float,
    as_json: bool,
    assume_role_arn: str,
    external_id: str,
    profile: str | None,
    region: str | None,
) -> None:
    """Stops a task and waits until ECS says STOPPED. A service starts another in its place."""
    clients = clients_for(profile, region)
    access = Access(region_of(region, cluster, task), assume_role_arn, external_id)
    tasks = Tasks(clients.get("ecs", access))
    progress = console(stderr=True)
    if progress.is_terminal:
        with progress.status(Text(f"stopping {last_part(task)}")):
            outcome, state = stop_and_wait(tasks, cluster, task, reason, seconds=timeout)
    else:
        outcome, state = stop_and_wait(tasks, cluster, task, reason, seconds=timeout)
    shown: dict[str, Any] = {
        "task_arn": state.arn,
        "outcome": outcome,
        "last_status": state.last_status,
        "stop_code": state.stop_code,
    }
    if as_json:
        print_json(shown)
    else:
        said = f": {state.stopped_reason}" if state.stopped_reason else ""
        say(f"{last_part(state.arn)}  {outcome}, {state.last_status} {state.stop_code}{said}")
    if outcome == "timed_out":
        sys.exit(1)
