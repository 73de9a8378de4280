"""What agents and log drivers call of AWS: the local cloud itself, as the account the container is in."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

DEFAULT_ACCOUNT = "123456789012"


class LocalAws:
    """boto3 clients at the local endpoint. Safe to use from several threads."""

    def __init__(self, endpoint: str) -> None:
        """``endpoint`` is ``http://host:port``; it must answer by the time of the first call."""
        self._endpoint = endpoint
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.RLock()

    def client(self, service: str, account: str, region: str) -> Any:
        """A client of the account; of another than the default one by a role in it."""
        key = (service, account, region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(service, account, region)
            return self._clients[key]

    def put_log_lines(self, account: str, region: str, group: str, stream: str, lines: list[str]) -> None:
        """Append lines to a stream; group and stream are made when they are not there."""
        logs = self.client("logs", account, region)
        for create, names in (
            (logs.create_log_group, {"logGroupName": group}),
            (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                create(**names)
            except logs.exceptions.ResourceAlreadyExistsException:
                continue
        now = time.time_ns() // 1_000_000
        events = [{"timestamp": now, "message": line} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def decrypt(
        self, account: str, region: str, ciphertext: bytes, key_id: str, context: Mapping[str, str]
    ) -> bytes:
        """kms:Decrypt.

        Raises:
            ClientError: KMS refused.
        """
        answer = self.client("kms", account, region).decrypt(
            CiphertextBlob=ciphertext, KeyId=key_id, EncryptionContext=dict(context)
        )
        plaintext: bytes = answer["Plaintext"]
        return plaintext

    def parameter(self, account: str, region: str, name: str) -> str:
        """ssm:GetParameter, decrypted.

        Raises:
            ClientError: There is no such parameter.
        """
        answer = self.client("ssm", account, region).get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def _make(self, service: str, account: str, region: str) -> Any:
        key, secret, token = "testing", "testing", ""  # whatever the key: moto's default account
        if account != DEFAULT_ACCOUNT:
            role = f"arn:aws:iam::{account}:role/local-container"
            sts = self.client("sts", DEFAULT_ACCOUNT, region)
            found = sts.assume_role(RoleArn=role, RoleSessionName="container")["Credentials"]
            key, secret, token = found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]
        # A session of its own: making clients from the default one is not safe in several threads.
        session: Any = boto3.Session(key, secret, token or None, region)
        return session.client(
            service, endpoint_url=self._endpoint, config=Config(retries={"max_attempts": 2})
        )
