"""Looks up what the pre-flight checks need. What may not be looked up becomes ``Unknown``, never an error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.errors import AccessDenied, AwsError, TaskNotFound
from taskmedic.domain.nodes import Node
from taskmedic.domain.preflight_checks import CHANNEL_ACTIONS, LOG_ACTIONS
from taskmedic.domain.preflight_facts import (
    ContainerDefinition,
    ExecConfiguration,
    Facts,
    KeyState,
    Network,
    Permission,
    Unknown,
)

T = TypeVar("T")


def gather_facts(clients: Clients, nodes: Sequence[Node]) -> list[tuple[Node, Facts]]:
    """The facts of each node, in the order given. What nodes share (role, subnet, …) is read once.

    Raises:
        TaskNotFound: ECS no longer knows a node's task.
        AwsError: the tasks themselves cannot be described.
    """
    groups: dict[tuple[Access, str], list[Node]] = defaultdict(list)
    for node in nodes:
        groups[Access.to_node(node), node.cluster_arn].append(node)
    found: dict[str, Facts] = {}
    for (access, cluster), members in groups.items():
        look = _Look(clients, access, cluster)
        tasks = look.tasks([node.task_arn for node in members])
        for node in members:
            found[node.name] = look.facts(tasks[node.task_arn], node)
    return [(node, found[node.name]) for node in nodes]


def _attempt(action: str, call: Callable[[], T]) -> T | Unknown:
    """What ``call`` gives, or why it cannot be known; ``action`` is the IAM action it needs."""
    try:
        with translated(action):
            return call()
    except AccessDenied:
        return Unknown(f"the caller may not {action}", allow=action)
    except AwsError as error:
        return Unknown(f"{action} was refused: {error.why or error.what}")


class _Look:
    """Look-ups in one cluster with one set of credentials; each shared answer is kept."""

    def __init__(self, clients: Clients, access: Access, cluster: str) -> None:
        self._clients = clients
        self._access = access
        self._cluster = cluster
        self._kept: dict[tuple[str, ...], Any] = {}

    def _client(self, service: str) -> Any:
        return self._clients.get(service, self._access)

    def _once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        value: T = self._kept[key]
        return value

    def tasks(self, arns: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The tasks by ARN; DescribeTasks takes 100 at a time."""
        wanted = list(dict.fromkeys(arns))
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(wanted), 100):
            with translated("cannot describe the tasks", self._cluster):
                answer = self._client("ecs").describe_tasks(
                    cluster=self._cluster, tasks=wanted[start : start + 100]
                )
            found.update({task["taskArn"]: task for task in answer["tasks"]})
        if missing := [arn for arn in wanted if arn not in found]:
            raise TaskNotFound(
                "the task is gone",
                where=missing[0],
                remedy="List the nodes again; ECS forgets a stopped task after an hour.",
            )
        return found

    def facts(self, task: Mapping[str, Any], node: Node) -> Facts:
        """Everything the checks want to know of one container."""
        name = node.container
        container: Mapping[str, Any] = next(
            (c for c in task.get("containers", []) if c.get("name") == name), {}
        )
        definition = self._definition(task, name)
        configuration = self._once(("configuration",), self._configuration)
        return Facts(
            exec_enabled=bool(task.get("enableExecuteCommand")),
            agent_status=exec_agent_status(container),
            container_status=container.get("lastStatus", ""),
            launch_type=task.get("launchType", ""),
            platform_version=task.get("platformVersion", ""),
            platform_family=task.get("platformFamily", ""),
            region=node.region,
            container_agent=self._container_agent(task.get("containerInstanceArn", "")),
            definition=definition,
            exec_configuration=configuration,
            permissions=self._permissions(definition, configuration),
            key=self._key(configuration),
            network=self._network(task, definition),
        )

    def _definition(self, task: Mapping[str, Any], container: str) -> ContainerDefinition | Unknown:
        arn = task["taskDefinitionArn"]
        answer = self._once(
            ("definition", arn),
            lambda: _attempt(
                "ecs:DescribeTaskDefinition",
                lambda: self._client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"],
            ),
        )
        return answer if isinstance(answer, Unknown) else container_definition(answer, task, container)

    def _configuration(self) -> ExecConfiguration | Unknown:
        answer = _attempt(
            "ecs:DescribeClusters",
            lambda: self._client("ecs").describe_clusters(
                clusters=[self._cluster], include=["CONFIGURATIONS"]
            ),
        )
        if isinstance(answer, Unknown):
            return answer
        clusters = answer["clusters"] or [{}]
        settings = clusters[0].get("configuration", {}).get("executeCommandConfiguration", {})
        places = settings.get("logConfiguration", {})
        return ExecConfiguration(
            kms_key_id=settings.get("kmsKeyId", ""),
            logging=settings.get("logging", "DEFAULT"),
            log_group=places.get("cloudWatchLogGroupName", ""),
            bucket=places.get("s3BucketName", ""),
        )

    def _container_agent(self, instance: str) -> str | Unknown:
        if not instance:
            return ""
        answer = self._once(
            ("instance", instance),
            lambda: _attempt(
                "ecs:DescribeContainerInstances",
                lambda: self._client("ecs").describe_container_instances(
                    cluster=self._cluster, containerInstances=[instance]
                ),
            ),
        )
        if isinstance(answer, Unknown):
            return answer
        instances = answer["containerInstances"] or [{}]
        return str(instances[0].get("versionInfo", {}).get("agentVersion", ""))

    def _key(self, configuration: ExecConfiguration | Unknown) -> KeyState | Unknown | None:
        if isinstance(configuration, Unknown) or not configuration.kms_key_id:
            return None
        key = configuration.kms_key_id

        def look() -> KeyState | Unknown:
            return _attempt(
                "kms:DescribeKey",
                lambda: _key_state(self._client("kms").describe_key(KeyId=key)["KeyMetadata"]),
            )

        return self._once(("key", key), look)

    def _permissions(
        self, definition: ContainerDefinition | Unknown, configuration: ExecConfiguration | Unknown
    ) -> Mapping[str, Permission] | Unknown:
        if isinstance(definition, Unknown):
            return definition
        role = definition.task_role_arn
        if not role:
            return {}
        actions = list(CHANNEL_ACTIONS)
        if isinstance(configuration, ExecConfiguration):
            actions += ["kms:Decrypt"] if configuration.kms_key_id else []
            actions += LOG_ACTIONS if configuration.log_group else []
            actions += ["s3:PutObject"] if configuration.bucket else []
        return self._once(("role", role), lambda: self._simulate(role, actions))

    def _simulate(self, role: str, actions: Sequence[str]) -> Mapping[str, Permission] | Unknown:
        answer = _attempt(
            "iam:SimulatePrincipalPolicy",
            lambda: self._client("iam").simulate_principal_policy(PolicySourceArn=role, ActionNames=actions),
        )
        if isinstance(answer, Unknown):
            return answer
        return {result["EvalActionName"]: _permission(result) for result in answer["EvaluationResults"]}

    def _network(
        self, task: Mapping[str, Any], definition: ContainerDefinition | Unknown
    ) -> Network | Unknown | None:
        interface = network_interface(task)
        if not interface:
            awsvpc = isinstance(definition, ContainerDefinition) and definition.network_mode == "awsvpc"
            return Unknown("the task shows no network interface") if awsvpc else None
        answer = _attempt(
            "ec2:DescribeNetworkInterfaces",
            lambda: self._client("ec2").describe_network_interfaces(
                Filters=[{"Name": "network-interface-id", "Values": [interface]}]
            ),
        )
        if isinstance(answer, Unknown):
            return answer
        if not answer["NetworkInterfaces"]:
            return Unknown(f"network interface {interface} is not there any more")
        found = answer["NetworkInterfaces"][0]
        if public_ip := found.get("Association", {}).get("PublicIp", ""):
            return Network(public_ip=public_ip)
        vpc, subnet = found["VpcId"], found["SubnetId"]
        return self._once(("subnet", subnet), lambda: self._way_out(vpc, subnet))

    def _way_out(self, vpc: str, subnet: str) -> Network | Unknown:
        service = f"com.amazonaws.{self._client('ec2').meta.region_name}.ssmmessages"
        endpoints = _attempt(
            "ec2:DescribeVpcEndpoints",
            lambda: self._client("ec2").describe_vpc_endpoints(
                Filters=[_filter("vpc-id", vpc), _filter("service-name", service)]
            )["VpcEndpoints"],
        )
        if isinstance(endpoints, Unknown):
            return endpoints
        usable = [e for e in endpoints if e.get("State", "").lower() == "available"]
        if usable:
            return Network(
                endpoint=usable[0]["VpcEndpointId"],
                endpoint_private_dns=bool(usable[0].get("PrivateDnsEnabled")),
            )
        route = _attempt("ec2:DescribeRouteTables", lambda: self._default_route(vpc, subnet))
        return route if isinstance(route, Unknown) else Network(default_route=route)

    def _default_route(self, vpc: str, subnet: str) -> str:
        """The target of the subnet's default route; the VPC's main table holds where the subnet has none."""
        ec2 = self._client("ec2")
        own = ec2.describe_route_tables(Filters=[_filter("association.subnet-id", subnet)])["RouteTables"]
        tables = (
            own
            or ec2.describe_route_tables(
                Filters=[_filter("vpc-id", vpc), _filter("association.main", "true")]
            )["RouteTables"]
        )
        return default_route(tables[0]["Routes"] if tables else [])


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value]}


def _key_state(metadata: Mapping[str, Any]) -> KeyState:
    return KeyState(state=metadata["KeyState"])


def _permission(result: Mapping[str, Any]) -> Permission:
    if result["EvalDecision"] == "allowed":
        return "allowed"
    # A policy with conditions on values that only a real call has cannot be judged by simulation.
    return "conditional" if result.get("MissingContextValues") else "denied"


def exec_agent_status(container: Mapping[str, Any]) -> str:
    """``lastStatus`` of the container's ExecuteCommandAgent; empty when it has none."""
    agents = container.get("managedAgents", [])
    return next((a.get("lastStatus", "") for a in agents if a.get("name") == "ExecuteCommandAgent"), "")


def container_definition(
    definition: Mapping[str, Any], task: Mapping[str, Any], container: str
) -> ContainerDefinition:
    """What holds for one container: the task definition with the task's overrides over it."""
    own: Mapping[str, Any] = next(
        (c for c in definition.get("containerDefinitions", []) if c.get("name") == container), {}
    )
    overrides = task.get("overrides", {})
    overridden: Mapping[str, Any] = next(
        (c for c in overrides.get("containerOverrides", []) if c.get("name") == container), {}
    )
    named = [*own.get("environment", []), *own.get("secrets", []), *overridden.get("environment", [])]
    return ContainerDefinition(
        task_role_arn=overrides.get("taskRoleArn") or definition.get("taskRoleArn", ""),
        network_mode=definition.get("networkMode", ""),
        pid_mode=definition.get("pidMode", ""),
        read_only_root=bool(own.get("readonlyRootFilesystem")),
        writable_mounts=tuple(
            mount.get("containerPath", "")
            for mount in own.get("mountPoints", [])
            if not mount.get("readOnly")
        ),
        environment=tuple(entry["name"] for entry in named),
    )


def network_interface(task: Mapping[str, Any]) -> str:
    """The id of the network interface of a task in awsvpc mode; empty for other modes."""
    for attachment in task.get("attachments", []):
        if attachment.get("type") in {"ElasticNetworkInterface", "eni"}:
            details = {d["name"]: d["value"] for d in attachment.get("details", [])}
            return str(details.get("networkInterfaceId", ""))
    return ""


def default_route(routes: Iterable[Mapping[str, Any]]) -> str:
    """Where a route table sends what is for the internet; empty when nowhere."""
    targets = ("NatGatewayId", "TransitGatewayId", "GatewayId", "NetworkInterfaceId", "InstanceId")
    for route in routes:
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active":
            return next((str(route[target]) for target in targets if route.get(target)), "")
    return ""
