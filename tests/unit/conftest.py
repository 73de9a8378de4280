"""Unit tests open no socket. `make test` runs them in processes of their own, so that this holds for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    if "taskmedic_local.cloud" in sys.modules:
        # Both kinds of tests in one process: the local cloud's server needs its sockets.
        yield
        return
    # asyncio's own wake-up pipe is a pair of unix sockets.
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
