"""The data channel over a real websocket on 127.0.0.1."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from taskmedic.ssm import transport
from taskmedic.ssm.transport import ConnectionBroken, connect_websocket

SECRET_PATH = "/v1/data-channel/session?role=publish_subscribe&cell-number=secret"


@asynccontextmanager
async def a_gateway(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{SECRET_PATH}"


async def test_messages_go_both_ways_and_keep_their_kind() -> None:
    seen: list[str | bytes] = []

    async def handler(connection: ServerConnection) -> None:
        seen.extend([await connection.recv(), await connection.recv()])
        await connection.send(b"binary")
        await connection.send("text")
        await connection.wait_closed()

    async with a_gateway(handler) as url:
        channel = await connect_websocket(url, 5)
        await channel.send(["hello", b"frame"])
        received = await channel.receive(5)
        while len(received) < 2:
            received += await channel.receive(5)
        await channel.close()

    assert seen == ["hello", b"frame"]
    assert received == [b"binary", b"text"]


async def test_nothing_arrives_is_an_empty_list_in_time() -> None:
    async with a_gateway(ServerConnection.wait_closed) as url:
        channel = await connect_websocket(url, 5)

        assert await channel.receive(0.01) == []
        assert await channel.receive(0) == []

        await channel.close()


async def test_a_connection_without_an_extension_is_offered() -> None:
    # AWS's programs offer no compression, so nobody knows whether the service would take it.
    headers: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request
        headers.extend(name.lower() for name in connection.request.headers)

    async with a_gateway(handler) as url:
        await (await connect_websocket(url, 5)).close()

    assert "sec-websocket-extensions" not in headers
    assert "sec-websocket-protocol" not in headers


async def test_the_end_of_the_connection_is_told_without_the_url() -> None:
    async def handler(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with a_gateway(handler) as url:
        channel = await connect_websocket(url, 5)
        with pytest.raises(ConnectionBroken) as caught:
            await channel.receive(5)
        with pytest.raises(ConnectionBroken):
            await channel.send([b"x"])
        await channel.close()

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"ws://127.0.0.1:1{SECRET_PATH}",
        f"http://127.0.0.1{SECRET_PATH}",
        f"ws://localhost.invalid{SECRET_PATH}",
        "no url but a secret",
    ],
)
async def test_what_cannot_be_connected_is_told_without_the_url(url: str) -> None:
    with pytest.raises(ConnectionBroken) as caught:
        await connect_websocket(url, 5)

    assert str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_gateway_that_refuses_is_quoted() -> None:
    async def refuse(connection: ServerConnection, request: object) -> object:
        return connection.respond(403, "no")

    async with serve(ServerConnection.wait_closed, "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type]
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{SECRET_PATH}"
        with pytest.raises(ConnectionBroken, match="HTTP 403"):
            await connect_websocket(url, 5)


async def test_a_gateway_that_does_not_answer_is_given_up() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{SECRET_PATH}"
        with pytest.raises(ConnectionBroken, match="no answer within"):
            await connect_websocket(url, 0.1)
        await gone.wait()


async def test_a_gateway_that_sends_and_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_SEND_S", 0.2)

    given_up = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await given_up.wait()
        connection.transport.abort()

    async with a_gateway(deaf) as url:
        channel = await connect_websocket(url, 5)
        with pytest.raises(ConnectionBroken, match="took nothing"):
            await channel.send([b"x" * 500_000] * 100)
        await channel.close()
        given_up.set()


async def test_the_library_logs_no_token_even_when_everything_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with a_gateway(ServerConnection.wait_closed) as url:
            channel = await connect_websocket(url, 5)
            await channel.send(['{"TokenValue": "my-token"}'])
            await channel.close()

    ours = [record for record in caplog.records if "server" not in record.name]
    assert all("my-token" not in record.getMessage() for record in ours)
    assert all("cell-number" not in record.getMessage() for record in ours)


def test_one_set_of_certificates_serves_all_sessions() -> None:
    assert transport._tls() is transport._tls()
