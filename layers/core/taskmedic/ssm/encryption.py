"""AES-256-GCM of a session on a cluster with a KMS key.

``cryptography`` is loaded only when a session needs it: most clusters have no key, and the import costs tens
of milliseconds of a cold start.
"""

from __future__ import annotations

import os
from typing import Final

from taskmedic.domain.command import DataKey

DATA_KEY_BYTES: Final = 64
_NONCE_BYTES: Final = 12


class DecryptionFailed(ValueError):
    """A payload was not encrypted with this session's key, or was changed on the way."""


class SessionCipher:
    """Both directions of one session. On the wire: nonce (12 bytes), ciphertext, tag (16 bytes)."""

    def __init__(self, key: DataKey) -> None:
        """The first 32 bytes of the data key serve the agent's direction, the last 32 ours.

        Raises:
            ValueError: The data key has not 64 bytes.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        if len(key.plaintext) != DATA_KEY_BYTES:
            raise ValueError(f"a data key of {len(key.plaintext)} bytes instead of {DATA_KEY_BYTES}")
        self._from_agent = AESGCM(key.plaintext[:32])
        self._to_agent = AESGCM(key.plaintext[32:])

    def encrypt(self, payload: bytes) -> bytes:
        """``payload`` for the agent."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._to_agent.encrypt(nonce, payload, None)

    def decrypt(self, payload: bytes) -> bytes:
        """What the agent encrypted.

        Raises:
            DecryptionFailed: It was not made with this key, or was changed.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            return self._from_agent.decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: a nonce of fewer than 8 bytes
            raise DecryptionFailed("a payload does not fit the session's key") from error
