"""The data channel over a real websocket on 127.0.0.1."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
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


async def test_a_gateway_that_says_goodbye_is_no_error_of_ours() -> None:
    # A message and the closing frame come at once; the TCP connection ends only when we have sent ours.
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        connection.protocol.send_binary(b"last words")
        connection.protocol.send_close(1001, "going away")
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
        await connection.wait_closed()

    async with a_gateway(handler) as url:
        channel = await connect_websocket(url, 5)
        await channel.send(["hello"])
        assert await channel.receive(5) == [b"last words"]
        with pytest.raises(ConnectionBroken, match="going away"):
            await channel.send([b"x"])
        with pytest.raises(ConnectionBroken, match="going away"):
            await channel.receive(5)
        await channel.close()


async def test_a_peer_that_keeps_the_line_open_after_its_goodbye_is_left() -> None:
    left = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        connection.protocol.send_binary(b"last words")
        connection.protocol.send_close(1001, "going away")
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
        connection.transport.pause_reading()  # so it sees neither our closing frame nor our end
        await left.wait()
        connection.transport.abort()

    async with a_gateway(handler) as url:
        channel = await connect_websocket(url, 5)
        try:
            assert await channel.receive(5) == [b"last words"]
            with pytest.raises(ConnectionBroken):
                await channel.send([b"x"])
        finally:
            left.set()


async def test_a_reset_while_a_full_line_is_waited_for_is_the_end_of_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sending = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.send(b"here")
        await sending.wait()
        linger = struct.pack("ii", 1, 0)
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.transport.abort()

    async with a_gateway(deaf) as url:
        channel = await connect_websocket(url, 5)
        await channel.receive(5)
        asyncio.get_running_loop().call_later(0.1, sending.set)  # while send waits
        with pytest.raises(ConnectionBroken):
            await channel.send([b"x" * 500_000] * 100)
        for _ in range(20):
            with pytest.raises(ConnectionBroken):
                await channel.send([b"x"])
        await channel.close()

    assert "socket.send() raised exception" not in caplog.text


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://somebody:secret@127.0.0.1:1",
        "http://somebody:secret@127.0.0.1:port",
        "http://somebody:#secret@127.0.0.1:8080",
        "ftp://somebody:secret@127.0.0.1:1",
        "http://secret@127.0.0.1:8080",
        "http://somebody:secret@127.0.0.1:8080/path",
        "http://somebody:secret@[::1:8080",
        "127.0.0.1:8080",
    ],
)
async def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")

    with pytest.raises(ConnectionBroken) as caught:
        await connect_websocket(f"wss://gateway.invalid{SECRET_PATH}", 5)

    assert "proxy" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


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
