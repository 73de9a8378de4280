"""A command in 500 containers, 50 at a time: wall time against what the containers themselves take.

The whole way is the real one, from the dispatch to the session's frames; scripted are only the two ends:
ExecuteCommand answers after 50 ms, and each container's agent starts after 1 s, as AWS's does, and runs its
command for a time of its own. The ideal is the longest chain of containers that one thread visits when only
these times pass.

    python benchmarks/dispatch.py
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from taskmedic.aws.exec import ExecRunner
from taskmedic.domain import nodes
from taskmedic.domain.command import CommandSpec
from taskmedic.domain.dispatch import plan_batches, summarise
from taskmedic.domain.nodes import Node
from taskmedic.ssm import frames
from taskmedic.steps.dispatcher import DispatchRules, dispatch
from taskmedic.steps.on_node import LocalLocks, OnNode

CONTAINERS, THREADS, GOAL = 500, 50, 1.15
CALL_S, START_S = 0.05, 1.0
COMMAND_S = (0.1, 2.0)
OUTPUT = b"a line of what the command prints\r\n" * 60  # 2 kB


class Aws:
    """ECS, which takes its time and gives a session named after the task."""

    def get(self, *_: object, **__: object) -> Any:
        return self

    def execute_command(self, *, task: str, command: str, **_: object) -> Any:
        time.sleep(CALL_S)
        return {"session": {"sessionId": task, "streamUrl": f"{task} {command}", "tokenValue": "-"}}


class Agents:
    """The containers' agents."""

    def __init__(self, command_s: dict[str, float]) -> None:
        self.command_s = command_s

    async def connect(self, url: str, _: float) -> Agent:
        task, command = url.split(" ", 1)
        return Agent(command, self.command_s[task])


class Agent:
    """One session: its start, its command's output, its end."""

    def __init__(self, command: str, command_s: float) -> None:
        halves = re.search("_a=([0-9a-f]{16});_b=([0-9a-f]{16});", command)
        assert halves
        self._nonce = "".join(halves.groups()).encode()
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._sequence = 0
        self._life = asyncio.create_task(self._live(command_s))

    async def send(self, messages: Sequence[str | bytes]) -> None:
        for message in messages:
            if isinstance(message, bytes) and (frame := frames.decode(message)).kind == frames.INPUT_STREAM:
                self._arrived.put_nowait(frames.acknowledgement(frame, message_id=uuid4(), created_ms=1))

    async def receive(self, timeout_s: float, *, at_once: bool = False) -> list[bytes]:  # noqa: ARG002
        try:
            async with asyncio.timeout(timeout_s):
                return [await self._arrived.get()]
        except TimeoutError:
            return []

    async def close(self) -> None:
        self._life.cancel()

    async def _live(self, command_s: float) -> None:
        await asyncio.sleep(START_S)
        self._mark(b"start")
        for at in range(0, len(OUTPUT), 1024):
            self._output(OUTPUT[at : at + 1024])
        await asyncio.sleep(command_s)
        self._mark(b"0")
        payload = json.dumps({"MessageType": frames.CHANNEL_CLOSED, "Output": ""}).encode()
        self._arrived.put_nowait(
            frames.encode(frames.CHANNEL_CLOSED, payload, message_id=uuid4(), created_ms=1)
        )

    def _mark(self, word: bytes) -> None:
        self._output(self._nonce + b":" + word + b":\r\n")

    def _output(self, data: bytes) -> None:
        self._arrived.put_nowait(
            frames.encode(
                frames.OUTPUT_STREAM,
                data,
                message_id=uuid4(),
                created_ms=1,
                sequence=self._sequence,
                payload_type=frames.PayloadType.OUTPUT,
            )
        )
        self._sequence += 1


class Forgotten:
    """Output that nobody keeps."""

    def write(self, _: bytes) -> None: ...

    def finish(self) -> None:
        return None


def ideal_s(times: Sequence[float], threads: int) -> float:
    """The end of the longest chain, when each thread takes the next container as soon as it is free."""
    free_at = [0.0] * threads
    for seconds in times:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


async def visited(containers: Sequence[Node], command_s: dict[str, float]) -> tuple[float, str]:
    """Seconds until every container was visited, and the summary."""
    with ThreadPoolExecutor(24) as executor:
        runner = ExecRunner(Aws(), executor, connect=Agents(command_s).connect)  # type: ignore[arg-type]
        on_node = OnNode(
            spec_for=lambda _: CommandSpec(script="jstack 1"),
            exec_runner=runner,
            host_runner=runner,
            locks=LocalLocks(),
            owner="benchmark",
            output_for=lambda _: Forgotten(),
            executor=executor,
        )
        started = time.perf_counter()
        results = await dispatch(containers, on_node, DispatchRules(threads=THREADS, keep_going=True))
        return time.perf_counter() - started, summarise(results).line


def main() -> None:
    luck = random.Random(7)
    containers = [
        Node(
            f"{number:04}/app",
            {
                nodes.CLUSTER_ARN: "prod",
                nodes.TASK_ARN: f"{number:04}",
                nodes.CONTAINER_NAME: "app",
                nodes.CONTAINER_RUNTIME_ID: f"rt-{number}",
                nodes.CONTAINER_STATUS: "RUNNING",
                nodes.EXEC_ENABLED: "true",
                nodes.EXEC_AGENT_STATUS: "RUNNING",
            },
        )
        for number in range(CONTAINERS)
    ]
    command_s = {node.task_arn: luck.uniform(*COMMAND_S) for node in containers}
    ideal = ideal_s([CALL_S + START_S + seconds for seconds in command_s.values()], THREADS)
    wall, line = asyncio.run(visited(containers, command_s))
    print(f"{CONTAINERS} containers, {THREADS} at a time: {line}")
    print(f"wall time {wall:.2f} s, slowest chain {ideal:.2f} s")
    print(f"ratio {wall / ideal:.3f} (goal: at most {GOAL})")
    plan = plan_batches(containers, {"threads": THREADS}, timeout_s=60)
    times = {node.name: CALL_S + START_S + command_s[node.task_arn] for node in containers}
    calls = [ideal_s([times[node.name] for node in batch], plan.threads) for batch in plan.batches]
    spread = ideal_s(calls, plan.map_concurrency)
    print(
        f"in {len(calls)} Lambda calls, {plan.map_concurrency} at a time, {plan.threads} threads each: "
        f"ratio {spread / ideal:.3f} (computed; a call ends within 14 minutes, and calls take no time)"
    )


if __name__ == "__main__":
    main()
