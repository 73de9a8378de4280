"""The local ECS put together: model, API, containers, message gateway and Run Command, for the front to
mount.

world = World(endpoint="http://127.0.0.1:4566", emit=bus.put)
world.mount(front, server)
world.seed()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from taskmedic_local import small_world
from taskmedic_local.answers import Environ, StartResponse, answer_error, answer_json, json_body
from taskmedic_local.ecs.api import EcsApi
from taskmedic_local.ecs.api_tasks import find_task
from taskmedic_local.ecs.causes import CauseInvalid, Causes, Order, container_of
from taskmedic_local.ecs.engine import Emit, Engine
from taskmedic_local.ecs.errors import EcsError, task_not_found
from taskmedic_local.ecs.model import Cluster, Container, Json, Task
from taskmedic_local.ecs.pace import Pace
from taskmedic_local.ecs.schedule import Clock
from taskmedic_local.ecs.services import Scheduler
from taskmedic_local.exec.aws import DEFAULT_ACCOUNT, LocalAws
from taskmedic_local.exec.connection import PATH
from taskmedic_local.exec.gateway import ContainerRef, Gateway
from taskmedic_local.exec.run_command import OPERATIONS as RUN_COMMAND
from taskmedic_local.exec.run_command import Host, RunCommand
from taskmedic_local.exec.sandbox import Image
from taskmedic_local.exec.sessions_api import OPERATIONS as SESSIONS
from taskmedic_local.exec.sessions_api import SessionsApi
from taskmedic_local.exec.wire import WireFaults
from taskmedic_local.front import ACCOUNT_KEY, OPERATION_KEY, REGION_KEY, Front
from taskmedic_local.server import Server, WsgiApp
from taskmedic_local.world_control import PREFIX as CONTROL_PREFIX
from taskmedic_local.world_control import WorldControl

DEFAULT_REGION = "us-east-1"
DISCONNECTED = "The execute command failed due to an internal error. Try again later."

Handle = Callable[[str, Json, str, str], tuple[int, Json]]
"""(operation, body, account, region) to (HTTP status, JSON)."""


class World:
    """The local ECS of every account and region."""

    def __init__(
        self,
        *,
        endpoint: str,
        emit: Emit,
        time_scale: float = 0.05,
        clock: Clock = time.time,
        aws: LocalAws | None = None,
    ) -> None:
        """
        Args:
            endpoint: ``http://127.0.0.1:<port>`` of the local cloud.
            emit: Takes each ``ECS Task State Change`` event; called from several threads, one at a time.
            time_scale: How long a second of AWS's waits takes here, in seconds.
            clock: Seconds since the epoch.
            aws: Clients at that endpoint, from an earlier world; their making takes longest of all here.
        """
        self._aws = aws or LocalAws(endpoint)
        self._images: dict[str, Image] = {}
        self._disconnected: set[Container] = set()
        self._mistreated: dict[Container, WireFaults] = {}
        self.gateway = Gateway(time_scale=time_scale)
        self.gateway.base_url = endpoint.replace("http://", "ws://", 1)
        self.engine = Engine(
            emit=emit,
            write_logs=self._write_logs,
            containers_gone=self._containers_gone,
            clock=clock,
            pace=Pace.scaled(time_scale),
        )
        self.scheduler = Scheduler(self.engine)
        self.causes = Causes(self.engine, self.scheduler)
        self.ecs = EcsApi(self.engine, self.scheduler, self)
        self.run_command = RunCommand(self.gateway.sandbox, self._host, time_scale=time_scale)
        self.sessions = SessionsApi(self.gateway)
        self.engine.schedule.start()

    def mount(self, front: Front, server: Server) -> None:
        """Answer ECS, the calls of Systems Manager that it needs, and the data channel."""
        front.mount_service("ecs", wsgi(self.ecs.handle))
        front.mount_service("ssm", wsgi(self.sessions.handle), SESSIONS)
        front.mount_service("ssm", wsgi(self.run_command.handle), RUN_COMMAND)
        front.mount_path(CONTROL_PREFIX, WorldControl(self))
        server.on_upgrade(PATH, self.gateway.accept)

    def seed(self) -> None:
        """Clusters ``prod`` and ``batch`` with their tasks, running already; the front must answer by now."""
        small_world.build(self, self._aws)

    def close(self) -> None:
        """End everything that runs here, and remove every folder."""
        self.engine.schedule.stop()
        self.run_command.close()
        self.gateway.close()

    def image(self, name: str, image: Image) -> None:
        """What containers of that image hold."""
        self._images[name] = image

    def cluster(self, name: str, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> Cluster:
        """A cluster's record.

        Raises:
            EcsError: There is none of that name.
        """
        return self.engine.cluster(account, region, name)

    def container(self, cluster: str, task: str, name: str) -> Container:
        """A container's record, in the default account and region; ``task`` is an id or ARN.

        Raises:
            EcsError: No such cluster or task.
            CauseInvalid: No such container in the task.
        """
        found = find_task(self.cluster(cluster), task)
        if found is None:
            raise task_not_found()
        return container_of(found, name)

    def strike(
        self,
        cause: str,
        cluster: str,
        service: str = "",
        task: str = "",
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        **how: Any,
    ) -> list[Task]:
        """Let tasks die of ``cause``; see ``Causes``, and ``Order`` for how.

        Raises:
            CauseInvalid: No such cause or service, or nothing that it could hit.
            EcsError: No such cluster or task.
            TypeError: No such way in ``how``.
        """
        found = self.cluster(cluster, account, region)
        if service and service not in found.services:
            raise CauseInvalid(f"service: cluster {cluster} has no service {service!r}")
        hit = find_task(found, task) if task else None
        if task and hit is None:
            raise task_not_found()
        if "log_lines" in how:
            how["log_lines"] = tuple(how["log_lines"])
        return self.causes.strike(cause, Order(found, found.services.get(service), hit, **how))

    def crowd(
        self, clusters: int, tasks: int, *, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION
    ) -> None:
        """Add clusters ``crowd-0``, ``crowd-1``, … with so many running tasks each; no process is started."""
        small_world.crowd(self, self.engine.region(account, region), clusters, tasks)

    def connect_agent(self, container: Container, *, connected: bool) -> None:
        """Cut a container's agent off from the gateway, or bring it back; DescribeTasks does not show it."""
        if connected:
            self._disconnected.discard(container)
        else:
            self._disconnected.add(container)

    def mistreat(self, container: Container, faults: WireFaults | None) -> None:
        """Faults on the wire of the container's sessions from now on, instead of the gateway's own."""
        if faults is None:
            self._mistreated.pop(container, None)
        else:
            self._mistreated[container] = faults

    def open_session(self, task: Task, container: Container, command: str) -> Json:
        """The session of an ExecuteCommand call that has been checked."""
        if container in self._disconnected:
            raise EcsError("TargetNotConnectedException", DISCONNECTED)
        opened = self.gateway.open_session(
            self._container(task, container),
            command,
            kms_key_id=task.cluster.kms_key_id,
            faults=self._mistreated.get(container),
        )
        return {"sessionId": opened.session_id, "streamUrl": opened.stream_url, "tokenValue": opened.token}

    def _container(self, task: Task, container: Container) -> ContainerRef:
        region = self.engine.region_of(task.cluster)
        return ContainerRef(
            runtime_id=container.runtime_id,
            target_id=f"ecs:{task.cluster.name}_{task.id}_{container.runtime_id}",
            image=self._image(task, container),
            decrypt=partial(self._aws.decrypt, region.account, region.name),
            get_parameter=partial(self._aws.parameter, region.account, region.name),
        )

    def _image(self, task: Task, container: Container) -> Image:
        image = self._images.get(container.definition["image"], Image())
        region = self.engine.region_of(task.cluster)
        env = {
            "AWS_EXECUTION_ENV": f"AWS_ECS_{task.launch_type}",
            "AWS_REGION": region.name,
            "ECS_CONTAINER_METADATA_URI_V4": f"http://169.254.170.2/v4/{container.runtime_id}",
            **image.env,
            **{each["name"]: each["value"] for each in container.definition.get("environment", [])},
            **{each["name"]: each["value"] for each in _overridden(task, container)},
        }
        return replace(image, env=env)

    def _host(self, instance_id: str, account: str, region: str) -> Host | None:
        for cluster in self.engine.region(account, region).clusters.values():
            for instance in cluster.instances.values():
                if instance.ec2_instance_id == instance_id and instance.agent_connected:
                    tasks = [task for task in cluster.tasks.values() if task.instance is instance]
                    images = {
                        each.runtime_id: self._image(task, each)
                        for task in tasks
                        for each in task.containers
                        if each.last_status == "RUNNING"
                    }
                    return Host(instance_id, images)
        return None

    def _write_logs(self, task: Task, container: Container, lines: list[str]) -> None:
        settings = container.definition.get("logConfiguration", {})
        options = settings.get("options", {})
        if settings.get("logDriver") == "awslogs" and options.get("awslogs-group"):
            region = self.engine.region_of(task.cluster)
            prefix = options.get("awslogs-stream-prefix")
            stream = f"{prefix}/{container.name}/{task.id}" if prefix else container.runtime_id
            self._aws.put_log_lines(region.account, region.name, options["awslogs-group"], stream, lines)

    def _containers_gone(self, runtime_ids: list[str]) -> None:
        for runtime_id in runtime_ids:
            self.gateway.container_gone(runtime_id)


def _overridden(task: Task, container: Container) -> list[Json]:
    """The environment that RunTask gave the container."""
    overrides: list[Json] = task.overrides["containerOverrides"]
    return [
        pair for each in overrides if each["name"] == container.name for pair in each.get("environment", [])
    ]


def wsgi(handle: Handle) -> WsgiApp:
    """``handle`` as the front mounts it: JSON 1.1 in and out."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            body = dict(json_body(environ))
        except ValueError as error:
            return answer_error(environ, start_response, "SerializationException", str(error))
        status, answer = handle(environ[OPERATION_KEY], body, environ[ACCOUNT_KEY], environ[REGION_KEY])
        if status != 200:
            return answer_error(environ, start_response, answer["__type"], answer["message"], status)
        return answer_json(start_response, answer)

    return app
