"""Can ECS Exec reach this container, and if not, why and what to change. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from taskmedic.domain.preflight_checks import (
    check_agent,
    check_credentials,
    check_exec_configuration,
    check_exec_enabled,
    check_kms_key,
    check_network,
    check_pid_mode,
    check_platform,
    check_read_only_root,
    check_running,
    check_task_role,
)
from taskmedic.domain.preflight_facts import Facts, Finding


def quick_findings(attributes: Mapping[str, str]) -> list[Finding]:
    """The checks that a node's attributes (see the page on inventory) answer without a further call."""
    facts = Facts(
        exec_enabled=attributes.get("ECS:Exec-Enabled", "").lower() == "true",
        agent_status=attributes.get("ECS:Exec-Agent-Status", ""),
        container_status=attributes.get("ECS:Container-Status", ""),
        launch_type=attributes.get("ECS:Launch-Type", ""),
        platform_version=attributes.get("ECS:Platform-Version", ""),
        platform_family=attributes.get("ECS:Platform-Family", ""),
    )
    return [check_running(facts), check_exec_enabled(facts), check_agent(facts), check_platform(facts)]


def findings(facts: Facts) -> list[Finding]:
    """Every check, in the order in which a person would mend them."""
    return [check(facts) for check in CHECKS]


def ready(found: list[Finding]) -> bool:
    """Nothing found that is known to keep ECS Exec from working."""
    return all(finding.status != "fail" for finding in found)


def first_failure(found: list[Finding]) -> Finding | None:
    """The finding to mend first, or None."""
    return next((finding for finding in found if finding.status == "fail"), None)


CHECKS: tuple[Callable[[Facts], Finding], ...] = (
    check_running,
    check_exec_enabled,
    check_agent,
    check_platform,
    check_task_role,
    check_read_only_root,
    check_pid_mode,
    check_credentials,
    check_kms_key,
    check_exec_configuration,
    check_network,
)


def report(node: str, found: list[Finding]) -> dict[str, Any]:
    """What ``taskmedic check --json`` prints for one node."""
    return {"node": node, "ready": ready(found), "findings": [finding.to_json() for finding in found]}
