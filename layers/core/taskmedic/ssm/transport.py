"""The way to the message gateway: a websocket, or a scripted one in tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidState, WebSocketException

if TYPE_CHECKING:
    import ssl

# The library logs URLs and whole messages, session tokens among them, when somebody switches on debugging.
_NO_LOG: Final = logging.Logger("taskmedic.ssm.websocket", level=logging.CRITICAL + 1)  # noqa: LOG001
_PING_S: Final = 30
"""NAT gateways and proxies cut a silent connection after about five minutes."""
_SEND_S: Final = 30
"""A peer that sends and does not read would hold us up for ever."""
_CLOSE_S: Final = 1
_GATHER_S: Final = 0.01
"""The agent's patience is 100 ms and more, a person's longer."""
_LARGEST_FRAME: Final = 1024 * 1024
_PROXY: Final = "the proxy that the environment names (https_proxy, socks_proxy, …) cannot be used"


class ConnectionBroken(Exception):
    """The connection could not be made, or it ended. The text says why and holds no secret."""


class Transport(Protocol):
    """One connection that carries whole messages."""

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """Sends all, in order; waits while the peer does not read. Raises ConnectionBroken."""

    async def receive(self, timeout_s: float, *, at_once: bool = False) -> list[bytes]:
        """What has arrived, or an empty list after ``timeout_s``. Raises ConnectionBroken at the end.

        While much arrives it may wait a little for more, unless it is wanted ``at_once``.
        """

    async def close(self) -> None:
        """Ends the connection in order, briefly. Never raises."""


Connect = Callable[[str, float], Awaitable[Transport]]
"""Opens a connection to a URL within so many seconds. Raises ConnectionBroken."""


async def connect_websocket(url: str, timeout_s: float) -> Transport:
    """A websocket to ``url``, by way of the proxy that the environment names, if any.

    Raises:
        ConnectionBroken: There is no route, no TLS, no websocket, or no answer in time.
    """
    try:
        connection = await connect(
            url,
            ssl=_tls() if url.startswith("wss:") else None,
            compression=None,
            open_timeout=timeout_s,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=_CLOSE_S,
            max_size=_LARGEST_FRAME,
            logger=_NO_LOG,
        )
    except TimeoutError as error:
        raise ConnectionBroken(f"no answer within {timeout_s:g} s") from error
    except (InvalidProxy, ImportError, ValueError) as error:
        raise ConnectionBroken(f"{_PROXY}: {_proxy_trouble(error)}") from None
    except (OSError, WebSocketException) as error:
        # Their texts may hold the URL, which is a secret.
        raise ConnectionBroken(_without_url(error, url)) from None
    return WebSocketTransport(connection)


class WebSocketTransport:
    """A Transport over ``websockets``.

    The agent sends a frame of a kilobyte every millisecond and wants each one acknowledged. System calls and
    wake-ups would be most of the cost, not the protocol; so frames are taken and acknowledged in batches.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._busy = False

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """See Transport."""
        protocol = self._connection.protocol
        try:
            for message in messages:
                if isinstance(message, str):
                    protocol.send_text(message.encode())
                else:
                    protocol.send_binary(message)
            self._connection.transport.write(b"".join(protocol.data_to_send()))
            async with asyncio.timeout(_SEND_S):
                await self._connection.drain()
        except TimeoutError:
            raise ConnectionBroken(f"the gateway took nothing for {_SEND_S} s") from None
        except (InvalidState, OSError):
            await self.close()  # only then it is known why
            raise ConnectionBroken(_closing(protocol.close_exc)) from None

    async def receive(self, timeout_s: float, *, at_once: bool = False) -> list[bytes]:
        """See Transport."""
        if self._busy and not at_once:
            await self._gather()
        messages: list[bytes] = []
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                while True:
                    messages.append(await self._connection.recv(decode=False))
                    deadline.reschedule(0)  # the rest of them only as far as they are there already
        except TimeoutError:
            pass
        except ConnectionClosed as error:
            if not messages:
                raise ConnectionBroken(_closing(error)) from None
        self._busy = bool(messages)
        return messages

    async def close(self) -> None:
        """See Transport."""
        try:
            async with asyncio.timeout(2 * _CLOSE_S):
                await self._connection.close()
        except TimeoutError:  # the peer does not read, so that not even the closing frame can be sent
            self._connection.transport.abort()
            await self._connection.wait_closed()

    async def _gather(self) -> None:
        """Lets what follows at once pile up in the socket, to be read in one go."""
        socket = self._connection.transport
        socket.pause_reading()
        try:
            await asyncio.sleep(_GATHER_S)
        finally:
            socket.resume_reading()


@cache
def _tls() -> ssl.SSLContext:
    """One context for all sessions: each would load the system's certificates, about 1 MB."""
    import ssl  # noqa: PLC0415

    return ssl.create_default_context()


def _proxy_trouble(error: Exception) -> str:
    """What is wrong with the proxy, in words that hold nothing of its address: a password may be in it."""
    match error:
        case InvalidProxy(msg=str(why)):
            return " ".join(why.split())
        case ImportError():
            return "a SOCKS proxy needs the package python-socks"
        case _:
            return "it is no URL like http://host:port"


def _without_url(error: Exception, url: str) -> str:
    text = str(error).replace(url, "the session's URL") or type(error).__name__
    return text.rstrip(".")


def _closing(error: Exception) -> str:
    return str(error).rstrip(".")
