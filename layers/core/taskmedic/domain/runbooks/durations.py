"""How long the steps of a runbook may take: an execution that its machine's time-out ends has no report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskmedic.domain.dispatch import NODE_OVERHEAD_S

# The state machine's TimeoutSeconds is 6 hours. The rest is for finding nodes, for throttled calls, and for a
# PagerDuty that does not answer for half an hour at the beginning and at the end, where each of 9 tries may
# take the 90 seconds of its state.
MAX_STEPS_S = 4 * 3600 + 1800
STOPPED_TASKS_S = 320  # TimeoutSeconds of its state
STOP_OVERHEAD_S = 90  # the stop itself, and the last look

StepJson = Mapping[str, Any]


def longest_s(steps: Sequence[StepJson], dispatch_timeout: int | None) -> int:
    """How long the steps may take together at least, in seconds.

    A command counts with the time given for all nodes, or else with that of one node: how many there are is
    not known before they are found.
    """
    return sum(map(_without_commands_s, steps)) + len(_commands(steps)) * (
        (dispatch_timeout or _longest_command_s(steps)) + NODE_OVERHEAD_S
    )


def time_for_all_nodes(steps: Sequence[StepJson], given: int | None) -> int | None:
    """The time, in seconds, that each command step has for all its nodes: as given, or an equal share of
    what the other steps leave. None without a command.
    """
    commands = _commands(steps)
    if given or not commands:
        return given
    left = MAX_STEPS_S - sum(map(_without_commands_s, steps))
    return max(left // len(commands) - NODE_OVERHEAD_S, _longest_command_s(steps))


def too_long(steps: Sequence[StepJson], dispatch_timeout: int | None) -> str:
    """Why steps that may take so long are refused, with the fields to change; empty when they are not."""
    whole = longest_s(steps, dispatch_timeout)
    if whole <= MAX_STEPS_S:
        return ""
    fields = [f"{step['name']}.stop_task.wait" for step in steps if step["type"] == "stop_task"]
    if dispatch_timeout and _commands(steps):
        fields.append("dispatch.timeout")
    elif not dispatch_timeout:
        fields += [f"{step['name']}.command.timeout" for step in _commands(steps)]
    return (
        f"the steps may take {spoken(whole)} together, and {spoken(MAX_STEPS_S)} is the most: "
        f"shorten {', '.join(fields)}"
    )


def _without_commands_s(step: StepJson) -> int:
    match step["type"]:
        case "stop_task":
            return int(step["spec"]["wait_s"]) + STOP_OVERHEAD_S
        case "stopped_tasks":
            return STOPPED_TASKS_S
        case _:
            return 0


def _commands(steps: Sequence[StepJson]) -> list[StepJson]:
    return [step for step in steps if step["type"] == "command"]


def _longest_command_s(steps: Sequence[StepJson]) -> int:
    return max((int(step["spec"]["timeout_s"]) for step in _commands(steps)), default=0)


def spoken(seconds: int) -> str:
    """``1 h``, ``90 s``, ``2 h 15 min``: whole minutes from two minutes on."""
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(-(-seconds // 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
