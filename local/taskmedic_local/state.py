"""What the application keeps in moto, put back to what it was when it had been deployed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from taskmedic_local.functions import ACCOUNT, REGION


def stop_executions(abandon_calls: Callable[[], None], timeout_s: float = 10.0) -> None:
    """Stops every execution and waits for its end, at most ``timeout_s`` seconds.

    Args:
        abandon_calls: Ends the calls that executions wait for.
    """
    end = time.monotonic() + timeout_s
    while (running := _running()) and time.monotonic() < end:
        for execution in running:
            if execution.exec_worker.env is not None:  # it has begun
                execution.stop(stop_date=datetime.now(UTC), error="", cause="the local cloud was reset")
        abandon_calls()
        time.sleep(0.005)


def _running() -> list[Any]:
    machines = stepfunctions_parser_backends[ACCOUNT][REGION].state_machines
    return [e for machine in machines for e in list(machine.executions) if e.status == "RUNNING"]


class Kept:
    """Remembers parameters, secrets, roles and log groups; tables, buckets and queues begin empty."""

    def __init__(self) -> None:
        parameters = ssm_backends[ACCOUNT][REGION]._parameters
        self._parameters = {name: list(versions) for name, versions in parameters.items()}
        self._roles = set(iam_backends[ACCOUNT]["aws"].roles)
        self._log_groups = set(logs_backends[ACCOUNT][REGION].groups)
        secrets = secretsmanager_backends[ACCOUNT][REGION]
        self._secrets = {
            secret.arn: secrets.get_secret_value(secret.arn, "", "AWSCURRENT")["SecretString"]
            for secret in secrets.secrets.values()
        }

    def restore(self) -> None:
        """Empties what was empty, removes what was not there, puts back what was changed."""
        for machine in stepfunctions_parser_backends[ACCOUNT][REGION].state_machines:
            machine.executions.clear()
        for table in dynamodb_backends[ACCOUNT][REGION].tables.values():
            table.items.clear()
        for bucket in s3_backends[ACCOUNT]["aws"].buckets.values():
            bucket.keys.clear()
        for queue in sqs_backends[ACCOUNT][REGION].queues.values():
            queue._messages.clear()
            queue._pending_messages.clear()
            queue.deleted_messages.clear()
        _keep_only(iam_backends[ACCOUNT]["aws"].roles, self._roles)
        _keep_only(logs_backends[ACCOUNT][REGION].groups, self._log_groups)
        self._restore_parameters(ssm_backends[ACCOUNT][REGION]._parameters)
        secrets = secretsmanager_backends[ACCOUNT][REGION]
        for arn, value in self._secrets.items():
            if secrets.get_secret_value(arn, "", "AWSCURRENT")["SecretString"] != value:
                secrets.put_secret_value(arn, value, "", str(uuid.uuid4()), ["AWSCURRENT"])

    def _restore_parameters(self, parameters: dict[str, list[Any]]) -> None:
        _keep_only(parameters, set(self._parameters))
        for name, versions in self._parameters.items():
            parameters[name] = list(versions)


def _keep_only(things: MutableMapping[str, Any], names: set[str]) -> None:
    for name in set(things) - names:
        del things[name]
