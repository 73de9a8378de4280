"""boto3 clients, one per service, region and role: made once, kept for the life of the process."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

# Adaptive mode slows down by itself when AWS throttles, which is what a fan-out over many clusters needs.
# The pool is as wide as the widest fan-out of a step.
CONFIG = Config(
    retries={"mode": "adaptive", "max_attempts": 6},
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=32,
    user_agent_extra="taskmedic",
)

# For calls that must not be made twice, such as starting a command: a lost answer is reported, not repeated.
ONCE = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))


@dataclass(frozen=True)
class Access:
    """Where calls go and as whom: region and role; empty means the process's own."""

    region: str = ""
    role_arn: str = ""
    external_id: str = ""


class Clients:
    """Makes and keeps boto3 clients. Safe to use from several threads."""

    def __init__(self, session: boto3.Session | None = None, *, session_name: str = "taskmedic") -> None:
        self._session = session or boto3.Session()
        self._session_name = session_name
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, Access, bool], Any] = {}

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        """The client of ``service`` (boto3's name for it) for ``access``; without ``retry`` it asks only once."""
        key = (service, access or Access(), retry)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service, region_name=key[1].region or None, config=CONFIG if retry else ONCE
                )
            return self._clients[key]
