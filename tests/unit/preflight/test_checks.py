"""Each check's answer to each state of the world, with a fix in one line where something is to be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskmedic.domain.preflight import findings, first_failure, quick_findings, ready, report
from taskmedic.domain.preflight_checks import CHANNEL_ACTIONS, LOG_ACTIONS
from taskmedic.domain.preflight_facts import (
    ContainerDefinition,
    ExecConfiguration,
    Facts,
    Finding,
    KeyState,
    Network,
    Unknown,
)

ROLE = "arn:aws:iam::123456789012:role/checkout-task"
ALLOWED = dict.fromkeys((*CHANNEL_ACTIONS, *LOG_ACTIONS, "kms:Decrypt", "s3:PutObject"), "allowed")
GOOD = Facts(
    exec_enabled=True,
    agent_status="RUNNING",
    container_status="RUNNING",
    launch_type="FARGATE",
    platform_version="1.4.0",
    region="us-east-1",
    definition=ContainerDefinition(task_role_arn=ROLE, network_mode="awsvpc"),
    permissions=ALLOWED,  # type: ignore[arg-type]
    network=Network(endpoint="vpce-1"),
)
NO_PERMISSION = Unknown("the caller may not x:Y", allow="x:Y")


def finding(check: str, **changed: Any) -> Finding:
    found = {one.check: one for one in findings(replace(GOOD, **changed))}
    return found[check]


def defined(**changed: Any) -> ContainerDefinition:
    assert isinstance(GOOD.definition, ContainerDefinition)
    return replace(GOOD.definition, **changed)


def test_a_container_in_order_is_ready() -> None:
    found = findings(GOOD)

    assert {one.status for one in found} == {"ok"}
    assert ready(found)
    assert first_failure(found) is None


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    # check, what is different, status, in the detail or the fix
    ("container", {"container_status": "STOPPED"}, "fail", "STOPPED"),
    ("exec_enabled", {"exec_enabled": False}, "fail", "--enable-execute-command"),
    ("agent", {"agent_status": "PENDING"}, "warn", "Wait"),
    ("agent", {"agent_status": "STOPPED"}, "fail", "STOPPED"),
    ("agent", {"agent_status": ""}, "fail", "not reported"),
    ("agent", {"agent_status": "", "exec_enabled": False}, "fail", "no ExecuteCommandAgent"),
    ("platform", {"platform_version": "1.3.0"}, "fail", "older than 1.4.0"),
    ("platform", {"platform_version": "1.10.0"}, "ok", "1.10.0"),
    ("platform", {"platform_version": "1.0.0", "platform_family": "WINDOWS_SERVER_2022_CORE"}, "ok", ""),
    ("platform", {"platform_version": "LATEST"}, "unknown", "1.4.0 is the least"),
    ("platform", {"launch_type": "EC2", "container_agent": "1.50.1"}, "fail", "ECS-optimized AMI"),
    ("platform", {"launch_type": "EC2", "container_agent": "1.86.3"}, "ok", "1.86.3"),
    ("platform", {"launch_type": "EC2", "container_agent": NO_PERMISSION}, "unknown", "x:Y"),
    ("task_role", {"definition": defined(task_role_arn="")}, "fail", "no credentials"),
    ("task_role", {"definition": defined(task_role_arn=""), "launch_type": "EC2"}, "warn", "the instance's"),
    ("task_role", {"permissions": {**ALLOWED, CHANNEL_ACTIONS[1]: "denied"}}, "fail", CHANNEL_ACTIONS[1]),
    ("task_role", {"permissions": {**ALLOWED, CHANNEL_ACTIONS[1]: "conditional"}}, "unknown", "real call"),
    ("task_role", {"permissions": NO_PERMISSION}, "unknown", "Allow the caller x:Y."),
    ("task_role", {"definition": NO_PERMISSION}, "unknown", "Allow the caller x:Y."),
    ("root_file_system", {"definition": defined(read_only_root=True)}, "fail", "/managed-agents"),
    (
        "root_file_system",
        {
            "definition": defined(
                read_only_root=True, writable_mounts=("/managed-agents", "/var/lib/amazon", "/var/log/")
            )
        },
        "warn",
        "AWS does not support",
    ),
    ("pid_mode", {"definition": defined(pid_mode="task")}, "warn", "only one of the containers"),
    (
        "environment",
        {"definition": defined(environment=("PATH", "AWS_ACCESS_KEY_ID"))},
        "warn",
        "AWS_ACCESS_KEY_ID",
    ),
    (
        "kms_key",
        {"exec_configuration": ExecConfiguration(kms_key_id="k1"), "key": KeyState("Enabled")},
        "ok",
        "k1",
    ),
    (
        "kms_key",
        {"exec_configuration": ExecConfiguration(kms_key_id="k1"), "key": KeyState("PendingDeletion")},
        "fail",
        "PendingDeletion",
    ),
    (
        "kms_key",
        {
            "exec_configuration": ExecConfiguration(kms_key_id="k1"),
            "key": KeyState("Enabled"),
            "permissions": {**ALLOWED, "kms:Decrypt": "denied"},
        },
        "warn",  # the key's own policy may allow it
        "kms:Decrypt",
    ),
    (
        "kms_key",
        {"exec_configuration": ExecConfiguration(kms_key_id="k1"), "key": NO_PERMISSION},
        "unknown",
        "x:Y",
    ),
    ("kms_key", {"exec_configuration": NO_PERMISSION}, "unknown", "x:Y"),
    ("exec_configuration", {"exec_configuration": NO_PERMISSION}, "unknown", "x:Y"),
    ("exec_configuration", {"exec_configuration": ExecConfiguration(logging="NONE")}, "ok", "NONE"),
    ("exec_configuration", {"exec_configuration": ExecConfiguration(logging="OVERRIDE")}, "warn", "without"),
    (
        "exec_configuration",
        {
            "exec_configuration": ExecConfiguration(logging="OVERRIDE", log_group="/exec", bucket="b"),
            "permissions": {**ALLOWED, "s3:PutObject": "denied"},
        },
        "warn",
        "s3:PutObject",
    ),
    ("network", {"network": None}, "ok", "not an awsvpc task"),
    ("network", {"network": Network(public_ip="203.0.113.7")}, "ok", "public address"),
    ("network", {"network": Network(endpoint="vpce-1", endpoint_private_dns=False)}, "warn", "private DNS"),
    ("network", {"network": Network(default_route="nat-1")}, "ok", "nat-1"),
    ("network", {"network": Network(default_route="igw-1")}, "fail", "com.amazonaws.us-east-1.ssmmessages"),
    ("network", {"network": Network()}, "fail", "interface VPC endpoint"),
    ("network", {"network": NO_PERMISSION}, "unknown", "Allow the caller x:Y."),
]


@pytest.mark.parametrize(("check", "changed", "status", "text"), CASES)
def test_each_state_has_its_answer(check: str, changed: dict[str, Any], status: str, text: str) -> None:
    found = finding(check, **changed)

    assert found.status == status
    assert text in f"{found.detail} {found.fix}"


@pytest.mark.parametrize(("check", "changed"), [(case[0], case[1]) for case in CASES])
def test_what_fails_or_warns_has_a_fix_in_one_line(check: str, changed: dict[str, Any]) -> None:
    found = finding(check, **changed)

    assert "\n" not in found.detail + found.fix
    if found.status in {"fail", "warn"}:
        assert found.fix.endswith(".")


def test_what_cannot_be_known_does_not_count_as_broken() -> None:
    found = findings(replace(GOOD, permissions=NO_PERMISSION, network=NO_PERMISSION))

    assert ready(found)


def test_the_first_failure_is_the_one_to_mend_first() -> None:
    found = findings(replace(GOOD, exec_enabled=False, agent_status="", network=Network()))

    failure = first_failure(found)

    assert failure
    assert failure.check == "exec_enabled"


def test_a_nodes_attributes_answer_the_quick_checks() -> None:
    attributes = {
        "ECS:Container-Status": "RUNNING",
        "ECS:Exec-Enabled": "true",
        "ECS:Exec-Agent-Status": "RUNNING",
        "ECS:Launch-Type": "FARGATE",
        "ECS:Platform-Version": "1.3.0",
    }

    assert [one.status for one in quick_findings(attributes)] == ["ok", "ok", "ok", "fail"]


@pytest.mark.parametrize(("family", "status"), [("Windows_Server_2022_Core", "ok"), ("Linux", "fail")])
def test_a_nodes_platform_is_judged_by_its_family(family: str, status: str) -> None:
    attributes = {
        "ECS:Launch-Type": "FARGATE",
        "ECS:Platform-Version": "1.0.0",
        "ECS:Platform-Family": family,
    }

    assert quick_findings(attributes)[-1].status == status


def test_json_for_machines() -> None:
    found = [Finding("agent", "fail", "stopped", "Stop the task.")]

    assert report("t1/app", found) == {
        "node": "t1/app",
        "ready": False,
        "findings": [{"check": "agent", "status": "fail", "detail": "stopped", "fix": "Stop the task."}],
    }
