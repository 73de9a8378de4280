"""boto3 clients, one per service, region and role: made once, kept for the life of the process."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from taskmedic.aws import plain_tasks
from taskmedic.aws.errors import translated
from taskmedic.domain.arns import Arn
from taskmedic.domain.errors import AccessDenied, AwsRefused, RoleNotAssumable
from taskmedic.domain.nodes import Node

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

# Longer than a Lambda call can last (15 minutes), so that credentials never run out in the middle of one.
_RENEW_BEFORE = timedelta(minutes=20)
_REFUSAL_HOLDS = timedelta(minutes=1)
# A warm function gets the calls of several executions by turns; each keeps its credentials meanwhile.
_EXECUTIONS_KEPT = 8
# RoleSessionName: 2 to 64 of [\w+=,.@-] (STS API, AssumeRole).
_NOT_IN_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_LONGEST_SESSION_NAME = 64


@dataclass(frozen=True)
class Access:
    """Where calls go and as whom: region and role; empty means the process's own."""

    region: str = ""
    role_arn: str = ""
    external_id: str = ""

    @classmethod
    def to_node(cls, node: Node, *, assume_role_arn: str = "") -> Access:
        """How to reach ``node``: by the role that found it, unless the step names one of its own."""
        if assume_role_arn and assume_role_arn != node.assume_role_arn:
            return cls(node.region, assume_role_arn)
        return cls(node.region, node.assume_role_arn, node.external_id)


@dataclass(frozen=True)
class _Credentials:
    """What sts:AssumeRole answered, or why it did not."""

    keys: dict[str, Any]
    expires_at: datetime
    error: RoleNotAssumable | None = None


class _Key(NamedTuple):
    service: str
    access: Access
    retry: bool


class Clients:
    """Makes and keeps boto3 clients. Safe to use from several threads.

    A role is assumed once, however many services, regions and threads ask for it, and again before its
    credentials run out. A refusal is remembered for a minute, so that many nodes do not mean many refusals.
    """

    def __init__(self, session: boto3.Session | None = None, *, session_name: str = "taskmedic") -> None:
        self._session = session or boto3.Session()
        self._session_name = _session_name(session_name)
        self._lock = threading.Lock()  # guards what is below, and boto3's session, which is not thread-safe
        self._role_locks: dict[tuple[str, str], threading.Lock] = {}
        self._roles: dict[tuple[str, str], _Credentials] = {}
        self._own: dict[_Key, Any] = {}
        self._assumed: dict[_Key, tuple[_Credentials, Any]] = {}
        self._executions: dict[str, Clients] = {}  # the one asked for last stands last

    def for_execution(self, execution_name: str) -> Clients:
        """Clients for one execution: the process's own are shared, roles are assumed under the execution's
        name, so that CloudTrail of the other account tells which execution acted there. Those of the latest
        few executions are kept, so that one which calls again need not assume its roles again.
        """
        with self._lock:
            kept = self._executions.pop(execution_name, None)
            if kept is None:
                kept = Clients(self._session, session_name=f"taskmedic-{execution_name}")
                kept._lock, kept._own = self._lock, self._own
            self._executions[execution_name] = kept
            if len(self._executions) > _EXECUTIONS_KEPT:
                del self._executions[next(iter(self._executions))]
            return kept

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        """The client of ``service`` (boto3's name) for ``access``; without ``retry`` it asks only once.

        Raises:
            RoleNotAssumable: sts:AssumeRole was refused.
            AwsUnreachable: there are no credentials, there is no region, or STS cannot be reached.
        """
        key = _Key(service, access or Access(), retry)
        if not key.access.role_arn:
            with self._lock:
                if key not in self._own:
                    self._own[key] = self._make(key, {})
                return self._own[key]
        credentials = self._credentials(key.access)
        with self._lock:
            made_with, client = self._assumed.get(key, (None, None))
            if made_with is not credentials:
                client = self._make(key, credentials.keys)
                self._assumed[key] = (credentials, client)
            return client

    def _make(self, key: _Key, credentials: dict[str, Any]) -> Any:
        config = CONFIG if key.retry else ONCE
        with translated(f"cannot make a client of {key.service}"):
            client = self._session.client(
                key.service, region_name=key.access.region or None, config=config, **credentials
            )
        if key.service == "ecs":
            plain_tasks.prepare(client)
        return client

    def _credentials(self, access: Access) -> _Credentials:
        key = (access.role_arn, access.external_id)
        with self._lock:
            lock = self._role_locks.setdefault(key, threading.Lock())
        with lock:  # of this role only: the others need not wait for STS
            credentials = self._roles.get(key)
            if credentials is None or credentials.expires_at - datetime.now(UTC) < _RENEW_BEFORE:
                credentials = self._roles[key] = self._assume(access)
        if credentials.error:
            raise credentials.error
        return credentials

    def _assume(self, access: Access) -> _Credentials:
        arn = Arn.parse(access.role_arn)
        if arn is None or arn.service != "iam" or arn.kind != "role":
            return _refusal(access.role_arn, "this is no ARN of an IAM role")
        request = {"RoleArn": access.role_arn, "RoleSessionName": self._session_name}
        if access.external_id:
            request["ExternalId"] = access.external_id
        # STS answers in every region; the source's own is there even where the process has none.
        sts = self.get("sts", Access(region=self._session.region_name or access.region))
        try:
            with translated("cannot assume the role", access.role_arn):
                answer = sts.assume_role(**request)["Credentials"]
        except (AccessDenied, AwsRefused) as error:
            return _refusal(access.role_arn, error.why)
        keys = {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }
        return _Credentials(keys, answer["Expiration"])


def _refusal(role_arn: str, why: str) -> _Credentials:
    error = RoleNotAssumable(
        "the role cannot be assumed",
        where=role_arn,
        why=why,
        remedy="Let the role's trust policy name the caller (with the external id, where one is asked for), "
        "and allow the caller sts:AssumeRole on it.",
    )
    return _Credentials({}, datetime.now(UTC) + _RENEW_BEFORE + _REFUSAL_HOLDS, error)


def _session_name(text: str) -> str:
    return _NOT_IN_SESSION_NAME.sub("-", text)[:_LONGEST_SESSION_NAME]
