"""The step find_nodes: what travels in the execution, and what goes to S3."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.unit.inventory.ecs_world import EcsWorld, WorldClients, a_task, refused

from taskmedic.aws.clients import Access
from taskmedic.domain.errors import AccessDenied, ClusterNotFound, FilterInvalid, NodeNotFound, Throttled
from taskmedic.settings import FindNodesSettings
from taskmedic.steps import find_nodes

SETTINGS = FindNodesSettings(evidence_bucket="evidence")
ROLE = "arn:aws:iam::222222222222:role/reader"
COMMAND = {"name": "dump", "type": "command", "spec": {"script": "id", "timeout_s": 60, "via": "exec"}}


class Bucket:
    """S3, in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        self.objects[f"{Bucket}/{Key}"] = json.loads(Body)


class StepClients(WorldClients):
    def __init__(self, worlds: EcsWorld | dict[tuple[str, str], EcsWorld]) -> None:
        super().__init__(worlds)
        self.bucket = Bucket()

    def get(self, service: str, access: Access | None = None, *, retry: bool = True) -> Any:
        return self.bucket if service == "s3" else super().get(service, access, retry=retry)


def run(
    clients: StepClients,
    nodes: dict[str, Any],
    *,
    steps: tuple[dict[str, Any], ...] = (COMMAND,),
    dispatch: dict[str, Any] | None = None,
) -> dict[str, Any]:
    event = {
        "run": {"execution_name": "run-1"},
        "trigger": {},
        "plan": {"nodes": nodes, "dispatch": dispatch or {}, "steps": list(steps)},
    }
    return find_nodes.run(event, SETTINGS, clients)  # type: ignore[arg-type]


def clients_of(*tasks: dict[str, Any]) -> StepClients:
    return StepClients(EcsWorld().with_tasks(*tasks))


def test_few_nodes_travel_whole_and_in_order() -> None:
    clients = clients_of(*(a_task(number) for number in range(1, 4)))
    found = run(clients, {"clusters": "prod"}, dispatch={"threads": 2, "rank_order": "descending"})
    assert (found["count"], found["mode"], found["batches_ref"]) == (3, "inline", None)
    batched = {node["name"] for batch in found["batches"] for node in batch}
    assert batched == {node["name"] for node in found["nodes"]}
    assert [int(node["name"].split("/")[0], 16) for node in found["nodes"]] == [3, 2, 1]
    assert found["sources"] == [{"source": "prod", "count": 3, "error": "", "notes": []}]


def test_a_node_in_the_execution_says_where_and_as_whom_it_is_reached() -> None:
    clients = StepClients({("eu-west-1", ROLE): EcsWorld().with_tasks(a_task(1))})
    source = {"clusters": "prod", "region": "eu-west-1", "assume_role_arn": ROLE, "external_id": "shop"}
    found = run(clients, source)
    address = {
        "cluster_arn": "arn:aws:ecs:eu-west-1:111111111111:cluster/prod",
        "task_arn": f"arn:aws:ecs:eu-west-1:111111111111:task/prod/{1:032x}",
        "region": "eu-west-1",
        "assume_role_arn": ROLE,
        "external_id": "shop",
    }
    assert found["nodes"] == [
        {"name": f"{1:032x}/app", "container": "app", "account": "111111111111", **address}
    ]
    assert found["stop_tasks"] == [{**address, "service": "checkout"}]


def test_the_whole_list_goes_to_s3() -> None:
    clients = clients_of(a_task(1))
    found = run(clients, {"clusters": "prod"})
    assert found["nodes_ref"]["uri"] == "s3://evidence/nodes/run-1/nodes.json"
    (node,) = clients.bucket.objects["evidence/nodes/run-1/nodes.json"]
    assert node["attributes"]["ECS:Container-Image"] == "shop/checkout:1.0"


def test_many_nodes_go_through_s3_and_the_answer_stays_small() -> None:
    clients = clients_of(
        *(a_task(number, containers={"app": "a", "proxy": "b"}) for number in range(1, 1501))
    )
    found = run(clients, {"clusters": "prod"}, dispatch={"threads": 50})
    assert (found["count"], found["mode"], found["batches"]) == (3000, "distributed", [])
    assert len(json.dumps(found)) < 200_000  # of the 262,144 that a state may be given
    assert 200 <= len(found["nodes"]) <= 300
    assert len(found["stop_tasks"]) == 100
    batches = clients.bucket.objects["evidence/nodes/run-1/batches.json"]
    assert found["batches_ref"]["key"] == "nodes/run-1/batches.json"
    assert sorted(node["name"] for batch in batches for node in batch) == sorted(
        node["name"] for node in clients.bucket.objects["evidence/nodes/run-1/nodes.json"]
    )
    assert sum(map(len, batches)) == 3000


def test_few_nodes_with_many_long_tags_go_through_s3_too() -> None:
    tags = {f"{number:03}": "x" * 256 for number in range(45)}
    clients = clients_of(*(a_task(number, tags=tags) for number in range(1, 21)))
    found = run(clients, {"clusters": "prod"})
    assert (found["count"], found["mode"], found["batches"]) == (20, "distributed", [])


def test_each_task_is_to_be_stopped_once() -> None:
    found = run(clients_of(a_task(1, containers={"app": "a", "proxy": "b"})), {"clusters": "prod"})
    assert (found["count"], len(found["stop_tasks"])) == (2, 1)


def test_limits_choose_the_same_nodes_when_the_function_is_called_again() -> None:
    tasks = [a_task(number) for number in range(1, 50)]
    nodes = {"clusters": "prod", "limits": {"random": 5}}
    first, again = run(clients_of(*tasks), nodes), run(clients_of(*reversed(tasks)), nodes)
    assert first["nodes"] == again["nodes"]
    assert first["count"] == 5


def test_filter_over_several_sources() -> None:
    clients = clients_of(a_task(1, cluster="a"), a_task(2, cluster="b"), a_task(3, cluster="b"))
    sources = {"sources": [{"clusters": "a"}, {"clusters": "b"}], "filter": f"!name: {2:032x}/app"}
    assert run(clients, sources)["count"] == 2


@pytest.mark.parametrize(
    "step",
    [
        {**COMMAND, "spec": {**COMMAND["spec"], "via": "auto"}},
        {**COMMAND, "spec": {**COMMAND["spec"], "script": "echo ${node.ECS:EC2-Instance-ID}"}},
    ],
)
def test_the_host_is_looked_up_for_steps_that_need_it(step: dict[str, Any]) -> None:
    arn = "arn:aws:ecs:eu-west-1:111111111111:container-instance/prod/x"
    clients = clients_of(a_task(1, launchType="EC2", containerInstanceArn=arn))
    clients.get("ecs").instances[arn] = {"ec2InstanceId": "i-1", "agentConnected": True}
    found = run(clients, {"clusters": "prod"}, steps=(step,))
    assert found["batches"][0][0]["attributes"]["ECS:EC2-Instance-ID"] == "i-1"


def test_no_match_is_an_error_that_says_what_was_asked() -> None:
    with pytest.raises(NodeNotFound, match=r"prod.*filter name: x: matches none of 1 running containers"):
        run(clients_of(a_task(1)), {"clusters": "prod", "filter": "name: x"})


def test_no_match_may_be_allowed() -> None:
    found = run(clients_of(a_task(1)), {"clusters": "prod", "filter": "name: x", "allow_empty": True})
    assert (found["count"], found["mode"], found["batches"], found["stop_tasks"]) == (0, "none", [], [])
    assert found["nodes_ref"]["key"] == "nodes/run-1/nodes.json"


def test_a_cluster_that_does_not_exist_is_that_error_even_where_no_match_is_allowed() -> None:
    with pytest.raises(ClusterNotFound, match="nope"):
        run(clients_of(a_task(1)), {"clusters": "nope", "allow_empty": True})


def test_a_source_that_fails_is_reported_and_the_rest_goes_on() -> None:
    found = run(clients_of(a_task(1)), {"sources": [{"clusters": "nope"}, {"clusters": "prod"}]})
    assert found["count"] == 1
    assert "cluster nope does not exist" in found["sources"][0]["error"]
    assert found["sources"][1]["error"] == ""


def failing(world: EcsWorld, code: str) -> EcsWorld:
    def refuse(_: object) -> None:
        raise refused(code, "ListTasks")

    world.on["ListTasks"] = refuse
    return world


def test_throttling_that_leaves_nothing_is_transient() -> None:
    clients = StepClients(failing(EcsWorld(clusters={"prod": []}), "ThrottlingException"))
    with pytest.raises(Throttled):
        run(clients, {"clusters": "prod"})


def test_a_permission_that_is_missing_is_named() -> None:
    clients = StepClients(failing(EcsWorld(clusters={"prod": []}), "AccessDeniedException"))
    with pytest.raises(AccessDenied, match="ListTasks"):
        run(clients, {"clusters": "prod"})


def test_several_sources_that_fail_in_different_ways_are_all_told() -> None:
    world = EcsWorld().with_tasks(a_task(1))
    nodes = {"sources": [{"clusters": "nope"}, {"clusters": "prod", "services": "gone"}]}
    with pytest.raises(NodeNotFound, match=r"nope.*gone"):
        run(StepClients(world), nodes)


def test_a_filter_that_cannot_be_read_is_that_error() -> None:
    with pytest.raises(FilterInvalid, match="nope"):
        run(clients_of(a_task(1)), {"clusters": "prod", "filter": "nope: x"})


def test_pydantic_is_not_imported() -> None:
    """It would cost a cold start what the whole look-up takes."""
    code = "import sys, taskmedic.steps.find_nodes; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
