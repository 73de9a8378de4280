"""The inventory at scale: how long, how many calls, how much memory.

Every call takes 50 ms more than it would, as over a network. The endpoint is a process of its own with
answers made beforehand, so that the reader is what is measured. Times are the best of many rounds, taken in
turns.

    python benchmarks/inventory.py
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.inventory import PARALLEL, find
from taskmedic.domain.node_source import NodeSource

ACCOUNT, REGION = "111111111111", "eu-west-1"
_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
_PAGE = 100
CLUSTERS = 20
DELAY_S = 0.05
ROUNDS = 30
EVERYTHING = [NodeSource.from_json({"all_clusters": True, "region": REGION})]


class Reading(NamedTuple):
    """What one reading was like."""

    seconds: float
    containers: int
    tasks: int
    peak_mb: float
    calls: Counter[str]


class World(NamedTuple):
    """What is read: so many clusters with so many tasks each."""

    clusters: int
    tasks_each: int


def read(worlds: Sequence[World], parallel: int, rounds: int = ROUNDS) -> list[Reading]:
    """The best of so many readings of each world, in turns, by one process: what the machine does besides
    meets them alike.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        endpoints = [stack.enter_context(ecs_endpoint(*world, DELAY_S)) for world in worlds]
        ours, theirs = context.Pipe()
        process = context.Process(target=_read, args=([e.url for e in endpoints], parallel, rounds, theirs))
        process.start()
        theirs.close()  # so that a reader that fails ends the wait for its answer
        found: list[tuple[float, int, int, float]] = ours.recv()
        process.join()
        calls = [Counter({k: n // rounds for k, n in endpoint.calls().items()}) for endpoint in endpoints]
    return [Reading(*facts, called) for facts, called in zip(found, calls, strict=True)]


def _read(urls: Sequence[str], parallel: int, rounds: int, answer: Connection) -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="benchmark", AWS_SECRET_ACCESS_KEY="benchmark")
    readers = []
    for url in urls:
        os.environ["AWS_ENDPOINT_URL"] = url
        readers.append(Clients())
        readers[-1].get("ecs", Access(REGION))  # the cold start of botocore is no part of it
    best = [(math.inf, 0, 0)] * len(urls)
    for _ in range(rounds):
        for at, clients in enumerate(readers):
            started = time.perf_counter()
            inventory = find(EVERYTHING, clients, parallel=parallel)
            seconds = time.perf_counter() - started
            assert not inventory.errors, inventory.errors
            tasks = {node.task_arn for node in inventory.nodes}
            best[at] = min(best[at], (seconds, len(inventory.nodes), len(tasks)))
    kilobyte = 1024 if sys.platform == "darwin" else 1
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024
    answer.send([(*facts, peak_mb) for facts in best])


def main() -> None:
    tasks_each = 100
    print(
        f"{CLUSTERS * tasks_each:,} tasks in {CLUSTERS} clusters, {DELAY_S * 1000:.0f} ms added to each call"
    )
    chain, wide = read([World(1, tasks_each), World(CLUSTERS, tasks_each)], PARALLEL)
    (one_by_one,) = read([World(CLUSTERS, tasks_each)], 1, rounds=1)
    print(f"  longest chain alone ({chain.calls.total()} calls)      {chain.seconds:7.3f} s")
    print(f"  one call after the other ({one_by_one.calls.total()} calls) {one_by_one.seconds:7.3f} s")
    print(f"  side by side, at most {PARALLEL}          {wide.seconds:7.3f} s")
    print(
        f"  faster than one after the other     {one_by_one.seconds / wide.seconds:7.2f} x (goal: 8 or more)"
    )
    print(f"  longer than the longest chain       {wide.seconds / chain.seconds:7.2f} x (goal: 1.3 or less)")

    tasks_each = 500
    pages = CLUSTERS * math.ceil(tasks_each / 100)
    least = 1 + 2 * pages
    (large,) = read([World(CLUSTERS, tasks_each)], PARALLEL, rounds=1)
    expected = CLUSTERS * tasks_each
    print(f"\n{expected:,} tasks in {CLUSTERS} clusters")
    print(f"  tasks found                       {large.tasks:7,}     of {expected:,}")
    print(f"  containers found more than once   {large.containers - large.tasks:7,}")
    print(f"  calls made                        {large.calls.total():7,}     {_parts(large.calls)}")
    shares = f"1 page of clusters, {pages} of tasks, {pages} descriptions"
    print(f"  least possible                    {least:7,}     {shares}")
    print(f"  time                              {large.seconds:9.1f} s")
    print(f"  peak memory of the process        {large.peak_mb:9.1f} MB (goal: under 150)")


def _parts(calls: Counter[str]) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in sorted(calls.items()))


@contextmanager
def ecs_endpoint(clusters: int, tasks_each: int, delay_s: float) -> Iterator[Endpoint]:
    """An ECS endpoint in a process of its own: every answer comes ``delay_s`` seconds after its question.

    Its answers are made before they are asked for, so that the reader is measured and not the endpoint.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(
        target=_serve, args=(clusters, tasks_each, delay_s, theirs), daemon=True
    )
    process.start()
    try:
        yield Endpoint(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


class Endpoint:
    """The endpoint as its user sees it."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._pipe = pipe

    def calls(self) -> Counter[str]:
        """How often each operation was called since the last time this was asked."""
        self._pipe.send("calls")
        counted: Counter[str] = self._pipe.recv()
        return counted


def _serve(clusters: int, tasks_each: int, delay_s: float, pipe: Connection) -> None:
    asyncio.run(_Server(clusters, tasks_each, delay_s, pipe).run())


class _Server:
    """Every answer lies ready, head and all: beside the delay, a call should cost no processor time here."""

    def __init__(self, clusters: int, tasks_each: int, delay_s: float, pipe: Connection) -> None:
        self.delay_s = delay_s
        self._pipe = pipe
        self._calls: Counter[str] = Counter()
        names = [f"cluster-{number:02}" for number in range(clusters)]
        self._clusters = _http({"clusterArns": [f"{_ARN}:cluster/{name}" for name in names]})
        starts = [(name, at) for name in names for at in range(0, tasks_each, _PAGE)]
        self._pages = {start: _http(_list_page(*start, tasks_each)) for start in starts}
        self._described = {
            (name, at): _http({"tasks": [_task(name, n) for n in range(at, min(at + _PAGE, tasks_each))]})
            for name, at in starts
        }

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Answers(self), "127.0.0.1", 0)
        loop.add_reader(self._pipe.fileno(), self._report)
        self._pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    def _report(self) -> None:
        self._pipe.recv()
        self._pipe.send(self._calls)
        self._calls = Counter()

    def answer(self, operation: str, body: bytes) -> bytes:
        self._calls[operation] += 1
        request = json.loads(body)
        cluster = request.get("cluster", "").rpartition("/")[2]
        if operation == "ListClusters":
            return self._clusters
        if operation == "ListTasks":
            return self._pages[cluster, int(request.get("nextToken", "0"))]
        first = int(request["tasks"][0][-32:], 16)
        assert len(request["tasks"]) == _PAGE or first % _PAGE == 0
        return self._described[cluster, first]


class _Answers(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not found or not length or len(body) < int(length[1]):
            return
        target = re.search(rb"(?i)x-amz-target: \w+\.(\w+)", head)
        assert target
        answer = self._server.answer(target[1].decode(), body)
        self._read = b""
        asyncio.get_running_loop().call_later(self._server.delay_s, self._transport.write, answer)


def _http(answer: dict[str, Any]) -> bytes:
    body = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _list_page(cluster: str, at: int, tasks_each: int) -> dict[str, Any]:
    end = min(at + _PAGE, tasks_each)
    page: dict[str, Any] = {"taskArns": [_task_arn(cluster, number) for number in range(at, end)]}
    return page | ({"nextToken": str(end)} if end < tasks_each else {})


def _task_arn(cluster: str, number: int) -> str:
    return f"{_ARN}:task/{cluster}/{number:032x}"


def _task(cluster: str, number: int) -> dict[str, Any]:
    """A Fargate task with every field that DescribeTasks gives for one with a container and three tags."""
    task_id, service = f"{number:032x}", f"service-{number % 10}"
    return {
        "attachments": [
            {
                "id": f"attachment-{task_id}",
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED",
                "details": [
                    {"name": "subnetId", "value": "subnet-0123456789abcdef0"},
                    {"name": "networkInterfaceId", "value": f"eni-{number:017x}"},
                    {"name": "macAddress", "value": "0a:00:00:00:00:01"},
                    {
                        "name": "privateDnsName",
                        "value": f"ip-10-0-{number // 250}-{number % 250}.ec2.internal",
                    },
                    {"name": "privateIPv4Address", "value": f"10.0.{number // 250}.{number % 250}"},
                ],
            }
        ],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}],
        "availabilityZone": f"{REGION}{'abc'[number % 3]}",
        "clusterArn": f"{_ARN}:cluster/{cluster}",
        "connectivity": "CONNECTED",
        "connectivityAt": 1780000000.123,
        "containers": [_container(cluster, task_id, name) for name in ("app",)],
        "cpu": "256",
        "createdAt": 1780000000.123,
        "desiredStatus": "RUNNING",
        "enableExecuteCommand": True,
        "ephemeralStorage": {"sizeInGiB": 20},
        "group": f"service:{service}",
        "healthStatus": "HEALTHY",
        "lastStatus": "RUNNING",
        "launchType": "FARGATE",
        "memory": "512",
        "overrides": {"containerOverrides": [{"name": "app"}, {"name": "proxy"}]},
        "platformFamily": "Linux",
        "platformVersion": "1.4.0",
        "pullStartedAt": 1780000001.123,
        "pullStoppedAt": 1780000002.123,
        "startedAt": 1780000003.123,
        "startedBy": f"ecs-svc/{number:019}",
        "tags": [
            {"key": "team", "value": f"team-{number % 5}"},
            {"key": "environment", "value": "production"},
            {"key": "aws:ecs:serviceName", "value": service},
        ],
        "taskArn": _task_arn(cluster, number),
        "taskDefinitionArn": f"{_ARN}:task-definition/{service}:7",
        "version": 5,
    }


def _container(cluster: str, task_id: str, name: str) -> dict[str, Any]:
    return {
        "containerArn": f"{_ARN}:container/{cluster}/{task_id}/0000-{name}",
        "cpu": "0",
        "healthStatus": "HEALTHY",
        "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/{name}:1.4.2",
        "imageDigest": f"sha256:{'0' * 58}{name:0>6}",
        "lastStatus": "RUNNING",
        "managedAgents": [
            {"name": "ExecuteCommandAgent", "lastStatus": "RUNNING", "lastStartedAt": 1780000004.123}
        ],
        "name": name,
        "networkBindings": [],
        "networkInterfaces": [{"attachmentId": f"attachment-{task_id}", "privateIpv4Address": "10.0.0.1"}],
        "runtimeId": f"{task_id}-{name}",
        "taskArn": _task_arn(cluster, int(task_id, 16)),
    }


if __name__ == "__main__":
    main()
