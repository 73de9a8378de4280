"""The services' scheduler: keeps the desired count, rolls deployments out, slows down on failures."""

from __future__ import annotations

import secrets
import uuid

from taskmedic_local.ecs.engine import Engine
from taskmedic_local.ecs.model import (
    Cluster,
    ContainerInstance,
    Deployment,
    Json,
    Service,
    Task,
    TaskDefinition,
)
from taskmedic_local.ecs.records import Placement

EVENTS_KEPT = 100
SLOW_AFTER_FAILURES = 3
SLOWEST_TIMES = 32


class Scheduler:
    """Works inside the engine's lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._busy: set[Service] = set()
        engine.settled = self.reconcile

    def create(
        self,
        cluster: Cluster,
        name: str,
        definition: TaskDefinition,
        *,
        desired_count: int,
        launch_type: str,
        exec_enabled: bool,
        content: Json,
        tags: list[Json],
    ) -> Service:
        """A new service, and its first tasks."""
        now = self._engine.clock()
        service = Service(
            name, cluster, desired_count, launch_type, [], now, exec_enabled, content=content, tags=tags
        )
        service.deployments.append(self._deployment(definition))
        cluster.services[name] = service
        self.reconcile(service)
        return service

    def deploy(self, service: Service, definition: TaskDefinition) -> None:
        """A new primary deployment; the tasks of the others go when its own run."""
        for deployment in service.deployments:
            deployment.status = "ACTIVE"
        service.deployments.insert(0, self._deployment(definition))
        service.start_failures = 0
        self.reconcile(service)

    def delete(self, service: Service) -> None:
        """Drain it: its tasks stop, none comes back."""
        service.status = "DRAINING"
        service.desired_count = 0
        self.reconcile(service)

    def settle(self, service: Service, age_s: float) -> None:
        """Fill it up with tasks that have been running for a while."""
        deployment = service.primary
        for _ in range(service.desired_count - len(_alive(service))):
            self._engine.settle(
                service.cluster, deployment.definition, self._placement(service, deployment), age_s
            )
        self.reconcile(service)

    def reconcile(self, service: Service) -> None:
        """Start and stop tasks until there is what is wanted."""
        if service in self._busy:  # a task that it stops reports back here
            return
        self._busy.add(service)
        try:
            self._reconcile(service)
        finally:
            self._busy.discard(service)

    def _reconcile(self, service: Service) -> None:
        primary = service.primary
        own = [task for task in _alive(service) if task.deployment_id == primary.id]
        others = [task for task in _alive(service) if task.deployment_id != primary.id]
        if len(own) < service.desired_count and service.status == "ACTIVE":
            self._start(service, service.desired_count - len(own))
        elif len(own) > service.desired_count:
            self._stop(service, own[service.desired_count :])
        running = _running(own)
        # What has not come up goes; of what runs as much as the service can do without.
        old = _running(others)
        surplus = max(0, len(running) + len(old) - service.desired_count)
        leaving = [task for task in others if task.last_status != "RUNNING"] + old[:surplus]
        if leaving:
            self._stop(service, leaving)
        self._complete(service, len(running))

    def _start(self, service: Service, count: int) -> None:
        engine = self._engine
        now = engine.clock()
        if now < service.starts_held_until:
            return
        if service.start_failures >= SLOW_AFTER_FAILURES:
            self._slow_down(service, now)
        else:
            self._start_now(service, count)

    def _slow_down(self, service: Service, now: float) -> None:
        times = min(2 ** (service.start_failures - SLOW_AFTER_FAILURES), SLOWEST_TIMES)
        wait = self._engine.pace.retry * times
        service.starts_held_until = now + wait
        if times == 1:
            self._say(service, "is unable to consistently start tasks successfully.")

        def start_held() -> None:
            with self._engine.change():
                missing = service.desired_count - sum(
                    task.deployment_id == service.primary.id for task in _alive(service)
                )
                if service.status == "ACTIVE" and missing > 0:
                    self._start_now(service, missing)

        self._engine.schedule.after(wait, start_held)

    def _start_now(self, service: Service, count: int) -> None:
        primary = service.primary
        started = [
            self._engine.begin(service.cluster, primary.definition, self._placement(service, primary))
            for _ in range(count)
        ]
        self._say(service, f"has started {count} tasks: {_names(started)}.")

    def _stop(self, service: Service, tasks: list[Task]) -> None:
        self._say(service, f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")
        for task in tasks:
            reason = f"Scaling activity initiated by (deployment {task.deployment_id})"
            self._engine.stop(task, code="ServiceSchedulerInitiated", reason=reason)

    def _complete(self, service: Service, running: int) -> None:
        alive = {task.deployment_id for task in _alive(service)}
        service.deployments = [
            each for each in service.deployments if each is service.primary or each.id in alive
        ]
        primary = service.primary
        done = running >= service.desired_count and len(service.deployments) == 1
        if done and primary.rollout == "IN_PROGRESS":
            primary.rollout = "COMPLETED"
            primary.rollout_reason = f"ECS deployment {primary.id} completed."
            primary.updated_at = self._engine.clock()
            self._say(service, "has reached a steady state.")
        gone = all(task.last_status == "STOPPED" for task in service.tasks.values())
        if service.status == "DRAINING" and gone:
            service.status = "INACTIVE"

    def _placement(self, service: Service, deployment: Deployment) -> Placement:
        providers = [each["capacityProvider"] for each in service.content.get("capacityProviderStrategy", [])]
        return Placement(
            launch_type=service.launch_type,
            capacity_provider=providers[0] if providers else "",
            subnets=subnets_of(service.content),
            exec_enabled=service.exec_enabled,
            started_by=deployment.id,
            group=f"service:{service.name}",
            service=service,
            deployment_id=deployment.id,
            tags=tuple(service.tags),
            instance=least_busy(service.cluster) if service.launch_type == "EC2" else None,
        )

    def _deployment(self, definition: TaskDefinition) -> Deployment:
        now = self._engine.clock()
        deployment_id = f"ecs-svc/{secrets.randbelow(9 * 10**18) + 10**18}"
        return Deployment(
            deployment_id, definition, now, now, rollout_reason=f"ECS deployment {deployment_id} in progress."
        )

    def _say(self, service: Service, message: str) -> None:
        """A service event."""
        event = {
            "id": str(uuid.uuid4()),
            "createdAt": self._engine.clock(),
            "message": f"(service {service.name}) {message}",
        }
        service.events.insert(0, event)
        del service.events[EVENTS_KEPT:]


def least_busy(cluster: Cluster) -> ContainerInstance | None:
    """The active container instance with the fewest tasks."""
    load = {
        each: 0 for each in cluster.instances.values() if each.status == "ACTIVE" and each.agent_connected
    }
    for task in cluster.tasks.values():
        if task.alive and task.instance in load:
            load[task.instance] += 1
    return min(load, key=lambda each: load[each], default=None)


def subnets_of(content: Json) -> tuple[str, ...]:
    """The subnets that a service or RunTask names."""
    network: Json = content.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
    return tuple(network.get("subnets", []))


def _alive(service: Service) -> list[Task]:
    return [task for task in service.tasks.values() if task.alive]


def _running(tasks: list[Task]) -> list[Task]:
    return [task for task in tasks if task.last_status == "RUNNING"]


def _names(tasks: list[Task]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)
