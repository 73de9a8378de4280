"""A client's websocket: the websockets library's protocol on an asyncio transport, one per socket."""

from __future__ import annotations

import asyncio
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

PATH = "/v1/data-channel/"
MAX_MESSAGE = 1 << 20


class Listener(Protocol):
    """Who hears what the client says."""

    def text(self, connection: Connection, session_id: str, text: str) -> None:
        """A text message."""

    def binary(self, connection: Connection, data: bytes) -> None:
        """A binary message."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone, however it went."""


class Connection(asyncio.Protocol):
    """Speaks RFC 6455 with one client; answers pings by itself."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE)
        self._transport: asyncio.Transport | None = None
        self._session_id = ""
        self._aborted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._aborted:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio, and once by the gateway with the request that the front has read."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame):
                self._handle(event)
        self._flush()

    def eof_received(self) -> None:
        """Called by asyncio."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Called by asyncio."""
        self._transport = None
        self._listener.lost(self)

    def send(self, data: bytes) -> None:
        """Send a binary message; nothing happens when the client has gone."""
        try:
            self._protocol.send_binary(data)
        except InvalidState:
            return
        self._flush()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """End the connection with a close frame."""
        try:
            self._protocol.send_close(code, reason)
        except InvalidState:
            return
        self._flush()

    def abort(self) -> None:
        """Drop the TCP connection without a word, also one that is only about to be made."""
        self._aborted = True
        if self._transport:
            self._transport.abort()

    def _answer(self, request: Request) -> None:
        url = urlsplit(request.path)
        if not url.path.startswith(PATH) or parse_qs(url.query).get("role") != ["publish_subscribe"]:
            self._protocol.send_response(self._protocol.reject(404, "no such channel\n"))
            return
        self._session_id = url.path.removeprefix(PATH)
        self._protocol.send_response(self._protocol.accept(request))

    def _handle(self, frame: Frame) -> None:
        if not frame.fin or frame.opcode is Opcode.CONT:
            # No client of the data channel cuts its messages in pieces.
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "fragmented message")
        elif frame.opcode is Opcode.TEXT:
            self._listener.text(self, self._session_id, bytes(frame.data).decode("utf-8", "replace"))
        elif frame.opcode is Opcode.BINARY:
            self._listener.binary(self, bytes(frame.data))

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:  # the library's sign for the end of what we send
                self._transport.close()
