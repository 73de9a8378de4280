"""The local cloud's one port: threaded HTTP/1.1 with kept-alive connections; websockets are handed on.

werkzeug's own server closes every connection after one answer and leaves Nagle's algorithm on, which costs
40 ms a call on the loopback. This one reads each request whole, so that the connection can carry the next.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler

from taskmedic.domain.errors import ActionFailed

log = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Takes over an accepted connection: the socket, and the bytes read from it so far (the whole request head,
# and whatever the client sent behind it). It owns the socket from then on and returns at once.
UpgradeHandler = Callable[[socket.socket, bytes], None]

MAX_BODY_BYTES = 64 * 1024 * 1024


class PortInUse(ActionFailed):
    """The asked-for port of 127.0.0.1 is taken by another program."""


class _Handler(MotoRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # status, headers and body leave in one segment

    @property
    def _cloud(self) -> Server:
        return cast(Server, self.server)

    def run_wsgi(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._upgrade()
            return
        environ = self.make_environ()
        body = self._read_body(environ)
        if body is None:
            self._answer("413 Content Too Large", [("Connection", "close")], b"")
            self.close_connection = True
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        self._answer(*self._call(environ))

    def _read_body(self, environ: dict[str, Any]) -> bytes | None:
        """The whole body; None when it is too large."""
        if environ.get("wsgi.input_terminated"):  # chunked; make_environ has put the reader there
            body: bytes = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
            return body if len(body) <= MAX_BODY_BYTES else None
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return self.rfile.read(length) if length <= MAX_BODY_BYTES else None

    def _call(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        answer: list[Any] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: Any = None
        ) -> Callable[[bytes], None]:
            answer[:] = [status, headers]
            return parts.append

        parts: list[bytes] = []
        try:
            result = self._cloud.app(environ, start_response)
            try:
                parts.extend(result)
            finally:
                cast(Any, getattr(result, "close", lambda: None))()
        except Exception:
            # What is under way when the cloud closes, breaks off: that is no trouble.
            level = logging.DEBUG if self._cloud.closing else logging.ERROR
            log.log(level, "%s %s failed", self.command, self.path, exc_info=True)
            return (
                "500 Internal Server Error",
                [("Content-Type", "text/plain")],
                b"internal error; see the log",
            )
        return answer[0], answer[1], b"".join(parts)

    def _answer(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        names = set()
        for name, value in headers:
            names.add(name.lower())
            self.send_header(name, value)
        if "date" not in names:
            self.send_header("Date", self.date_time_string())
        bodiless = self.command == "HEAD" or int(code) in {204, 304}
        if "content-length" not in names and not bodiless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(body)
        self.wfile.flush()

    def _upgrade(self) -> None:
        handler = self._cloud.upgrade_for(self.path)
        if handler is None:
            self._answer("404 Not Found", [("Connection", "close")], b"")
            self.close_connection = True
            return
        self.connection.setblocking(False)  # what is in the buffer already, and no wait for more
        behind = cast(io.BufferedReader, self.rfile).peek()
        head = self.raw_requestline + b"".join(
            f"{n}: {v}\r\n".encode("latin-1") for n, v in self.headers.items()
        )
        taken = socket.socket(fileno=self.connection.detach())
        taken.setblocking(True)
        self.close_connection = True
        handler(taken, head + b"\r\n" + behind)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            log.debug("connection dropped: %r", error)

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # what is left to be written to a connection that is gone
            super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing: a request is no news."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on 127.0.0.1 only; one thread a connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024
    block_on_close = False
    # Read by werkzeug's handler.
    ssl_context = None
    multithread = True
    multiprocess = False
    _server_version = "taskmedic-local"

    def __init__(self, app: WsgiApp, port: int = 0) -> None:
        """Binds ``port``, or a free one when it is 0.

        Raises:
            PortInUse: another program has it.
        """
        self.app = app
        self.closing = False
        self._upgrades: dict[str, UpgradeHandler] = {}
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise PortInUse(
                "cannot listen",
                where=f"127.0.0.1:{port}",
                why=error.strerror or str(error),
                remedy="Give another --port; 0 takes a free one.",
            ) from error
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="local-cloud", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def on_upgrade(self, path_prefix: str, handler: UpgradeHandler) -> None:
        """Websocket requests whose path begins with ``path_prefix`` go to ``handler``."""
        self._upgrades[path_prefix] = handler

    def upgrade_for(self, path: str) -> UpgradeHandler | None:
        return next((h for prefix, h in self._upgrades.items() if path.startswith(prefix)), None)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and closes every connection that has not been handed on."""
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by its other end, or handed on

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        log.error("connection of %s failed", client_address, exc_info=sys.exc_info())
