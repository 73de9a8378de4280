"""Pages of a hundred, and tokens that do not last for ever."""

from __future__ import annotations

import pytest
from tests.unit.local_ecs.builders import ACCOUNT, REGION, LocalEcs, Refused

from taskmedic_local.ecs.records import Placement


@pytest.fixture
def crowded(ecs: LocalEcs) -> LocalEcs:
    """250 tasks in ``prod``."""
    cluster = ecs.engine.cluster(ACCOUNT, REGION, "prod")
    definition = ecs.engine.region(ACCOUNT, REGION).families["web"][0]
    for _ in range(250):
        ecs.engine.settle(cluster, definition, Placement(), 100.0)
    return ecs


def test_each_task_comes_once(crowded: LocalEcs) -> None:
    sizes, arns, token = [], [], ""
    while True:
        more = {"nextToken": token} if token else {}
        page = crowded.call("ListTasks", cluster="prod", **more)
        sizes.append(len(page["taskArns"]))
        arns += page["taskArns"]
        token = page.get("nextToken", "")
        if not token:
            break
    assert sizes == [100, 100, 50]
    assert len(set(arns)) == 250


def test_a_last_page_that_is_full_has_no_token(crowded: LocalEcs) -> None:
    page = crowded.call("ListTasks", cluster="prod", maxResults=50)
    for _ in range(4):
        page = crowded.call("ListTasks", cluster="prod", maxResults=50, nextToken=page["nextToken"])
    assert len(page["taskArns"]) == 50
    assert "nextToken" not in page


def test_a_task_that_goes_between_two_pages_moves_no_other_out_of_sight(crowded: LocalEcs) -> None:
    first = crowded.call("ListTasks", cluster="prod")
    everything = set(crowded.engine.cluster(ACCOUNT, REGION, "prod").tasks)
    for arn in first["taskArns"][:30]:
        crowded.call("StopTask", cluster="prod", task=arn)
    rest, token = [], first["nextToken"]
    while token:
        page = crowded.call("ListTasks", cluster="prod", nextToken=token)
        rest += page["taskArns"]
        token = page.get("nextToken", "")
    assert {arn.rsplit("/", 1)[-1] for arn in [*first["taskArns"], *rest]} == everything


def test_tokens_expire_on_demand(crowded: LocalEcs) -> None:
    token = crowded.call("ListTasks", cluster="prod")["nextToken"]
    crowded.api.pager.expire_tokens()
    with pytest.raises(Refused, match="InvalidParameterException: Invalid token"):
        crowded.call("ListTasks", cluster="prod", nextToken=token)
    assert "nextToken" in crowded.call("ListTasks", cluster="prod")


def test_a_token_is_good_for_its_own_call_only(crowded: LocalEcs) -> None:
    token = crowded.call("ListTasks", cluster="prod")["nextToken"]
    for body in ({"family": "web"}, {"desiredStatus": "STOPPED"}):
        with pytest.raises(Refused, match="InvalidParameterException: Invalid token"):
            crowded.call("ListTasks", cluster="prod", nextToken=token, **body)
    with pytest.raises(Refused, match="InvalidParameterException: Invalid token"):
        crowded.call("ListTasks", cluster="prod", nextToken="no token at all")


def test_services_come_in_tens_unless_more_are_asked_for(ecs: LocalEcs) -> None:
    for number in range(25):
        ecs.call(
            "CreateService",
            cluster="prod",
            serviceName=f"s{number:02}",
            taskDefinition="web",
            desiredCount=0,
            launchType="FARGATE",
        )
    page = ecs.call("ListServices", cluster="prod")
    assert len(page["serviceArns"]) == 10
    assert len(ecs.call("ListServices", cluster="prod", maxResults=100)["serviceArns"]) == 25
