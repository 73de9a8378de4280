"""Every AWS action that a function's code can reach is granted to it, and no other."""

from __future__ import annotations

import botocore.session
import pytest
from tests.unit.template.calls import SERVICES, actions_of, reached
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


# Names of AWS services that stand in the code as plain words.
WORDS = {"account", "batch", "config", "deadline", "events", "health"}


def test_the_layer_holds_the_data_of_every_service_that_is_called() -> None:
    """`layers/core/Makefile` cuts botocore's data to the services of its list."""
    every = set(botocore.session.get_session().get_available_services())

    for step in STEPS:
        assert (reached(step).constants & every) - WORDS <= set(SERVICES), step
