"""The agent's side of an encrypted session: the handshake's texts, the key from KMS, the cipher."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
SUCCESS = 1
AGENT_VERSION = "3.3.3050.0"

Decrypt = Callable[[bytes, str, Mapping[str, str]], bytes]
"""kms:Decrypt: (ciphertext, key id, encryption context) to plaintext; any exception means refused."""


class HandshakeFailed(Exception):
    """The handshake ended the session; the message is what the agent reports."""


@dataclass(frozen=True)
class Keys:
    """The two halves of the data key."""

    to_client: AESGCM
    to_agent: AESGCM

    def seal(self, data: bytes) -> bytes:
        """nonce ‖ ciphertext ‖ tag, for the client."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.to_client.encrypt(nonce, data, None)

    def open(self, data: bytes) -> bytes:
        """What the client sealed.

        Raises:
            InvalidTag: It was not sealed with this key.
        """
        if len(data) <= NONCE_BYTES:
            raise InvalidTag
        return self.to_agent.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)


def request(kms_key_id: str, challenge: str) -> bytes:
    """The HandshakeRequest's payload."""
    content = {
        "AgentVersion": AGENT_VERSION,
        "RequestedClientActions": [
            {
                "ActionType": "SessionType",
                "ActionParameters": {"SessionType": "InteractiveCommands", "Properties": None},
            },
            {
                "ActionType": "KMSEncryption",
                "ActionParameters": {"KMSKeyId": kms_key_id, "Challenge": challenge},
            },
        ],
    }
    return json.dumps(content).encode()


def complete(nanoseconds: int) -> bytes:
    """The HandshakeComplete's payload."""
    content = {
        "HandshakeTimeToComplete": nanoseconds,
        "CustomerMessage": "This session is encrypted using AWS KMS.",
    }
    return json.dumps(content).encode()


@dataclass(frozen=True)
class Accepted:
    """What the client answered for KMSEncryption."""

    ciphertext_key: bytes
    challenge_acknowledged: bool


def read_response(payload: bytes) -> Accepted:
    """The client's answer to every action requested.

    Raises:
        HandshakeFailed: An action did not succeed, or the answer cannot be read.
    """
    try:
        actions = {each["ActionType"]: each for each in json.loads(payload)["ProcessedClientActions"]}
        for name in ("SessionType", "KMSEncryption"):
            _must_have_succeeded(name, actions[name])
        result: Mapping[str, Any] = actions["KMSEncryption"]["ActionResult"]
        return Accepted(
            base64.b64decode(result["KMSCipherTextKey"], validate=True),
            bool(result.get("ChallengeAcknowledgement")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HandshakeFailed(_initiating(f"the response cannot be read: {error}")) from error


def _must_have_succeeded(name: str, action: Mapping[str, Any]) -> None:
    if action["ActionStatus"] != SUCCESS:
        raise HandshakeFailed(
            _initiating(
                f"{name} failed on client with status {action['ActionStatus']} error: {action['Error']}"
            )
        )


def derive_keys(
    accepted: Accepted, *, kms_key_id: str, session_id: str, target_id: str, challenge: str, decrypt: Decrypt
) -> Keys:
    """Both keys, from the data key that KMS opens under the session's encryption context.

    Raises:
        HandshakeFailed: KMS refused, or the data key has another length than 64 bytes.
    """
    context = {"aws:ssm:SessionId": session_id, "aws:ssm:TargetId": target_id}
    if accepted.challenge_acknowledged:
        context["aws:ssm:RandomChallenge"] = challenge
    try:
        data_key = decrypt(accepted.ciphertext_key, kms_key_id, context)
    except Exception as error:  # whatever KMS or the network says is the text of the end
        raise HandshakeFailed(
            _initiating(f"fetching data key failed: Unable to retrieve data key, {error}")
        ) from error
    if len(data_key) != 2 * KEY_BYTES:
        raise HandshakeFailed(
            _initiating(f"the data key has {len(data_key)} bytes instead of {2 * KEY_BYTES}")
        )
    return Keys(AESGCM(data_key[:KEY_BYTES]), AESGCM(data_key[KEY_BYTES:]))


def challenge_request(keys: Keys, secret: bytes) -> bytes:
    """The challenge's payload: the client must send ``secret`` back under the other key."""
    return json.dumps({"Challenge": base64.b64encode(keys.seal(secret)).decode()}).encode()


def check_challenge(keys: Keys, secret: bytes, payload: bytes) -> None:
    """See that the client opened the challenge.

    Raises:
        HandshakeFailed: It did not.
    """
    try:
        answer = keys.open(base64.b64decode(json.loads(payload)["Challenge"], validate=True))
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise HandshakeFailed(_initiating("Encryption challenge response cannot be read.")) from error
    if answer != secret:
        raise HandshakeFailed(_initiating("Encryption challenge does not match."))


def _initiating(cause: str) -> str:
    return f"Encountered error while initiating handshake. {cause}"
