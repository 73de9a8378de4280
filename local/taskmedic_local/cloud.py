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
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.logs.models import logs_backends

from taskmedic_local import iam_simulation, moto_speed
from taskmedic_local.control import PREFIX as CONTROL_PREFIX
from taskmedic_local.control import Control
from taskmedic_local.deploy import Deployment, deploy
from taskmedic_local.environment import let_children_be_signalled
from taskmedic_local.events import EventBus
from taskmedic_local.exec.aws import LocalAws
from taskmedic_local.executions import Executions, StartExecution
from taskmedic_local.faults import Faults
from taskmedic_local.front import Front, MotoDispatcher, OneAtATime
from taskmedic_local.functions import ACCOUNT, REGION
from taskmedic_local.http_api import HttpApi
from taskmedic_local.lambda_api import LambdaApi
from taskmedic_local.lambdas import Lambdas, Result
from taskmedic_local.pagerduty_standin import PagerDutyStandIn
from taskmedic_local.queues import QueuePollers
from taskmedic_local.runtime_api import PREFIX as RUNTIME_PREFIX
from taskmedic_local.runtime_api import RuntimeApi
from taskmedic_local.server import Server
from taskmedic_local.state import Kept, stop_executions
from taskmedic_local.stepfunctions import wire
from taskmedic_local.targets import Targets
from taskmedic_local.template import load_application
from taskmedic_local.world import World

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
# A minute of waiting, of a retry or of a service's patience takes three seconds here.
TIME_SCALE = 0.05
PAGERDUTY_USER = "taskmedic@example.com"


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
        self.time_scale = time_scale
        self.faults = Faults()
        self.webhook_secret = secrets.token_hex(24)
        self.pagerduty_token = secrets.token_hex(10)
        self._port = port
        self._template = template
        self._parameters = dict(parameters or {})
        self._parts = ExitStack()
        self._inhabitants = ExitStack()  # the world and PagerDuty's stand-in, which a reset replaces

    def __enter__(self) -> Self:
        """
        Raises:
            PortInUse: another program has the port.
            TemplateInvalid, DeployFailed: the template cannot be deployed.
        """
        let_children_be_signalled()
        with ExitStack() as parts:
            self._start(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.closing = True
        self._parts.close()

    @property
    def info(self) -> dict[str, Any]:
        """What a client needs: the line that ``taskmedic local`` prints."""
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "webhook_url": f"{self.endpoint}/webhook",
            "webhook_secret": self.webhook_secret,
            "pagerduty_url": f"{self.endpoint}/pagerduty",
            "state_machines": dict(self.deployment.state_machines),
        }

    def reset(self) -> None:
        """Everything as it was at the start. What runs is stopped; idle processes of functions stay."""
        self.faults.clear()
        self._inhabitants.close()
        self.events.wait_idle(5)
        stop_executions(self.lambdas.abandon_calls)
        self.lambdas.abandon_calls()
        self._kept.restore()
        self._populate()
        self.front.forget_calls()

    def _start(self, parts: ExitStack) -> None:
        application = load_application(self._template, self._parameters)
        moto = self._moto = OneAtATime(MotoDispatcher())
        self.front = Front(moto, self.faults, function_of=self._function_of, kill_caller=self._kill_caller)
        self._server = server = Server(self.front, self._port)
        self.endpoint = f"http://127.0.0.1:{server.port}"
        _configure_moto(server.port)
        parts.callback(server.stop)
        server.start()
        self._aws = LocalAws(self.endpoint)
        targets = Targets(self.endpoint)
        self.events = EventBus(targets, self.time_scale)
        parts.callback(self.events.close)
        self.executions = Executions(self.events.emit)
        wire(self.executions.ended, self.time_scale)
        self.lambdas = Lambdas(port=server.port, log_sink=self._to_logs)
        parts.callback(self.lambdas.close)
        self.deployment = self._deploy(application)
        self._kept = Kept()
        self._mount(moto)
        self.lambdas.deploy(self.deployment.functions)
        parts.callback(self._inhabitants.close)
        self._populate()
        pollers = QueuePollers(self.deployment.queue_mappings, self.lambdas, targets, self.time_scale)
        parts.callback(pollers.close)
        pollers.start()
        self.front.forget_calls()

    def _mount(self, moto: Any) -> None:
        front = self.front
        front.mount_path(RUNTIME_PREFIX, RuntimeApi(self.lambdas))
        front.mount_service("lambda", LambdaApi(self.lambdas, moto, self.time_scale))
        front.mount_service("events", self.events.put_events, ["PutEvents"])
        front.mount_service("states", StartExecution(moto), ["StartExecution"])
        front.mount_service("iam", iam_simulation.simulate_principal_policy, [iam_simulation.OPERATION])
        routes = {route: self._invoker(name) for route, name in self.deployment.routes.items()}
        for _, path in routes:
            front.mount_path(path, HttpApi(routes))
        control = Control(faults=self.faults, front=front, lambdas=self.lambdas, reset=self.reset)
        front.mount_path(CONTROL_PREFIX, control)

    def _populate(self) -> None:
        """A world of tasks that run, and an empty PagerDuty account."""
        url = f"{self.endpoint}/pagerduty"
        self.pagerduty = PagerDutyStandIn(
            url=url,
            token=self.pagerduty_token,
            from_email=PAGERDUTY_USER,
            signing_secret=self.webhook_secret,
            webhook_url=f"{self.endpoint}/webhook",
        )
        self._inhabitants.callback(self.pagerduty.close)
        self.pagerduty.seed()
        self.front.mount_path("/pagerduty", self.pagerduty)
        self.world = World(
            endpoint=self.endpoint, emit=self.events.emit, time_scale=self.time_scale, aws=self._aws
        )
        self._inhabitants.callback(self.world.close)
        self.world.mount(self.front, self._server)
        self.world.seed()

    def _deploy(self, application: Any) -> Deployment:
        pagerduty = f"{self.endpoint}/pagerduty"
        webhook = {"signing_secrets": [self.webhook_secret], "bearer_secrets": []}
        api = {"token": self.pagerduty_token, "from": PAGERDUTY_USER}
        return deploy(
            application,
            endpoint=self.endpoint,
            parameters={
                "PagerDutyApiUrl": pagerduty,
                "PagerDutyEventsUrl": pagerduty,
                **self._parameters,
            },
            secret_values={
                "PAGERDUTY_WEBHOOK_SECRET_ID": json.dumps(webhook),
                "PAGERDUTY_API_SECRET_ID": json.dumps(api),
            },
        )

    def _invoker(self, name: str) -> Callable[[bytes], Result]:
        return lambda payload: self.lambdas.invoke(self.lambdas.functions[name], payload)

    def _function_of(self, access_key: str) -> str:
        return self.lambdas.function_of(access_key)

    def _kill_caller(self, access_key: str) -> None:
        self.lambdas.kill_caller(access_key)

    def _to_logs(self, group: str, stream: str, line: str) -> None:
        """A line that a function wrote, into CloudWatch Logs."""
        backend = logs_backends[ACCOUNT][REGION]
        with self._moto.lock("logs"):
            if group not in backend.groups:
                backend.create_log_group(group, {})
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            event = {"timestamp": int(time.time() * 1000), "message": line}
            backend.groups[group].put_log_events(stream, [event])


def _configure_moto(port: int) -> None:
    moto_speed.apply()
    BackendDict.reset()  # what an earlier cloud of this process left
    # Its interpreter logs each failed state with the whole state: no trouble of ours.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    os.environ["MOTO_PORT"] = str(port)  # its interpreter's integrations call back to this port
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["lambda"] = {"use_docker": False}
