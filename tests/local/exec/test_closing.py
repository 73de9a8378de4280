"""A gateway that is closed, as by a reset of the local cloud, while clients come."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from taskmedic_local.exec.connection import PATH
from taskmedic_local.exec.gateway import Gateway, GatewayClosed

REQUEST = (
    f"GET {PATH}session?role=publish_subscribe HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


def test_a_client_that_connects_while_the_gateway_closes_is_hung_up_on() -> None:
    gateway = Gateway()
    early, late = socket.socketpair(), socket.socketpair()
    gateway.accept(early[1], REQUEST)
    close_sandbox = gateway.sandbox.close

    def meanwhile() -> None:
        gateway.accept(late[1], REQUEST)
        close_sandbox()

    gateway.sandbox.close = meanwhile  # type: ignore[method-assign]

    gateway.close()

    for client, _ in (early, late):
        client.settimeout(5)
        while client.recv(4096):
            pass
        client.close()
    gc.collect()  # an unclosed transport would say so now


def test_a_connection_that_is_just_being_made_is_closed_too() -> None:
    gateway = Gateway()
    client, accepted = socket.socketpair()
    accepted.setblocking(False)
    # As when a thread of the front has handed it on, and the loop has not come to it yet.
    asyncio.run_coroutine_threadsafe(gateway._accept(accepted, REQUEST), gateway._loop)

    gateway.close()

    assert accepted.fileno() == -1
    client.close()


def test_a_closed_gateway_answers_nobody_and_keeps_nobody_waiting() -> None:
    gateway = Gateway()
    gateway.close()
    client, accepted = socket.socketpair()

    gateway.accept(accepted, REQUEST)
    with pytest.raises(GatewayClosed):
        gateway.resume("session")

    assert client.recv(1) == b""
    client.close()
