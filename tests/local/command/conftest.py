"""Commands run against the local message gateway, by the code that the command line and the functions use."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

from taskmedic.aws.clients import Clients
from taskmedic.aws.exec import ExecRunner
from taskmedic.aws.host_command import HostRunner
from taskmedic.aws.inventory import find
from taskmedic.domain.command import CommandSpec
from taskmedic.domain.dispatch import NodeResult
from taskmedic.domain.node_source import NodeSource
from taskmedic.domain.nodes import Node
from taskmedic.ssm.client import DEFAULT_LIMITS
from taskmedic.steps.dispatcher import DispatchRules, dispatch
from taskmedic.steps.on_node import LocalLocks, OnNode
from taskmedic_local.cloud import LocalCloud


class Kept:
    """A node's output, in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> None:
        return None


class Commands:
    """Runs commands in the local cloud's containers."""

    def __init__(self, executor: Executor) -> None:
        self.clients = Clients()
        self.executor = executor
        self.outputs: dict[str, Kept] = {}
        self.limits = DEFAULT_LIMITS
        self.locks = LocalLocks()

    def nodes(self, cluster: str = "prod", **source: Any) -> list[Node]:
        """Containers by the fields of a node source."""
        found = find([NodeSource.from_json({"clusters": cluster, **source})], self.clients)
        assert not found.errors
        return list(found.nodes)

    async def run(self, spec: CommandSpec, nodes: Sequence[Node], **options: Any) -> list[NodeResult]:
        """Runs ``spec`` on all ``nodes``; options of DispatchRules, and ``via``."""
        via = options.pop("via", "exec")
        on_node = OnNode(
            spec_for=lambda _: spec,
            exec_runner=ExecRunner(self.clients, self.executor, limits=self.limits),
            host_runner=HostRunner(self.clients, self.executor, poll_s=(0.05, 0.2)),
            locks=self.locks,
            owner=uuid.uuid4().hex,
            output_for=self._output,
            executor=self.executor,
            via=via,
        )
        return await dispatch(nodes, on_node, DispatchRules(**{"keep_going": True, **options}))

    async def one(self, script: str = "", node: Node | None = None, **spec: Any) -> tuple[NodeResult, bytes]:
        """Runs one command in one container: its result and its whole output."""
        target = node or self.nodes(services="checkout", containers="app")[0]
        (result,) = await self.run(CommandSpec(script=script, **spec), [target])
        return result, bytes(self.outputs[target.name].data)

    def _output(self, node: Node) -> Kept:
        self.outputs[node.name] = Kept()
        return self.outputs[node.name]


@pytest.fixture
def commands(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    with ThreadPoolExecutor(16) as executor:
        yield Commands(executor)
