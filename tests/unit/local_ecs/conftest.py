"""The local ECS without a cloud around it."""

from __future__ import annotations

import pytest
from tests.unit.local_ecs.builders import LocalEcs, a_definition


@pytest.fixture
def ecs() -> LocalEcs:
    """Cluster ``prod`` with a task definition, and nothing that runs."""
    local = LocalEcs()
    local.call("CreateCluster", clusterName="prod")
    local.call("RegisterTaskDefinition", **a_definition())
    return local


@pytest.fixture
def web(ecs: LocalEcs) -> LocalEcs:
    """The same with the service ``web`` of two tasks, up and steady."""
    ecs.call(
        "CreateService",
        cluster="prod",
        serviceName="web",
        taskDefinition="web",
        desiredCount=2,
        launchType="FARGATE",
        enableExecuteCommand=True,
        loadBalancers=[{"targetGroupArn": "arn:aws:elb:tg/web", "containerName": "app", "containerPort": 80}],
    )
    ecs.pass_time(60)
    ecs.events.clear()
    return ecs
