"""Services keep what is wanted: replacement, scaling, deployments, patience with what keeps failing."""

from __future__ import annotations

import pytest
from tests.unit.local_ecs.builders import LocalEcs, Refused, a_definition


def test_a_stopped_task_is_replaced(web: LocalEcs) -> None:
    first, second = web.running()
    web.call("StopTask", cluster="prod", task=first)
    web.pass_time(30)
    now = web.running()
    assert len(now) == 2
    assert second in now
    assert first not in now


def test_scaling_out_and_in(web: LocalEcs) -> None:
    web.call("UpdateService", cluster="prod", service="web", desiredCount=5)
    web.pass_time(30)
    assert len(web.running()) == 5
    web.call("UpdateService", cluster="prod", service="web", desiredCount=1)
    web.pass_time(30)
    assert len(web.running()) == 1
    stopped = [event["detail"] for event in web.events if event["detail"]["lastStatus"] == "STOPPED"]
    assert len(stopped) == 4
    deployment = web.call("DescribeServices", cluster="prod", services=["web"])["services"][0]["deployments"][
        0
    ]
    assert {detail["stoppedReason"] for detail in stopped} == {
        f"Scaling activity initiated by (deployment {deployment['id']})"
    }
    assert {detail["stopCode"] for detail in stopped} == {"ServiceSchedulerInitiated"}


def test_a_new_deployment_replaces_the_tasks_and_the_service_stays_whole(web: LocalEcs) -> None:
    before = web.running()
    web.call("UpdateService", cluster="prod", service="web", forceNewDeployment=True)
    for _ in range(60):
        web.pass_time(1)
        assert len(web.running()) >= 2
    after = web.running()
    assert len(after) == 2
    assert not set(before) & set(after)
    service = web.call("DescribeServices", cluster="prod", services=["web"])["services"][0]
    (deployment,) = service["deployments"]
    assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "COMPLETED")
    assert {web.describe(arn)["startedBy"] for arn in after} == {deployment["id"]}
    assert service["events"][0]["message"] == "(service web) has reached a steady state."


def test_a_new_revision_is_rolled_out(web: LocalEcs) -> None:
    web.call("RegisterTaskDefinition", **a_definition())
    web.call("UpdateService", cluster="prod", service="web", taskDefinition="web:2")
    web.pass_time(60)
    revisions = {web.describe(arn)["taskDefinitionArn"].rsplit(":", 1)[-1] for arn in web.running()}
    assert revisions == {"2"}


def test_deployments_show_while_they_are_under_way(web: LocalEcs) -> None:
    web.call("UpdateService", cluster="prod", service="web", forceNewDeployment=True)
    service = web.call("DescribeServices", cluster="prod", services=["web"])["services"][0]
    assert [each["status"] for each in service["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert (service["runningCount"], service["pendingCount"], service["desiredCount"]) == (2, 2, 2)


def test_what_keeps_failing_is_started_ever_more_slowly(web: LocalEcs) -> None:
    service = web.engine.cluster("123456789012", "eu-west-1", "prod").services["web"]
    web.causes.strike("crash_loop", web.order(service, after_s=1))
    starts = []
    for _ in range(5):
        before = _failures(web)
        web.pass_time(60)
        starts.append(_failures(web) - before)
    assert starts[0] > starts[-1] > 0
    messages = [event["message"] for event in service.events]
    assert "(service web) is unable to consistently start tasks successfully." in messages


def test_a_healed_service_comes_up_again(web: LocalEcs) -> None:
    cluster = web.engine.cluster("123456789012", "eu-west-1", "prod")
    web.causes.strike("crash_loop", web.order(cluster.services["web"], after_s=1))
    web.pass_time(60)
    web.causes.heal(cluster)
    web.pass_time(120)
    assert len(web.running()) == 2


def test_a_service_is_deleted_only_when_it_is_scaled_to_nothing_or_by_force(web: LocalEcs) -> None:
    with pytest.raises(Refused, match="cannot be stopped while it is scaled above 0"):
        web.call("DeleteService", cluster="prod", service="web")
    web.call("DeleteService", cluster="prod", service="web", force=True)
    with pytest.raises(Refused, match="ServiceNotActiveException"):
        web.call("UpdateService", cluster="prod", service="web", desiredCount=3)
    web.pass_time(30)
    assert web.call("ListServices", cluster="prod")["serviceArns"] == []
    with pytest.raises(Refused, match="ServiceNotFoundException"):
        web.call("UpdateService", cluster="prod", service="web", desiredCount=3)
    assert web.call("ListTasks", cluster="prod")["taskArns"] == []


def _failures(web: LocalEcs) -> int:
    return sum(event["detail"]["lastStatus"] == "STOPPED" for event in web.events)
