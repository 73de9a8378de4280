"""A client of the data channel that shows what the gateway really sends, and hides nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from taskmedic_local.exec import frames
from taskmedic_local.exec.frames import Frame, PayloadType

PATIENCE_S = 60.0
SILENCE_S = 0.4


class PlainClient:
    """One connection of one session."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self.acknowledging = True
        self._next_in = 0

    @property
    def output(self) -> bytes:
        """The payloads of the output messages, each once, in their order."""
        found = {each.sequence: each.payload for each in self.frames if each.type == frames.OUTPUT}
        return b"".join(found[sequence] for sequence in sorted(found))

    async def receive(self, patience_s: float = PATIENCE_S) -> Frame:
        """The next frame; acknowledged if it is output.

        Raises:
            TimeoutError: There was none in time.
        """
        async with asyncio.timeout(patience_s):
            data = await self.socket.recv()
        assert isinstance(data, bytes)
        frame = frames.decode(data)
        self.frames.append(frame)
        if frame.type == frames.OUTPUT and self.acknowledging:
            await self.acknowledge(frame)
        return frame

    async def acknowledge(self, frame: Frame) -> None:
        content = {
            "AcknowledgedMessageType": frame.type,
            "AcknowledgedMessageId": str(frame.message_id),
            "AcknowledgedMessageSequenceNumber": frame.sequence,
            "IsSequentialMessage": True,
        }
        await self.send(Frame(frames.ACKNOWLEDGE, json.dumps(content).encode(), flags=3))

    async def until(self, wanted: bytes) -> bytes:
        """The output, as soon as ``wanted`` is in it."""
        while wanted not in self.output:
            frame = await self.receive()
            assert frame.type != frames.CHANNEL_CLOSED, self.output
        return self.output

    async def end(self) -> str:
        """Receive to the end of the session; the text it ended with."""
        while True:
            frame = await self.receive()
            if frame.type == frames.CHANNEL_CLOSED:
                return str(json.loads(frame.payload)["Output"])

    async def nothing_comes(self) -> bool:
        """Whether it stays silent for a while."""
        try:
            await self.receive(SILENCE_S)
        except TimeoutError:
            return True
        return False

    async def send(self, frame: Frame) -> None:
        await self.socket.send(frames.encode(frame))

    async def type(self, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> None:
        """Send the next input message."""
        frame = Frame(frames.INPUT, payload, sequence=self._next_in, payload_type=payload_type)
        self._next_in += 1
        await self.send(frame)

    async def resize(self, columns: int, rows: int) -> None:
        await self.type(json.dumps({"cols": columns, "rows": rows}).encode(), PayloadType.SIZE)


@asynccontextmanager
async def joined(session: dict[str, Any], token: str = "") -> AsyncIterator[PlainClient]:
    """The client's side of a session as ExecuteCommand gave it."""
    async with connect(session["streamUrl"], compression=None, open_timeout=PATIENCE_S) as socket:
        content = {
            "MessageSchemaVersion": "1.0",
            "RequestId": str(uuid.uuid4()),
            "TokenValue": token or session["tokenValue"],
            "ClientId": str(uuid.uuid4()),
            "ClientVersion": "1.2.677.0",
        }
        await socket.send(json.dumps(content))
        yield PlainClient(socket)
