"""Looks up what the pre-flight checks need. What may not be looked up becomes ``Unknown``, never an error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from taskmedic.aws.clients import Access, Clients
from taskmedic.aws.errors import translated
from taskmedic.aws.preflight_answers import (
    container_definition,
    default_route,
    exec_agent_status,
    exec_configuration,
    key_state,
    network_interface,
    permission,
)
from taskmedic.domain.errors import AccessDenied, AwsError, TaskNotFound
from taskmedic.domain.nodes import Node
from taskmedic.domain.preflight_facts import (
    ContainerDefinition,
    ExecConfiguration,
    Facts,
    KeyState,
    Network,
    Permission,
    Unknown,
)
from taskmedic.domain.preflight_permissions import wanted_permissions

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
        key = self._key(configuration)
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
            permissions=self._permissions(definition, configuration, key),
            key=key,
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
        return exec_configuration((answer["clusters"] or [{}])[0])

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
                lambda: key_state(self._client("kms").describe_key(KeyId=key)["KeyMetadata"]),
            )

        return self._once(("key", key), look)

    def _permissions(
        self,
        definition: ContainerDefinition | Unknown,
        configuration: ExecConfiguration | Unknown,
        key: KeyState | Unknown | None,
    ) -> Mapping[str, Permission] | Unknown:
        if isinstance(definition, Unknown):
            return definition
        role = definition.task_role_arn
        if not role:
            return {}
        if isinstance(configuration, Unknown):
            configuration = ExecConfiguration()
        key_arn = key.arn if isinstance(key, KeyState) else ""
        wanted = wanted_permissions(configuration, key_arn, self._cluster)
        return self._once(("role", role), lambda: self._simulate(role, wanted))

    def _simulate(
        self, role: str, wanted: Iterable[tuple[str, Sequence[str]]]
    ) -> Mapping[str, Permission] | Unknown:
        iam = self._client("iam")
        said: dict[str, Permission] = {}
        for resource, actions in wanted:
            answer = _attempt(
                "iam:SimulatePrincipalPolicy",
                partial(
                    iam.simulate_principal_policy,
                    PolicySourceArn=role,
                    ActionNames=list(actions),
                    ResourceArns=[resource],
                ),
            )
            if isinstance(answer, Unknown):
                return answer
            said |= {result["EvalActionName"]: permission(result) for result in answer["EvaluationResults"]}
        return said

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
