"""The ways tasks die, on order: for the demo, for tests, for whoever wants to see the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from taskmedic_local.ecs import wording
from taskmedic_local.ecs.api_definitions import register
from taskmedic_local.ecs.engine import SIGKILL_CODE, Engine
from taskmedic_local.ecs.model import Cluster, Container, Crash, Json, Service, Task, TaskDefinition
from taskmedic_local.ecs.services import Scheduler

STACK_TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/checkout/orders.py", line 88, in place',
    "    total = sum(line.price * line.quantity for line in cart.lines)",
    "AttributeError: 'NoneType' object has no attribute 'lines'",
)
OUT_OF_MEMORY_LOG = (
    "WARN  cache: 481,203 entries, heap 497 MiB of 512 MiB",
    "WARN  cache: 502,877 entries, heap 510 MiB of 512 MiB",
)
HANG_LOG = (
    "WARN  pool-1: 200 of 200 worker threads busy, 1,024 requests waiting",
    "ERROR pool-1: request 7f3a rejected after 30000 ms in the queue",
)


class CauseInvalid(Exception):
    """What was ordered cannot be done; the message says why."""


@dataclass(frozen=True)
class Order:
    """Whom it is to hit and how.

    Attributes:
        cluster: Where.
        service: A service: its first running task, or all of them where the cause says so.
        task: A task by id, instead.
        container: By name; the first essential one without it.
        exit_code: For ``exit`` and ``crash_loop``.
        log_lines: What the container last wrote; each cause has its own default.
        image_tag: For ``bad_image``: the tag that is not there.
        secret: For ``denied_secret``: its ARN; one of the service's own making without it.
        after_s: For ``crash_loop``: how long a container lives.
    """

    cluster: Cluster
    service: Service | None = None
    task: Task | None = None
    container: str = ""
    exit_code: int = 1
    log_lines: tuple[str, ...] = ()
    image_tag: str = "no-such-tag"
    secret: str = ""
    after_s: float = 0.2


@dataclass
class Causes:
    """Every cause by its name."""

    engine: Engine
    scheduler: Scheduler
    by_name: dict[str, Callable[[Order], list[Task]]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {
            "out_of_memory": self.out_of_memory,
            "exit": self.exit,
            "crash_loop": self.crash_loop,
            "bad_image": self.bad_image,
            "denied_secret": self.denied_secret,
            "container_unhealthy": self.container_unhealthy,
            "elb_unhealthy": self.elb_unhealthy,
            "scale_in": self.scale_in,
            "hang": self.hang,
            "host_gone": self.host_gone,
            "spot": self.spot,
        }

    def strike(self, cause: str, order: Order) -> list[Task]:
        """Make it happen; the tasks that are hit at once.

        Raises:
            CauseInvalid: There is no such cause, or nothing it could hit.
        """
        if cause not in self.by_name:
            raise CauseInvalid(f"cause: {cause!r} is not known; there are {', '.join(self.by_name)}")
        with self.engine.change():
            return self.by_name[cause](order)

    def heal(self, cluster: Cluster) -> None:
        """Images are there and stand, and secrets may be read, in the cluster's account and region."""
        with self.engine.change():
            region = self.engine.region_of(cluster)
            region.missing_images.clear()
            region.denied_secrets.clear()
            region.crashing_images.clear()

    def out_of_memory(self, order: Order) -> list[Task]:
        """The kernel kills an essential container."""
        lines = order.log_lines or OUT_OF_MEMORY_LOG
        return self._exits(order, SIGKILL_CODE, wording.OUT_OF_MEMORY, lines)

    def exit(self, order: Order) -> list[Task]:
        """An essential container ends by itself."""
        return self._exits(order, order.exit_code, "", order.log_lines or STACK_TRACE)

    def crash_loop(self, order: Order) -> list[Task]:
        """Every task of the service ends soon after its start, those that run now at once."""
        service = _service(order)
        image = _definition(service.primary.definition, order.container)["image"]
        crash = Crash(order.exit_code, order.log_lines or STACK_TRACE, order.after_s)
        self.engine.region_of(order.cluster).crashing_images[image] = crash
        tasks = _running(service)
        for task in tasks:
            container = container_of(task, order.container)
            self.engine.container_exits(task, container, crash.exit_code, log_lines=list(crash.log_lines))
        return tasks

    def bad_image(self, order: Order) -> list[Task]:
        """A deployment of an image that is not in its registry; the old tasks go on."""
        service = _service(order)
        bad = _definition(service.primary.definition, order.container)
        image = f"{bad['image'].rsplit(':', 1)[0]}:{order.image_tag}"
        self.engine.region_of(order.cluster).missing_images.add(image)
        return self._deploy(service, {bad["name"]: {"image": image}})

    def denied_secret(self, order: Order) -> list[Task]:
        """A deployment with a secret that the execution role may not read; the old tasks go on."""
        service = _service(order)
        bad = _definition(service.primary.definition, order.container)
        region = self.engine.region_of(order.cluster)
        arn = f"arn:aws:secretsmanager:{region.name}:{region.account}:secret:{service.name}/token-Qx7Kd2"
        secret = order.secret or arn
        region.denied_secrets.add(secret)
        others = [each for each in bad.get("secrets", []) if each["valueFrom"] != secret]
        secrets = [*others, {"name": "TOKEN", "valueFrom": secret}]
        return self._deploy(service, {bad["name"]: {"secrets": secrets}})

    def container_unhealthy(self, order: Order) -> list[Task]:
        """The container's own health check fails; the scheduler stops the task."""
        task = _task(order)
        container_of(task, order.container).health = "UNHEALTHY"
        self.engine.stop(task, code="ServiceSchedulerInitiated", reason=wording.CONTAINER_UNHEALTHY)
        return [task]

    def elb_unhealthy(self, order: Order) -> list[Task]:
        """The load balancer's health check fails; the scheduler stops the task."""
        task = _task(order)
        service = task.cluster.services.get(task.service_name)
        if service is None or not service.target_groups:
            raise CauseInvalid("elb_unhealthy: the task's service has no target group")
        reason = wording.elb_unhealthy(service.target_groups[0])
        self.engine.stop(task, code="ServiceSchedulerInitiated", reason=reason)
        return [task]

    def scale_in(self, order: Order) -> list[Task]:
        """One task less is wanted."""
        service = _service(order)
        if not service.desired_count:
            raise CauseInvalid(f"scale_in: {service.name} is scaled to 0 already")
        before = set(_running(service))
        service.desired_count -= 1
        self.scheduler.reconcile(service)
        return [task for task in before if not task.alive]

    def hang(self, order: Order) -> list[Task]:
        """The container stops answering, but does not stop."""
        task = _task(order)
        container = container_of(task, order.container)
        container.health = "UNHEALTHY"
        self.engine.log_lines(task, container, list(order.log_lines or HANG_LOG))
        return [task]

    def host_gone(self, order: Order) -> list[Task]:
        """The EC2 instance under the task is terminated, with every task on it."""
        instance = _task(order).instance
        if instance is None:
            raise CauseInvalid("host_gone: the task runs on Fargate")
        instance.status = "INACTIVE"
        instance.agent_connected = False
        tasks = [each for each in order.cluster.tasks.values() if each.instance is instance and each.alive]
        reason = wording.host_terminated(instance.ec2_instance_id)
        for task in tasks:
            self.engine.stop(task, code="TerminationNotice", reason=reason)
        return tasks

    def spot(self, order: Order) -> list[Task]:
        """Fargate Spot takes the capacity back."""
        task = _task(order)
        if task.capacity_provider != "FARGATE_SPOT":
            raise CauseInvalid("spot: the task does not run on FARGATE_SPOT")
        self.engine.stop(task, code="SpotInterruption", reason=wording.SPOT)
        return [task]

    def _exits(self, order: Order, code: int, reason: str, lines: tuple[str, ...]) -> list[Task]:
        task = _task(order)
        container = container_of(task, order.container)
        self.engine.container_exits(task, container, code, reason=reason, log_lines=list(lines))
        return [task]

    def _deploy(self, service: Service, changes: dict[str, Json]) -> list[Task]:
        """A new revision with some containers changed; the tasks that it starts."""
        old = service.primary.definition
        containers = [{**each, **changes.get(each["name"], {})} for each in old.containers]
        content = {**old.content, "family": old.family, "containerDefinitions": containers}
        region = self.engine.region_of(service.cluster)
        definition = register(region, content, old.tags, self.engine.clock())
        self.scheduler.deploy(service, definition)
        return [task for task in service.tasks.values() if task.definition is definition]


def _service(order: Order) -> Service:
    if order.service is None:
        raise CauseInvalid("service: must be named for this cause")
    return order.service


def _running(service: Service) -> list[Task]:
    return [task for task in service.tasks.values() if task.alive and task.last_status == "RUNNING"]


def _task(order: Order) -> Task:
    """The task named, or the first running one of the service or cluster."""
    if order.task:
        if order.task.last_status != "RUNNING":
            raise CauseInvalid(f"task: {order.task.id} is {order.task.last_status}, not RUNNING")
        return order.task
    candidates = order.service.tasks if order.service else order.cluster.tasks
    for task in candidates.values():
        if task.alive and task.last_status == "RUNNING":
            return task
    raise CauseInvalid("there is no running task")


def container_of(task: Task, name: str) -> Container:
    """A task's container by its name; the first essential one for the empty name.

    Raises:
        CauseInvalid: There is none of that name.
    """
    for container in task.containers:
        if container.name == name or (not name and container.essential):
            return container
    raise CauseInvalid(f"container: task {task.id} has no container {name!r}")


def _definition(definition: TaskDefinition, name: str) -> Json:
    for container in definition.containers:
        if container["name"] == name or (not name and container.get("essential", True)):
            return container
    raise CauseInvalid(f"container: {definition.family} has no container {name!r}")
