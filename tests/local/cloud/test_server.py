"""The one port: HTTP/1.1 that keeps its connections, and websockets handed on."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager

import pytest

from taskmedic_local.server import PortInUse, Server


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("a fault in an application")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Method", environ["REQUEST_METHOD"])])
    return [body, b"!"]


@contextmanager
def serving(app=echo):
    server = Server(app)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def connected(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def test_a_connection_carries_one_request_after_the_other():
    with serving() as server, connected(server) as connection:
        connection.request("POST", "/", body=b"one")
        assert connection.getresponse().read() == b"one!"
        used = connection.sock
        connection.request("POST", "/", body=b"two")
        assert connection.getresponse().read() == b"two!"
        assert connection.sock is used


def test_a_body_in_chunks_is_read_whole():
    with serving() as server, connected(server) as connection:
        connection.request("POST", "/", body=iter([b"a" * 70_000, b"b"]), encode_chunked=True)

        assert connection.getresponse().read() == b"a" * 70_000 + b"b!"


def test_a_client_that_asks_first_is_told_to_go_on():
    with serving() as server, socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hi")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_has_no_body():
    with serving() as server, connected(server) as connection:
        connection.request("HEAD", "/")
        assert connection.getresponse().read() == b""
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"!"


def test_an_application_that_fails_is_a_500_and_the_connection_goes_on(caplog):
    with serving() as server, connected(server) as connection:
        connection.request("GET", "/fails")
        failed = connection.getresponse()
        assert (failed.status, b"fault" in failed.read()) == (500, False)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    assert "a fault in an application" in caplog.text


def test_a_websocket_is_handed_over_with_its_head_and_what_came_behind():
    handed = []
    with serving() as server:
        server.on_upgrade("/v1/data-channel/", lambda connection, head: handed.append((connection, head)))
        head = b"GET /v1/data-channel/s?x=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(head + b"behind")
            while not handed:
                pass
            ((connection, got),) = handed
            assert got == head + b"behind"
            connection.sendall(b"from the gateway")
            assert client.recv(100) == b"from the gateway"
            connection.close()


def test_a_websocket_that_nobody_takes_is_not_found():
    with serving() as server, connected(server) as connection:
        connection.request("GET", "/elsewhere", headers={"Upgrade": "websocket"})

        assert connection.getresponse().status == 404


def test_stopping_closes_connections_that_wait():
    with serving() as server:
        client = socket.create_connection(("127.0.0.1", server.port), 5)
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.recv(1000)
    with client:
        assert client.recv(1000) == b""


def test_a_port_that_is_taken_is_named():
    with serving() as server, pytest.raises(PortInUse, match=str(server.port)):
        Server(echo, server.port)
