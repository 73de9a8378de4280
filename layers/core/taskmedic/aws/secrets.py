"""Secrets from Secrets Manager, kept for minutes: a warm process sees a rotated one without a deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from taskmedic.aws.clients import Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.errors import SettingMissing

MAX_AGE_S = 300.0


class Secrets:
    """Reads secrets that hold a JSON object.

    Args:
        secretsmanager: A low-level client.
        clock: Seconds that only go forward.
    """

    def __init__(self, secretsmanager: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._secretsmanager = secretsmanager
        self._clock = clock
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def json(self, secret_id: str, *, max_age_s: float = MAX_AGE_S) -> dict[str, Any]:
        """The secret's object, read again when what is kept of it is older than ``max_age_s``.

        Raises:
            SettingMissing: it holds no JSON object.
            AwsError: it cannot be read.
        """
        now = self._clock()
        at, value = self._kept.get(secret_id, (now, {}))
        if secret_id not in self._kept or now - at > max_age_s:
            value = self._read(secret_id)
            self._kept[secret_id] = (now, value)
        return value

    def _read(self, secret_id: str) -> dict[str, Any]:
        with translated("cannot read the secret", secret_id):
            answer = self._secretsmanager.get_secret_value(SecretId=secret_id)
        try:
            value = json.loads(answer.get("SecretString", ""))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise SettingMissing(
                "the secret holds no JSON object",
                where=secret_id,
                remedy="Store it as text; docs/pagerduty.md shows its form.",
            )
        return value


@cache
def secrets_of(clients: Clients) -> Secrets:
    """The process's secrets, read with ``clients``."""
    return Secrets(clients.get("secretsmanager"))
