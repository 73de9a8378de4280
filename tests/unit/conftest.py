"""Unit tests open no socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    # asyncio's own wake-up pipe is a pair of unix sockets.
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
