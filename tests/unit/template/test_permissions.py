"""Every AWS action that a function's code can reach is granted to it, and no other."""

from __future__ import annotations

import pytest
from tests.unit.template.calls import actions_of
from tests.unit.template.expanded import as_list, statements

# What Lambda itself does with the function's role, for its event source mapping.
BY_LAMBDA = {"report": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}}
STEPS = [
    "accept_trigger",
    "collect_stopped_tasks",
    "find_nodes",
    "receive_webhook",
    "report",
    "run_command",
    "stop_task",
]


@pytest.mark.parametrize("step", STEPS)
def test_a_function_may_do_what_its_code_does_and_nothing_else(step: str) -> None:
    function = "".join(part.title() for part in step.split("_")) + "Function"
    granted = {action for statement in statements(function) for action in as_list(statement["Action"])}

    used = actions_of(step, granted) | BY_LAMBDA.get(step, set())

    assert sorted(used - granted) == [], "used and not granted"
    assert sorted(granted - used) == [], "granted and not used"
