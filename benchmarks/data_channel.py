"""What the data channel costs: CPU per megabyte of output, memory per session, time from end to result.

    python benchmarks/data_channel.py

The agent is scripted and lives in a process of its own, behind a real websocket on 127.0.0.1; only the
client's process is measured. Beside ours, a plain client is measured in the same run: it decodes and
acknowledges, in order only, with nothing sent again and no end mark. AWS's plugin was measured once, with
AWS's agent and on the same class of machine: 0.125 s of CPU per MB, where a plain client of then took 0.29 s,
and 47 MB per session.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import resource
import statistics
import struct
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from multiprocessing.connection import Connection

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from taskmedic.domain.command import CommandResult, CommandSpec, StreamSession
from taskmedic.ssm import frames
from taskmedic.ssm.client import run_command

PLUGIN_CPU_S_PER_MB = 0.125
PLUGIN_MB_PER_SESSION = 47.0
SESSIONS = 500
CHUNK = (b"x" * 62 + b"\r\n") * 16  # 1,024 bytes, as the agent reads its terminal
MEGABYTE = 1024 * 1024
RUNS = 50


class Agent:
    """Serves any number of sessions; what each does is in its URL's path."""

    def __init__(self) -> None:
        self._together = 0
        self._all_here = asyncio.Event()
        self._all_done = asyncio.Event()

    async def session(self, connection: ServerConnection) -> None:
        assert connection.request
        _, kind, amount, nonce = connection.request.path.split("/")
        await connection.recv()
        speaker = Speaker(connection, nonce.encode())
        await speaker.mark("start")
        reading = asyncio.ensure_future(speaker.read())
        if kind == "together":
            await self._meet(self._all_here, 1)
        for _ in range(int(amount) // len(CHUNK)):
            await speaker.say(CHUNK)
            if kind == "paced":
                await asyncio.sleep(0.001)  # the agent's own pace
        if kind == "together":
            await self._meet(self._all_done, -1)
        # Linux has one monotonic clock for all processes.
        await speaker.say(b"%.9f " % time.monotonic())  # a digit at its end could be held back as a mark's
        await speaker.mark("0")
        await reading

    async def _meet(self, event: asyncio.Event, step: int) -> None:
        self._together += step
        if self._together in {0, SESSIONS}:
            event.set()
        await event.wait()


class Speaker:
    """One session's frames."""

    def __init__(self, connection: ServerConnection, nonce: bytes) -> None:
        self._connection = connection
        self._nonce = nonce
        self._sequence = 0
        self._acknowledged = 0
        self._acknowledgement = asyncio.Event()

    async def say(self, data: bytes) -> None:
        raw = frames.encode(
            frames.OUTPUT_STREAM,
            data,
            message_id=uuid.uuid4(),
            created_ms=1,
            sequence=self._sequence,
            payload_type=frames.PayloadType.OUTPUT,
        )
        self._sequence += 1
        await self._connection.send(raw)
        while self._sequence - self._acknowledged > 500:
            self._acknowledgement.clear()
            await self._acknowledgement.wait()

    async def mark(self, word: str) -> None:
        await self.say(self._nonce + f":{word}:\r\n".encode())

    async def read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, bytes)
            frame = frames.decode(message)
            if frame.kind == frames.ACKNOWLEDGE:
                self._acknowledged += 1
                self._acknowledgement.set()
                continue
            ack = frames.acknowledgement(frame, message_id=uuid.uuid4(), created_ms=1)
            with suppress(ConnectionClosed):  # a goodbye that was repeated; its sender is gone
                await self._connection.send(ack)


def serve_agent(ready: Connection) -> None:
    async def serving() -> None:
        async with serve(Agent().session, "127.0.0.1", 0, compression=None, max_queue=1000) as server:
            ready.send(server.sockets[0].getsockname()[1])
            await asyncio.Event().wait()

    asyncio.run(serving())


@asynccontextmanager
async def an_agent() -> AsyncIterator[str]:
    """The address of an agent in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_agent, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"ws://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


class Last:
    """A sink that keeps the last piece only."""

    def __init__(self) -> None:
        self.size = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.last = data


async def ours(address: str, kind: str, amount: int, sink: Last) -> CommandResult:
    async def open_session(command_line: str) -> StreamSession:
        halves = re.search("_a=([0-9a-f]{16});_b=([0-9a-f]{16});", command_line)
        assert halves
        url = f"{address}/{kind}/{amount}/{''.join(halves.groups())}"
        return StreamSession("session", url, "token", "target")

    async def terminate(session_id: str) -> None:
        raise AssertionError(f"{session_id} ended by itself")

    return await run_command(
        open_session, CommandSpec(script="x", timeout_s=600), sink=sink, terminate=terminate
    )


HEADER = struct.Struct(">I32sIQqQ16s32sII")


async def plain(address: str, kind: str, amount: int, sink: Last) -> None:
    """The plain client: one frame after the other, each acknowledged on its own."""
    async with connect(f"{address}/{kind}/{amount}/plain", compression=None) as connection:
        await connection.send(json.dumps({"TokenValue": "token"}))
        async for raw in connection:
            assert isinstance(raw, bytes)
            _, name, _, _, sequence, _, swapped, digest, _, _ = HEADER.unpack(raw[:120])
            payload = raw[120:]
            assert sha256(payload).digest() == digest
            acknowledged = {
                "AcknowledgedMessageType": name.decode().strip(),
                "AcknowledgedMessageId": str(uuid.UUID(bytes=swapped[8:] + swapped[:8])),
                "AcknowledgedMessageSequenceNumber": sequence,
                "IsSequentialMessage": True,
            }
            body = json.dumps(acknowledged).encode()
            own = uuid.uuid4().bytes
            await connection.send(
                HEADER.pack(
                    116,
                    b"acknowledge".ljust(32),
                    1,
                    int(time.time() * 1000),
                    0,
                    3,
                    own[8:] + own[:8],
                    sha256(body).digest(),
                    0,
                    len(body),
                )
                + body
            )
            if b"plain:0:" in payload:
                return
            sink.write(payload)


Client = Callable[[str, str, int, Last], Awaitable[object]]


async def cpu_per_mb(client: Client, address: str, kind: str, megabytes: int) -> float:
    sink, before = Last(), time.process_time()
    await client(address, kind, megabytes * MEGABYTE, sink)
    used = time.process_time() - before
    assert sink.size >= megabytes * MEGABYTE * 0.96  # the terminal's carriage returns are gone
    return used / megabytes


async def end_to_result_s(address: str) -> list[float]:
    """Seconds from the agent's last word to the result in the caller's hand."""
    times = []
    for _ in range(RUNS):
        sink = Last()
        await ours(address, "short", 0, sink)
        times.append(time.monotonic() - float(sink.last))
    return sorted(times)


async def memory_per_session_mb(address: str) -> float:
    """Growth of this process's largest size by ``SESSIONS`` sessions at once, each with 64 kB of output."""
    await ours(address, "short", 0, Last())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results = await asyncio.gather(*(ours(address, "together", 65_536, Last()) for _ in range(SESSIONS)))
    assert all(result.succeeded for result in results)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 / SESSIONS


def report(what: str, measured: str, *ratios: str) -> None:
    print(f"{what:<44}{measured:<28}{', '.join(ratios)}")


async def main() -> None:
    async with an_agent() as address:
        memory = await memory_per_session_mb(address)  # first: the largest size never shrinks
        times = await end_to_result_s(address)
        await ours(address, "flood", MEGABYTE, Last())
        paced = await cpu_per_mb(ours, address, "paced", 3), await cpu_per_mb(plain, address, "paced", 3)
        flood = await cpu_per_mb(ours, address, "flood", 16), await cpu_per_mb(plain, address, "flood", 16)
    for what, (own, other) in {"at the agent's pace": paced, "as fast as it goes": flood}.items():
        report(
            f"CPU per MB of output, {what}",
            f"{own:.3f} s (plain {other:.3f} s)",
            f"{own / other:.2f} of the plain client",
            f"{own / PLUGIN_CPU_S_PER_MB:.2f} of AWS's plugin (goal: 1.00)",
        )
    report(
        f"memory per session, {SESSIONS} at once",
        f"{memory:.2f} MB",
        f"{memory / PLUGIN_MB_PER_SESSION:.4f} of AWS's plugin",
        f"{memory / 0.5:.2f} of the goal",
    )
    for name, value in {
        "median": statistics.median(times),
        "95th percentile": times[int(RUNS * 0.95)],
    }.items():
        report(
            f"end of command to result, {name}", f"{value * 1000:.1f} ms", f"{value / 0.020:.2f} of the goal"
        )


if __name__ == "__main__":
    asyncio.run(main())
