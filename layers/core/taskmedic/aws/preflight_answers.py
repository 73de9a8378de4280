"""Reads what the pre-flight checks need out of AWS's answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taskmedic.domain.preflight_facts import ContainerDefinition, ExecConfiguration, KeyState, Permission

# Fields of a route that end like a target's and are none.
_NO_TARGET = frozenset({"DestinationPrefixListId", "InstanceOwnerId"})


def key_state(metadata: Mapping[str, Any]) -> KeyState:
    """KMS's ``KeyMetadata``."""
    return KeyState(state=metadata["KeyState"], arn=metadata.get("Arn", ""))


def permission(result: Mapping[str, Any]) -> Permission:
    """One of IAM's ``EvaluationResults``."""
    if result["EvalDecision"] == "allowed":
        return "allowed"
    # A policy with conditions on values that only a real call has cannot be judged by simulation.
    return "conditional" if result.get("MissingContextValues") else "denied"


def exec_agent_status(container: Mapping[str, Any]) -> str:
    """``lastStatus`` of the container's ExecuteCommandAgent; empty when it has none."""
    agents = container.get("managedAgents", [])
    return next((a.get("lastStatus", "") for a in agents if a.get("name") == "ExecuteCommandAgent"), "")


def container_definition(
    definition: Mapping[str, Any], task: Mapping[str, Any], container: str
) -> ContainerDefinition:
    """What holds for one container: the task definition with the task's overrides over it."""
    own: Mapping[str, Any] = next(
        (c for c in definition.get("containerDefinitions", []) if c.get("name") == container), {}
    )
    overrides = task.get("overrides", {})
    overridden: Mapping[str, Any] = next(
        (c for c in overrides.get("containerOverrides", []) if c.get("name") == container), {}
    )
    named = [*own.get("environment", []), *own.get("secrets", []), *overridden.get("environment", [])]
    return ContainerDefinition(
        task_role_arn=overrides.get("taskRoleArn") or definition.get("taskRoleArn", ""),
        network_mode=definition.get("networkMode", ""),
        pid_mode=definition.get("pidMode", ""),
        read_only_root=bool(own.get("readonlyRootFilesystem")),
        writable_mounts=tuple(
            mount.get("containerPath", "")
            for mount in own.get("mountPoints", [])
            if not mount.get("readOnly")
        ),
        environment=tuple(entry["name"] for entry in named),
    )


def network_interface(task: Mapping[str, Any]) -> str:
    """The id of the network interface of a task in awsvpc mode; empty for other modes."""
    for attachment in task.get("attachments", []):
        if attachment.get("type") in {"ElasticNetworkInterface", "eni"}:
            details = {d["name"]: d["value"] for d in attachment.get("details", [])}
            return str(details.get("networkInterfaceId", ""))
    return ""


def exec_configuration(cluster: Mapping[str, Any]) -> ExecConfiguration:
    """A cluster's ``executeCommandConfiguration``."""
    settings = cluster.get("configuration", {}).get("executeCommandConfiguration", {})
    places = settings.get("logConfiguration", {})
    return ExecConfiguration(
        kms_key_id=settings.get("kmsKeyId", ""),
        logging=settings.get("logging", "DEFAULT"),
        log_group=places.get("cloudWatchLogGroupName", ""),
        bucket=places.get("s3BucketName", ""),
        key_prefix=places.get("s3KeyPrefix", ""),
    )


def default_route(routes: Iterable[Mapping[str, Any]]) -> str:
    """Where a route table sends what is for the internet, to whatever kind of target; empty when nowhere.

    An internet gateway counts last: alone, it does not help a task without a public address.
    """
    targets = [_target(route) for route in routes if _is_default(route) and route.get("State") != "blackhole"]
    return min(filter(None, targets), key=lambda target: target.startswith("igw-"), default="")


def _is_default(route: Mapping[str, Any]) -> bool:
    return route.get("DestinationCidrBlock") == "0.0.0.0/0" or route.get("DestinationIpv6CidrBlock") == "::/0"


def _target(route: Mapping[str, Any]) -> str:
    """The id or ARN of a route's target: a gateway, an interface, a core network, …"""
    named = (value for key, value in route.items() if key.endswith(("Id", "Arn")) and key not in _NO_TARGET)
    return next((str(value) for value in named if value), "")
