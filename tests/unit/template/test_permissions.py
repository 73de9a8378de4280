"""Every AWS action that a function's code can reach is granted to it, and no other."""

from __future__ import annotations

import pytest
from tests.unit.template.calls import actions_of
from tests.unit.template.expanded import as_list, of_type, statements

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


# What SAM adds by itself: the function's own log lines and traces.
ADDED_BY_SAM = {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}


@pytest.mark.parametrize("role", sorted(of_type("AWS::IAM::Role")))
def test_sam_adds_no_policy_to_a_role_but_logs_and_traces(role: str) -> None:
    managed = of_type("AWS::IAM::Role")[role]["Properties"].get("ManagedPolicyArns", [])

    assert {arn.rpartition("/")[2] for arn in managed} <= ADDED_BY_SAM


def test_only_sessions_of_ecs_exec_can_be_ended_and_only_shell_scripts_sent_to_hosts() -> None:
    by_action = {
        action: [str(one.get("Fn::Sub", "")) for one in as_list(statement["Resource"])]
        for statement in statements("RunCommandFunction")
        for action in as_list(statement["Action"])
        if statement["Resource"] != "*"
    }

    assert [one.rpartition(":")[2] for one in by_action["ssm:TerminateSession"]] == [
        "session/ecs-execute-command-*"
    ]
    assert {one.rpartition(":")[2].partition("/")[0] for one in by_action["ssm:SendCommand"]} == {
        "document",
        "instance",
        "managed-instance",
    }
    assert any(one.endswith("document/AWS-RunShellScript") for one in by_action["ssm:SendCommand"])
