"""The environment of a process that is to be the local cloud; set before moto is imported, which reads it."""

from __future__ import annotations

import os


def forget_settings() -> None:
    """Drops the user's AWS and proxy settings: a profile may not exist, a proxy leads away from here."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
