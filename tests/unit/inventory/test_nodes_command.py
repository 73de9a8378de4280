"""``taskmedic nodes`` as a person and a program meet it, over an ECS in memory."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from tests.unit.inventory.ecs_world import EcsWorld, WorldClients, a_task

from taskmedic.domain.errors import TaskmedicError
from taskmedic_cli.commands import nodes as command

ROLES = ("arn:aws:iam::111111111111:role/a", "arn:aws:iam::222222222222:role/b")


def world() -> EcsWorld:
    return EcsWorld().with_tasks(
        a_task(1, containers={"app": "shop/checkout:1", "proxy": "nginx:1"}, tags={"team": "shop"}),
        a_task(2, service="search", family="search", tags={"team": "find"}),
        a_task(3, cluster="batch", service="", family="report"),
    )


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``nodes("--cluster", "prod", clients=…)``"""

    def invoke(*arguments: str, clients: WorldClients | None = None) -> Result:
        made = clients or WorldClients(world())
        monkeypatch.setattr(command, "clients_for", lambda profile: made)
        return CliRunner().invoke(command.nodes, arguments)

    return invoke


def listed(result: Result) -> list[str]:
    return [node["name"].lstrip("0") for node in json.loads(result.stdout)]


def test_a_pipe_gets_whole_lines(nodes: Callable[..., Result]) -> None:
    result = nodes("--cluster", "prod")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["NAME", "CLUSTER", "SERVICE"]
    assert [line.split()[0] for line in lines[1:]] == [f"{1:032x}/app", f"{1:032x}/proxy", f"{2:032x}/app"]
    assert "10.0.0.2" in lines[3]


def test_json_is_an_array_of_nodes(nodes: Callable[..., Result]) -> None:
    (first, *_) = json.loads(nodes("--cluster", "prod", "--json").stdout)
    assert first.keys() == {"name", "attributes", "tags"}
    assert first["attributes"]["ECS:Container-Image"] == "shop/checkout:1"
    assert first["tags"] == ["team=shop"]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--all-clusters"], ["1/app", "1/proxy", "2/app", "3/app"]),
        (["--cluster", "prod,batch", "--service", "search"], ["2/app"]),
        (["--cluster", "prod", "--task", f"{2:032x}"], ["2/app"]),
        (["--cluster", "prod", "--task-definition", "search:3"], ["2/app"]),
        (["--cluster", "prod", "--container", "proxy"], ["1/proxy"]),
        (["--cluster", "prod", "--tags", "team=find"], ["2/app"]),
        (["--cluster", "prod", "--tags", "team=find", "--filter-behavior", "exclude"], ["1/app", "1/proxy"]),
        (["--cluster", "prod", "--filter", "ECS:Container-Image: nginx.*"], ["1/proxy"]),
        (["--cluster", "prod", "--first"], ["1/app"]),
        (["--cluster", "prod", "--at-most", "70%"], ["1/app", "1/proxy"]),
        (["--cluster", "prod", "--rank-order", "descending", "--at-most", "1"], ["2/app"]),
        (["--cluster", "prod", "--rank-attribute", "ECS:Service-Name"], ["1/app", "1/proxy", "2/app"]),
    ],
)
def test_flags(nodes: Callable[..., Result], flags: list[str], found: list[str]) -> None:
    assert listed(nodes(*flags, "--json")) == found


def test_random_subset(nodes: Callable[..., Result]) -> None:
    assert len(listed(nodes("--all-clusters", "--random", "2", "--json"))) == 2


def test_columns_to_choose(nodes: Callable[..., Result]) -> None:
    result = nodes("--cluster", "prod", "--columns", "ECS:Container-Name,ECS:Tag-team")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["CONTAINER", "TAG", "TEAM"],
        ["app", "shop"],
        ["proxy", "shop"],
        ["app", "find"],
    ]


def test_by_attribute(nodes: Callable[..., Result]) -> None:
    result = nodes("--all-clusters", "--by", "ECS:Service-Name")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["COUNT", "SERVICE"],
        ["2", "checkout"],
        ["1", "(none)"],
        ["1", "search"],
    ]


def test_by_attribute_as_json(nodes: Callable[..., Result]) -> None:
    result = nodes("--all-clusters", "--by", "ECS:Service-Name", "--json")
    assert json.loads(result.stdout) == [
        {"value": "checkout", "count": 2},
        {"value": None, "count": 1},
        {"value": "search", "count": 1},
    ]


def test_a_source_for_each_region_and_role(nodes: Callable[..., Result]) -> None:
    regions = ("eu-west-1", "us-east-1")
    places = [(region, role) for role in ROLES for region in regions]
    clients = WorldClients(
        {
            place: EcsWorld().with_tasks(a_task(number, region=place[0]))
            for number, place in enumerate(places, 1)
        }
    )
    flags = [flag for region in regions for flag in ("--region", region)]
    flags += [flag for role in ROLES for flag in ("--assume-role-arn", role)]
    assert len(listed(nodes("--cluster", "prod", *flags, "--json", clients=clients))) == 4


def test_what_fails_is_told_on_stderr_and_the_rest_is_shown(nodes: Callable[..., Result]) -> None:
    result = nodes("--cluster", "prod,nope", "--json")
    assert len(listed(result)) == 3
    assert "taskmedic: cluster nope does not exist" in result.stderr
    assert result.exit_code == 1


def test_of_several_accounts_the_one_that_lacks_the_cluster_is_named(nodes: Callable[..., Result]) -> None:
    clients = WorldClients({("", ROLES[0]): world(), ("", ROLES[1]): EcsWorld()})
    flags = ["--assume-role-arn", ROLES[0], "--assume-role-arn", ROLES[1]]
    result = nodes("--cluster", "prod", *flags, "--json", clients=clients)
    assert len(listed(result)) == 3
    assert result.stderr.startswith(f"taskmedic: prod as {ROLES[1]}: cluster prod does not exist")
    assert ROLES[0] not in result.stderr


def test_a_role_that_cannot_be_assumed_ends_with_3(nodes: Callable[..., Result]) -> None:
    clients = WorldClients({("", ROLES[0]): world()})
    flags = ["--assume-role-arn", ROLES[0], "--assume-role-arn", ROLES[1]]
    result = nodes("--cluster", "prod", *flags, "--json", clients=clients)
    assert len(listed(result)) == 3
    assert ROLES[1] in result.stderr
    assert result.exit_code == 3


def test_no_match_ends_with_1_and_says_why(nodes: Callable[..., Result]) -> None:
    result = nodes("--cluster", "prod", "--filter", "name: nope", "--json")
    assert result.stdout.strip() == "[]"
    assert "note: filter name: nope: matches none of 3 running containers" in result.stderr
    assert isinstance(result.exception, TaskmedicError)
    assert result.exception.exit_code == 1


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--cluster", "prod", "--filter", "nope: x"],
        ["--cluster", "prod", "--columns", "nope"],
        ["--cluster", "prod", "--by", "nope"],
        ["--cluster", "prod", "--rank-attribute", "nope"],
        ["--cluster", "prod", "--at-most", "many"],
        ["--cluster", "prod", "--tags", "team"],
    ],
)
def test_bad_flags_end_with_2_before_anything_is_asked(
    nodes: Callable[..., Result], flags: list[str]
) -> None:
    clients = WorldClients(world())
    result = nodes(*flags, clients=clients)
    assert isinstance(result.exception, TaskmedicError)
    assert result.exception.exit_code == 2
    assert clients.asked == []


def test_the_host_is_looked_up_only_for_who_asks(nodes: Callable[..., Result]) -> None:
    arn = "arn:aws:ecs:eu-west-1:111111111111:container-instance/prod/x"
    ecs = EcsWorld().with_tasks(a_task(1, launchType="EC2", containerInstanceArn=arn))
    ecs.instances[arn] = {"ec2InstanceId": "i-1", "agentConnected": True}
    nodes("--cluster", "prod", clients=WorldClients(ecs))
    assert ecs.calls["DescribeContainerInstances"] == 0
    result = nodes("--cluster", "prod", "--columns", "ECS:EC2-Instance-ID", clients=WorldClients(ecs))
    assert result.stdout.split()[-1] == "i-1"
    whole = nodes("--cluster", "prod", "--json", clients=WorldClients(ecs))
    assert json.loads(whole.stdout)[0]["attributes"]["ECS:EC2-Instance-ID"] == "i-1"


def test_watch_shows_again_and_again_until_ctrl_c(
    nodes: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a service that loses a task between two looks, and a person who has seen enough after three
    ecs = world()
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        ecs.clusters["prod"] = ecs.clusters["prod"][:1]
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", pause)
    result = nodes("--cluster", "prod", "--watch", "2", "--json", clients=WorldClients(ecs))
    assert result.exit_code == 0
    assert [len(json.loads(line)) for line in result.stdout.splitlines()] == [3, 2, 2]
    assert looks == [2.0, 2.0, 2.0]


def test_watch_has_a_pace_of_its_own(nodes: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", pause)
    assert nodes("--cluster", "prod", "--watch", "--json").exit_code == 0
    assert looks == [5.0]
