"""Finds the containers a runbook works on, puts them in order, and deals them out for the node steps.

The whole list goes to S3. What travels in the execution is bounded, as a state of Step Functions takes
256 KiB at most: an excerpt for people, and the batches themselves only where they are few.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taskmedic.aws.clients import Clients
from taskmedic.aws.evidence import EvidenceRef, EvidenceStore
from taskmedic.aws.inventory import Inventory, find
from taskmedic.domain import nodes as attr
from taskmedic.domain.budget import within
from taskmedic.domain.dispatch import DispatchPlan, plan_batches
from taskmedic.domain.errors import NodeNotFound, TaskmedicError, Throttled
from taskmedic.domain.node_source import Dispatch, NodesSpec
from taskmedic.domain.nodes import Node
from taskmedic.domain.runbooks.context import PLACEHOLDER
from taskmedic.domain.selection import selected
from taskmedic.settings import FindNodesSettings

NODES_SHOWN = 300
NODES_SHOWN_BYTES = 90_000
INLINE_BYTES = 100_000
SOURCES_BYTES = 20_000
# More than a stop_task step may ever stop (50): enough to see that it is too many.
STOP_TASKS_SHOWN = 100
_DEFAULT_TIMEOUT_S = 60


def run(event: Mapping[str, Any], settings: FindNodesSettings, clients: Clients) -> dict[str, Any]:
    """The nodes of the runbook's sources, in rank order, limited, and in batches.

    Raises:
        FilterInvalid: the node source, filter or dispatch cannot be understood.
        NodeNotFound: nothing matches, and the runbook does not allow that.
        ClusterNotFound, RoleNotAssumable, …: nothing was found, and this is why.
        Throttled: nothing was found because AWS asked for fewer calls; a retry is safe.
    """
    plan, name = event["plan"], str(event["run"]["execution_name"])
    clients = clients.for_execution(name)
    spec = NodesSpec.from_json(plan["nodes"])
    dispatch = Dispatch.from_json(plan.get("dispatch"))
    steps = plan.get("steps") or ()
    wanted = {dispatch.rank.attribute, *_asked_for(steps)}
    inventory = find(spec.sources, clients, node_filter=spec.filter, wanted=wanted)
    _check(inventory, spec)
    nodes = selected(inventory.nodes, dispatch.rank, spec.limits, seed=name)
    store = EvidenceStore(clients.get("s3"), settings.evidence_bucket)
    return _answer(nodes, inventory, _batches(nodes, dispatch, steps), store, name)


def _asked_for(steps: Sequence[Mapping[str, Any]]) -> set[str]:
    """Attributes that the steps will read: `${node.…}` in a text, and the host where they go through it."""
    named = {
        match["name"] for match in PLACEHOLDER.finditer(json.dumps(list(steps))) if match["scope"] == "node"
    }
    through_host = any(step["spec"].get("via", "exec") != "exec" for step in steps)
    return named | (attr.INSTANCE_ATTRIBUTES if through_host else set())


def _check(inventory: Inventory, spec: NodesSpec) -> None:
    """Finding nothing is an error, unless it is allowed and every source could be read."""
    if inventory.nodes or (spec.allow_empty and not inventory.errors):
        return
    errors = inventory.errors
    transient = [error for error in errors if isinstance(error, Throttled)]
    if transient or len({type(error) for error in errors}) == 1:
        raise (transient or errors)[0]
    raise nothing_found(inventory)


def nothing_found(inventory: Inventory) -> TaskmedicError:
    """The error of an inventory without nodes: what it says was asked, and why nothing came of it."""
    reasons = [str(error) for error in inventory.errors] + list(inventory.notes)
    return NodeNotFound(
        "no running container matches",
        where="; ".join(outcome.source for outcome in inventory.outcomes),
        why=" ".join(reasons),
        remedy="`taskmedic nodes` with the same source and filter shows what there is.",
    )


def _batches(
    nodes: Sequence[Node], dispatch: Dispatch, steps: Sequence[Mapping[str, Any]]
) -> DispatchPlan[Node]:
    commands = [step["spec"] for step in steps if step["type"] == "command"]
    return plan_batches(
        nodes,
        dispatch.to_json(),
        max((spec["timeout_s"] for spec in commands), default=_DEFAULT_TIMEOUT_S),
        first_success=any(spec.get("first_success") for spec in commands),
    )


def _answer(
    nodes: Sequence[Node],
    inventory: Inventory,
    plan: DispatchPlan[Node],
    store: EvidenceStore,
    execution_name: str,
) -> dict[str, Any]:
    stem = f"nodes/{execution_name}"
    batches = [[node.to_json() for node in batch] for batch in plan.batches]
    mode = plan.mode
    if mode == "inline" and len(json.dumps(batches)) > INLINE_BYTES:
        mode = "distributed"  # few nodes, but with many long tags
    batches_ref = None
    if mode == "distributed":
        batches_ref = _put(store, f"{stem}/batches.json", "Batches of containers", batches).to_json()
    nodes_ref = _put(store, f"{stem}/nodes.json", "Containers found", (node.to_json() for node in nodes))
    return {
        "count": len(nodes),
        "sources": within((outcome.to_json() for outcome in inventory.outcomes), SOURCES_BYTES),
        "nodes": within(map(_compact, nodes[:NODES_SHOWN]), NODES_SHOWN_BYTES),
        "nodes_ref": nodes_ref.to_json(),
        "mode": mode,
        "batches": batches if mode == "inline" else [],
        "batches_ref": batches_ref,
        "map_concurrency": plan.map_concurrency,
        "threads": plan.threads,
        "stop_tasks": _tasks(nodes)[:STOP_TASKS_SHOWN],
    }


def _put(store: EvidenceStore, key: str, title: str, items: Iterable[Any]) -> EvidenceRef:
    """Stores a JSON list, an item a line: a distributed map reads it, and so can a person."""
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    return store.put_bytes(key, f"[\n{lines}\n]\n".encode(), title=title, content_type="application/json")


def _compact(node: Node) -> dict[str, str]:
    return {"name": node.name, **_address(node), "container": node.container, "account": node.account}


def _tasks(nodes: Iterable[Node]) -> list[dict[str, str]]:
    """The tasks of ``nodes``, each once, in their order."""
    tasks = {node.task_arn: {**_address(node), "service": node.service} for node in nodes}
    return list(tasks.values())


def _address(node: Node) -> dict[str, str]:
    """Where a task is and as whom it is reached."""
    address = {
        "cluster_arn": node.cluster_arn,
        "task_arn": node.task_arn,
        "region": node.region,
        "assume_role_arn": node.assume_role_arn,
    }
    return {**address, "external_id": node.external_id} if node.external_id else address
