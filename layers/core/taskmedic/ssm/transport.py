"""The way to the message gateway: a websocket, or a scripted one in tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import ssl

    from websockets.asyncio.client import ClientConnection

# The library logs URLs and whole messages, session tokens among them, when somebody switches on debugging.
_NO_LOG: Final = logging.Logger("taskmedic.ssm.websocket", level=logging.CRITICAL + 1)  # noqa: LOG001
_PING_S: Final = 30
"""NAT gateways and proxies cut a silent connection after about five minutes."""
_SEND_S: Final = 30
"""A peer that sends and does not read would hold us up for ever."""
_CLOSE_S: Final = 1
_LARGEST_FRAME: Final = 1024 * 1024


class ConnectionBroken(Exception):
    """The connection could not be made, or it ended. The text says why and holds no secret."""


class Transport(Protocol):
    """One connection that carries whole messages."""

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """Sends all, in order; waits while the peer does not read. Raises ConnectionBroken."""

    async def receive(self, timeout_s: float) -> list[bytes]:
        """What has arrived, or an empty list after ``timeout_s``. Raises ConnectionBroken at the end."""

    async def close(self) -> None:
        """Ends the connection in order, briefly. Never raises."""


Connect = Callable[[str, float], Awaitable[Transport]]
"""Opens a connection to a URL within so many seconds. Raises ConnectionBroken."""


async def connect_websocket(url: str, timeout_s: float) -> Transport:
    """A websocket to ``url``, by way of the proxy that the environment names, if any.

    Raises:
        ConnectionBroken: There is no route, no TLS, no websocket, or no answer in time.
    """
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.exceptions import WebSocketException  # noqa: PLC0415

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
    except (OSError, WebSocketException) as error:
        # Their texts may hold the URL, which is a secret.
        raise ConnectionBroken(_without_url(error, url)) from None
    return WebSocketTransport(connection)


class WebSocketTransport:
    """A Transport over ``websockets``."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """See Transport."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            async with asyncio.timeout(_SEND_S):
                for message in messages:
                    await self._connection.send(message)
        except TimeoutError:
            raise ConnectionBroken(f"the gateway took nothing for {_SEND_S} s") from None
        except ConnectionClosed as error:
            raise ConnectionBroken(_closing(error)) from None

    async def receive(self, timeout_s: float) -> list[bytes]:
        """See Transport."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            async with asyncio.timeout(timeout_s):
                message = await self._connection.recv()
        except TimeoutError:
            return []
        except ConnectionClosed as error:
            raise ConnectionBroken(_closing(error)) from None
        return [message.encode() if isinstance(message, str) else message]

    async def close(self) -> None:
        """See Transport."""
        try:
            async with asyncio.timeout(2 * _CLOSE_S):
                await self._connection.close()
        except TimeoutError:  # the peer does not read, so that not even the closing frame can be sent
            self._connection.transport.abort()


@cache
def _tls() -> ssl.SSLContext:
    """One context for all sessions: each would load the system's certificates, about 1 MB."""
    import ssl  # noqa: PLC0415

    return ssl.create_default_context()


def _without_url(error: Exception, url: str) -> str:
    text = str(error).replace(url, "the session's URL") or type(error).__name__
    return text.rstrip(".")


def _closing(error: Exception) -> str:
    return str(error).rstrip(".")
