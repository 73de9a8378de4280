"""Settings of each function: a frozen dataclass, read from the environment once at its cold start.

The variables are set in template.yaml. A missing one is named in the error.
"""

from __future__ import annotations

import os

from taskmedic.domain.errors import SettingMissing


def required(name: str) -> str:
    """The value of environment variable ``name``.

    Raises:
        SettingMissing: it is unset or empty.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SettingMissing(
            f"environment variable {name} is not set",
            where="function configuration",
            remedy="Deploy the function from template.yaml, which sets it.",
        )
    return value


def optional(name: str, default: str = "") -> str:
    """The value of environment variable ``name``, or ``default`` when it is unset or empty."""
    return os.environ.get(name) or default
