"""The life of tasks: they start, run, stop and are forgotten, and every change is an event."""

from __future__ import annotations

import functools
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskmedic_local.ecs import render, wording
from taskmedic_local.ecs.model import Cluster, Container, Crash, Json, Region, Service, Task, TaskDefinition
from taskmedic_local.ecs.outbox import Outbox
from taskmedic_local.ecs.pace import Pace
from taskmedic_local.ecs.records import Placement, Records
from taskmedic_local.ecs.schedule import Clock, Schedule

FORGOTTEN_AFTER_S = 3600.0
SIGKILL_CODE = 137
SIGTERM_CODE = 143

Emit = Callable[[Json], None]
WriteLogs = Callable[[Task, Container, list[str]], None]


class Engine(Records):
    """Moves tasks from state to state. What goes out of here (events, logs) waits until the lock is free."""

    def __init__(
        self,
        *,
        emit: Emit,
        write_logs: WriteLogs,
        containers_gone: Callable[[list[str]], None],
        clock: Clock = time.time,
        pace: Pace | None = None,
    ) -> None:
        """
        Args:
            emit: Takes each event, in the order of a task's versions.
            write_logs: Puts a container's lines where its log driver would.
            containers_gone: Ends whatever runs in the containers with these runtime ids.
            clock: Seconds since the epoch.
        """
        super().__init__()
        self.clock = clock
        self.schedule = Schedule(clock)
        self.pace = pace or Pace()
        self.settled: Callable[[Service], None] = lambda _: None  # set by the services' scheduler
        self._emit = emit
        self._write_logs = write_logs
        self._containers_gone = containers_gone
        self._outbox = Outbox()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Read or change records; what has to be told to others is told at the end."""
        with self.lock:
            yield
        self._outbox.send()

    def begin(self, cluster: Cluster, definition: TaskDefinition, placement: Placement) -> Task:
        """A new task, PROVISIONING, or PENDING when it needs no network interface; the rest takes time."""
        task = self.add_task(cluster, definition, placement, self.clock())
        if not task.network:
            task.last_status = "PENDING"
        self._changed(task, first=True)
        if task.network:
            self._later(self.pace.provisioning, self._provisioned, task)
        else:
            self._later(self.pace.pending, self._pulled, task)
        return task

    def settle(
        self, cluster: Cluster, definition: TaskDefinition, placement: Placement, age_s: float
    ) -> Task:
        """A task that has been RUNNING for ``age_s`` seconds; of its past nothing is told."""
        task = self.add_task(cluster, definition, placement, self.clock())
        began = self.clock() - age_s
        task.created_at, task.connectivity_at = began - 20, began - 15
        task.pull_started_at, task.pull_stopped_at = began - 12, began - 2
        self._run(task, began)
        for container in task.containers:
            self._agent_runs(container, task, began + 5)
            container.health = "HEALTHY" if "healthCheck" in container.definition else "UNKNOWN"
        task.version = 4
        task.updated_at = began
        return task

    def stop(self, task: Task, *, code: str, reason: str) -> None:
        """Ask a task to stop; asking again changes nothing."""
        if not task.alive:
            return
        self._doom(task, code, reason)
        self._changed(task)
        self._later(self.pace.stop_begins, self._deactivate, task)
        self._settle_service(task)

    def fail_to_start(self, task: Task, reason: str, container_reasons: dict[str, str]) -> None:
        """A task that never runs: image, secret or network."""
        self._doom(task, "TaskFailedToStart", reason)
        for container in task.containers:
            container.reason = container_reasons.get(container.name, "")
        self._changed(task)
        self._later(self.pace.stop_begins, self._deprovision, task)
        self._settle_service(task, failed=True)

    def container_exits(
        self, task: Task, container: Container, exit_code: int, *, reason: str = "", log_lines: list[str]
    ) -> None:
        """A container ends by itself; with an essential one its task stops."""
        if task.last_status != "RUNNING" or container.last_status != "RUNNING":
            return
        if log_lines:
            self._outbox.put(lambda: self._write_logs(task, container, log_lines))
        container.exit_code, container.reason = exit_code, reason
        self._container_stopped(container)
        if container.essential and task.alive:
            self._doom(task, "EssentialContainerExited", "Essential container in task exited")
            self._later(self.pace.stop_begins, self._deactivate, task)
            self._changed(task)
            self._settle_service(task, failed=True)
        else:
            self._changed(task)

    def log_lines(self, task: Task, container: Container, lines: list[str]) -> None:
        """A container writes to its log."""
        self._outbox.put(lambda: self._write_logs(task, container, lines))

    def _provisioned(self, task: Task) -> None:
        if not task.alive or task.last_status != "PROVISIONING":
            return
        if task.network:
            task.network.status = "ATTACHED"
        task.last_status = "PENDING"
        task.connectivity_at = self.clock()
        self._changed(task)
        self._later(self.pace.pending, self._pulled, task)

    def _pulled(self, task: Task) -> None:
        if not task.alive or task.last_status != "PENDING":
            return
        now = self.clock()
        task.connectivity_at = task.connectivity_at or now
        region = self.region_of(task.cluster)
        if secret := _denied_secret(region, task):
            self.fail_to_start(task, wording.secret_denied(task, secret), {})
            return
        task.pull_started_at = now - self.pace.pending
        task.pull_stopped_at = now
        if container := _without_image(region, task):
            reason = wording.image_not_found(container.definition["image"])
            self.fail_to_start(task, reason, {container.name: reason} if task.launch_type == "EC2" else {})
            return
        self._run(task, now)
        self._changed(task)
        self._later(self.pace.agent_start, self._agents_start, task)
        self._later(self.pace.healthy, self._turns_healthy, task)
        self._crashes(region, task)
        self._settle_service(task)

    def _run(self, task: Task, at: float) -> None:
        task.last_status = "RUNNING"
        task.started_at = at
        if task.network:
            task.network.status = "ATTACHED"
        for container in task.containers:
            container.last_status = "RUNNING"
            container.image_digest = _digest(container.definition["image"])
            container.runtime_id = (
                f"{task.id}-{secrets.randbelow(10**10):010d}"
                if task.launch_type == "FARGATE"
                else secrets.token_hex(32)
            )

    def _agents_start(self, task: Task) -> None:
        if task.last_status == "RUNNING" and task.exec_enabled:
            for container in task.containers:
                if container.last_status == "RUNNING":
                    self._agent_runs(container, task, self.clock())
            self._changed(task)

    def _agent_runs(self, container: Container, task: Task, at: float) -> None:
        if task.exec_enabled:
            container.agent_status = "RUNNING"
            container.agent_started_at = at

    def _turns_healthy(self, task: Task) -> None:
        """Health is not in the event, so that there is none."""
        for container in task.containers:
            checked = "healthCheck" in container.definition
            if container.last_status == "RUNNING" and container.health == "UNKNOWN" and checked:
                container.health = "HEALTHY"

    def _crashes(self, region: Region, task: Task) -> None:
        for container in task.containers:
            if crash := region.crashing_images.get(container.definition["image"]):
                self._later(crash.after_s, functools.partial(self._crash, container, crash), task)

    def _crash(self, container: Container, crash: Crash, task: Task) -> None:
        self.container_exits(
            task, container, crash.exit_code, reason=crash.reason, log_lines=list(crash.log_lines)
        )

    def _doom(self, task: Task, code: str, reason: str) -> None:
        task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason = code, reason
        task.stopping_at = self.clock()

    def _deactivate(self, task: Task) -> None:
        if task.last_status == "RUNNING":
            task.last_status = "DEACTIVATING"
            self._changed(task)
            self._later(self.pace.deactivating, self._stop_containers, task)
        else:
            self._deprovision(task)

    def _stop_containers(self, task: Task) -> None:
        task.last_status = "STOPPING"
        self._changed(task)
        self._later(self.pace.stopping, self._containers_stopped, task)

    def _containers_stopped(self, task: Task) -> None:
        for container in task.containers:
            if container.last_status == "RUNNING":
                container.exit_code = SIGTERM_CODE if container.essential else 0
                self._container_stopped(container)
        self._deprovision(task)

    def _container_stopped(self, container: Container) -> None:
        container.last_status = "STOPPED"
        if container.agent_status:
            container.agent_status = "STOPPED"
        self._outbox.put(lambda: self._containers_gone([container.runtime_id]))

    def _deprovision(self, task: Task) -> None:
        if task.started_at:
            task.execution_stopped_at = self.clock()
        for container in task.containers:
            container.last_status = "STOPPED"
            container.agent_status = "STOPPED" if container.agent_status else ""
        if not task.network:
            self._stopped(task)
            return
        task.last_status = "DEPROVISIONING"
        self._changed(task)
        self._later(self.pace.deprovisioning, self._stopped, task)

    def _stopped(self, task: Task) -> None:
        if task.network:
            task.network.status = "DELETED"
        task.last_status = "STOPPED"
        task.stopped_at = self.clock()
        self._changed(task)
        self._later(FORGOTTEN_AFTER_S, self.remove_task, task)
        self._settle_service(task)

    def _settle_service(self, task: Task, *, failed: bool = False) -> None:
        service = task.cluster.services.get(task.service_name)
        if service is None or task.id not in service.tasks:
            return
        if failed:
            for deployment in service.deployments:
                deployment.failed_tasks += deployment.id == task.deployment_id
            lived = self.clock() - (task.started_at or self.clock())
            service.start_failures = service.start_failures + 1 if lived < self.pace.short_life else 0
        self.settled(service)

    def _later(self, seconds: float, step: Callable[[Task], None], task: Task) -> None:
        def job() -> None:
            with self.change():
                step(task)

        self.schedule.after(seconds, job)

    def _changed(self, task: Task, *, first: bool = False) -> None:
        task.version += not first
        task.updated_at = self.clock()
        region = self.region_of(task.cluster)
        event = render.task_event(task, account=region.account, region=region.name, at=task.updated_at)
        self._outbox.put(lambda: self._emit(event))


def _denied_secret(region: Region, task: Task) -> str:
    """The first secret of the task that its execution role may not read; empty when there is none."""
    for container in task.containers:
        for secret in container.definition.get("secrets", []):
            if secret["valueFrom"] in region.denied_secrets:
                return str(secret["valueFrom"])
    return ""


def _without_image(region: Region, task: Task) -> Container | None:
    """The first container whose image is not in its registry."""
    return next((each for each in task.containers if each.definition["image"] in region.missing_images), None)


def _digest(image: str) -> str:
    return "sha256:" + hashlib.sha256(image.encode()).hexdigest()
