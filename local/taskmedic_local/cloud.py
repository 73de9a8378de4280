"""The local cloud: everything Taskmedic needs of AWS, in one process on one port of 127.0.0.1.

with LocalCloud() as cloud:
    print(cloud.info["endpoint"])
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from taskmedic_local.deploy import deploy
from taskmedic_local.faults import Faults
from taskmedic_local.front import Front
from taskmedic_local.functions import ACCOUNT, REGION
from taskmedic_local.lambda_api import LambdaApi
from taskmedic_local.lambdas import Lambdas
from taskmedic_local.runtime_api import PREFIX as RUNTIME_PREFIX
from taskmedic_local.runtime_api import RuntimeApi
from taskmedic_local.server import Server
from taskmedic_local.stepfunctions import wire
from taskmedic_local.template import load_application

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
# A minute of waiting, of a retry or of a service's patience takes three seconds here.
TIME_SCALE = 0.05


class LocalCloud:
    """Starts on ``__enter__``, ends on ``__exit__`` and leaves nothing behind. One at a time in a process."""

    def __init__(
        self,
        port: int = 0,
        *,
        template: Path = TEMPLATE,
        parameters: Mapping[str, str] | None = None,
        time_scale: float = TIME_SCALE,
    ) -> None:
        """
        Args:
            port: The port of 127.0.0.1; 0 takes a free one.
            template: The SAM template to deploy.
            parameters: Values of its parameters that differ from their defaults.
            time_scale: How long a second of waiting takes, in seconds. Function time-outs are not scaled.
        """
        self._port = port
        self._template = template
        self._parameters = dict(parameters or {})
        self.time_scale = time_scale
        self.faults = Faults()
        self.webhook_secret = secrets.token_hex(24)
        self.pagerduty_token = secrets.token_hex(10)

    def __enter__(self) -> LocalCloud:
        started = time.monotonic()
        application = load_application(self._template, self._parameters)
        moto = DomainDispatcherApplication(create_backend_app)
        self.front = Front(moto, self.faults, function_of=self._function_of, kill_caller=self._kill_caller)
        self._server = Server(self.front, self._port)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        _configure_moto(self._server.port)
        wire(lambda execution: None)
        self._server.start()
        self.lambdas = Lambdas(port=self._server.port, log_sink=_to_logs)
        self.front.mount_path(RUNTIME_PREFIX, RuntimeApi(self.lambdas))
        self.front.mount_service("lambda", LambdaApi(self.lambdas, moto, self.time_scale))
        self.deployment = deploy(
            application,
            parameters=self._parameters,
            overrides={
                "PAGERDUTY_API_URL": f"{self.endpoint}/pagerduty",
                "PAGERDUTY_EVENTS_URL": f"{self.endpoint}/pagerduty",
            },
            secret_values={
                "PAGERDUTY_WEBHOOK_SECRET_ID": json.dumps(
                    {"signing_secrets": [self.webhook_secret], "bearer_secrets": []}
                ),
                "PAGERDUTY_API_SECRET_ID": json.dumps(
                    {"token": self.pagerduty_token, "from": "taskmedic@example.com"}
                ),
            },
        )
        self.lambdas.deploy(self.deployment.functions)
        self.start_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lambdas.close()
        self._server.stop()

    def _function_of(self, access_key: str) -> str:
        return self.lambdas.function_of(access_key)

    def _kill_caller(self, access_key: str) -> None:
        self.lambdas.kill_caller(access_key)


def _configure_moto(port: int) -> None:
    from moto.core.base_backend import BackendDict
    from moto.core.config import default_user_config

    BackendDict.reset()  # what an earlier cloud of this process left
    # Its interpreter logs each failed state with the whole state: no trouble of ours.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    os.environ["MOTO_PORT"] = str(port)  # its interpreter's integrations call back to this port
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["lambda"] = {"use_docker": False}


def _to_logs(group: str, stream: str, line: str) -> None:
    from moto.logs.models import logs_backends

    backend = logs_backends[ACCOUNT][REGION]
    if group not in backend.groups:
        backend.create_log_group(group, {})
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    event: dict[str, Any] = {"timestamp": int(time.time() * 1000), "message": line}
    backend.groups[group].put_log_events(stream, [event])
