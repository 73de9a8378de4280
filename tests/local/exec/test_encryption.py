"""Sessions of a cluster with a KMS key: the handshake, frame by frame, and the ways it fails."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.local.exec.conftest import Target
from tests.local.exec.plain_client import PlainClient, joined

from taskmedic_local.exec import frames
from taskmedic_local.exec.frames import Frame, PayloadType


class EncryptedClient:
    """Answers the handshake by hand, with whatever a test wants to get wrong."""

    def __init__(self, client: PlainClient, kms: Any, target: Target, session_id: str) -> None:
        self.client = client
        self.context = {
            "aws:ssm:SessionId": session_id,
            "aws:ssm:TargetId": f"ecs:prod_{target.task.id}_{target.container.runtime_id}",
        }
        self.challenge = ""
        self._kms = kms
        self._from_agent = AESGCM(bytes(32))
        self._to_agent = AESGCM(bytes(32))

    async def asked(self) -> dict[str, Any]:
        """The HandshakeRequest's KMSEncryption action."""
        frame = await self.client.receive()
        assert (frame.sequence, frame.payload_type) == (0, PayloadType.HANDSHAKE_REQUEST)
        actions = {each["ActionType"]: each for each in json.loads(frame.payload)["RequestedClientActions"]}
        assert actions["SessionType"]["ActionParameters"]["SessionType"] == "InteractiveCommands"
        parameters: dict[str, Any] = actions["KMSEncryption"]["ActionParameters"]
        self.challenge = parameters["Challenge"]
        return parameters

    async def answer(self, *, acknowledge_challenge: bool = True) -> None:
        """A HandshakeResponse with a data key."""
        key_id = (await self.asked())["KMSKeyId"]
        context = dict(self.context)
        if acknowledge_challenge:
            context["aws:ssm:RandomChallenge"] = self.challenge
        key = self._kms.generate_data_key(KeyId=key_id, NumberOfBytes=64, EncryptionContext=context)
        self._from_agent = AESGCM(key["Plaintext"][:32])
        self._to_agent = AESGCM(key["Plaintext"][32:])
        result: dict[str, Any] = {
            "KMSCipherTextKey": base64.b64encode(key["CiphertextBlob"]).decode(),
            "KMSCipherTextHash": None,
        }
        if acknowledge_challenge:
            result["ChallengeAcknowledgement"] = True
        await self.respond(1, result)

    async def respond(self, status: int, result: Any, error: str = "") -> None:
        actions = [
            {"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": None, "Error": ""},
            {"ActionType": "KMSEncryption", "ActionStatus": status, "ActionResult": result, "Error": error},
        ]
        content = {"ClientVersion": "1.2.677.0", "ProcessedClientActions": actions, "Errors": None}
        await self.client.type(json.dumps(content).encode(), PayloadType.HANDSHAKE_RESPONSE)

    async def next_of(self, payload_type: PayloadType) -> Frame:
        while True:
            frame = await self.client.receive()
            if frame.payload_type == payload_type:
                return frame

    async def solve(self) -> None:
        """Send the challenge back under the other key."""
        frame = await self.next_of(PayloadType.CHALLENGE_REQUEST)
        assert frame.sequence == 1
        secret = self.open(base64.b64decode(json.loads(frame.payload)["Challenge"]))
        assert len(secret) == 64
        answer = {"Challenge": base64.b64encode(self.seal(secret)).decode()}
        await self.client.type(json.dumps(answer).encode(), PayloadType.CHALLENGE_RESPONSE)

    def seal(self, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._to_agent.encrypt(nonce, data, None)

    def open(self, data: bytes) -> bytes:
        return self._from_agent.decrypt(data[:12], data[12:], None)


@pytest.fixture
def kms(target: Target, aws: Callable[[str], Any]) -> Any:
    """KMS, with a key of the cluster's."""
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    settings = {"executeCommandConfiguration": {"kmsKeyId": key, "logging": "NONE"}}
    target.task.cluster.content["configuration"] = settings
    return aws("kms")


@pytest.mark.parametrize("acknowledge_challenge", [True, False])
async def test_a_session_is_encrypted_both_ways(
    target: Target, kms: Any, acknowledge_challenge: bool
) -> None:
    session = target.execute("sh -c 'stty -echo; echo secret; read x; echo got $x'")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        await ours.answer(acknowledge_challenge=acknowledge_challenge)
        await ours.solve()
        done = await ours.next_of(PayloadType.HANDSHAKE_COMPLETE)
        assert done.sequence == 2
        content = json.loads(done.payload)
        assert content["CustomerMessage"] == "This session is encrypted using AWS KMS."
        assert content["HandshakeTimeToComplete"] > 0
        first = await ours.next_of(PayloadType.OUTPUT)
        assert first.sequence == 3
        assert b"secret" not in first.payload
        assert ours.open(first.payload) == b"secret\r\n"
        await client.type(ours.seal(b"hello\n"))
        answer = await ours.next_of(PayloadType.OUTPUT)
        assert ours.open(answer.payload) == b"got hello\r\n"
        assert await client.end() == ""


async def test_a_key_for_another_target_is_refused_by_kms(target: Target, kms: Any) -> None:
    session = target.execute("echo secret")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        ours.context["aws:ssm:TargetId"] = "ecs:prod_other_other"
        await ours.answer()
        assert (await client.end()).startswith("Encountered error while initiating handshake.")
        assert PayloadType.OUTPUT not in {f.payload_type for f in client.frames if f.type == frames.OUTPUT}


async def test_a_client_that_may_not_use_the_key_says_why(target: Target, kms: Any) -> None:
    session = target.execute("echo secret")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        await ours.asked()
        await ours.respond(2, None, "Failed to process action KMSEncryption: access denied")
        assert await client.end() == (
            "Encountered error while initiating handshake. "
            "KMSEncryption failed on client with status 2 error: "
            "Failed to process action KMSEncryption: access denied"
        )


@pytest.mark.parametrize("payload", [b"{}", b"[]", b"no json", b'{"ProcessedClientActions": [1]}'])
async def test_a_response_that_cannot_be_read_ends_the_session(
    target: Target, kms: Any, payload: bytes
) -> None:
    async with joined(target.execute("echo secret")) as client:
        await client.receive()
        await client.type(payload, PayloadType.HANDSHAKE_RESPONSE)
        assert (await client.end()).startswith("Encountered error while initiating handshake.")


async def test_a_challenge_that_is_not_solved_ends_the_session(target: Target, kms: Any) -> None:
    session = target.execute("echo secret")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        await ours.answer()
        await ours.next_of(PayloadType.CHALLENGE_REQUEST)
        wrong = {"Challenge": base64.b64encode(ours.seal(bytes(64))).decode()}
        await client.type(json.dumps(wrong).encode(), PayloadType.CHALLENGE_RESPONSE)
        assert "challenge does not match" in await client.end()


async def test_no_response_in_time(target: Target, kms: Any) -> None:
    target.timing(handshake=0.2)
    async with joined(target.execute("echo secret")) as client:
        assert (await client.end()).startswith("Handshake timed out.")


async def test_no_answer_to_the_challenge_in_time(target: Target, kms: Any) -> None:
    target.timing(handshake=0.5)
    session = target.execute("echo secret")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        await ours.answer()
        assert await client.end() == "Timed out waiting for encryption challenge."


async def test_plain_input_in_an_encrypted_session_is_dropped(target: Target, kms: Any) -> None:
    session = target.execute("sh -c 'stty -echo; echo in; read x; echo got $x'")
    async with joined(session) as client:
        ours = EncryptedClient(client, kms, target, session["sessionId"])
        await ours.answer()
        await ours.solve()
        await ours.next_of(PayloadType.OUTPUT)
        await client.type(b"plain\n")
        await client.type(ours.seal(b"sealed\n"))
        assert ours.open((await ours.next_of(PayloadType.OUTPUT)).payload) == b"got sealed\r\n"
