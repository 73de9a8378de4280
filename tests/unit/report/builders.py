"""Inputs of the ``report`` function."""

from __future__ import annotations

from typing import Any

RUN = {
    "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:remediation:pd-0f1e2d3c",
    "execution_name": "pd-0f1e2d3c",
    "started_at": "2026-11-21T03:12:46.120Z",
    "state_machine_arn": "arn:aws:states:eu-west-1:123456789012:stateMachine:remediation",
}


def a_diagnosis(**facts: Any) -> dict[str, Any]:
    return {
        "category": "container.oom_killed",
        "benign": False,
        "confidence": "high",
        "rests_on": "containers[app].reason",
        "title": "The container ran out of memory",
        "cause": "Container app reached its limit of 512 MiB and the kernel killed it.",
        "advice": ["Raise the memory of the task definition.", "Look for a leak."],
        "container": "app",
        "tasks": ["arn:aws:ecs:eu-west-1:123456789012:task/prod/0123", "…/4567"],
        "service": "search",
        "revision": "search:7",
        "evidence": ["containers[app].exitCode: 137"],
        **facts,
    }


def an_outcome(name: str = "errors", type_: str = "stopped_tasks", **facts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": type_,
        "outcome": "succeeded",
        "summary": f"{name} went well",
        "evidence": [],
        "data": {},
        "started_at": "2026-11-21T03:12:47Z",
        "ended_at": "2026-11-21T03:12:49Z",
        **facts,
    }


def a_result(node: str = "0123/app", **facts: Any) -> dict[str, Any]:
    return {
        "node": node,
        "outcome": "exited",
        "exit_code": 0,
        "head": "PID COMMAND\n1 java\n",
        "tail": "",
        "bytes": 20,
        "truncated": False,
        "output": None,
        "reason": "",
        "remedy": "",
        "duration_s": 0.4,
        **facts,
    }


def a_plan(*steps: dict[str, Any], **report: Any) -> dict[str, Any]:
    return {
        "runbook": "container-diagnostics",
        "description": "Looks.",
        "revision": "1a2b3c4d5e6f",
        "options": {"cluster": "prod", "service": "search"},
        "nodes": None,
        "dispatch": None,
        "steps": list(steps)
        or [{"name": "errors", "type": "stopped_tasks", "on_failure": "stop", "spec": {}}],
        "report": {"pagerduty_note": True, **report},
    }


def a_step(name: str, type_: str, **spec: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "on_failure": "stop", "spec": spec}


def an_input(*outcomes: dict[str, Any], incident: str = "Q1", **facts: Any) -> dict[str, Any]:
    """The report of a run about ``search``, started by an incident."""
    return {
        "run": RUN,
        "decision": "run",
        "reason": "runbook container-diagnostics answers incident.triggered",
        "trigger": {
            "kind": "pagerduty" if incident else "task_stopped",
            "cluster": "prod",
            "service": "search",
            "targets": [{"account": "", "region": "", "cluster": "prod", "service": "search", "task": ""}],
            "looked_at": ['alert QA "slow": cluster prod service search'],
            "incident": {"id": incident, "title": "search is slow"} if incident else None,
        },
        "plan": a_plan(),
        "outcomes": list(outcomes),
        "error": None,
        "phase": "final",
        **facts,
    }
