"""The world that the local cloud starts with: a shop.

Cluster ``prod``: service ``checkout`` (two tasks, containers ``app`` and ``proxy``) and service ``search``
(two tasks on Fargate Spot, a Java container ``app``). Cluster ``batch``: one EC2 instance with the
standalone task ``nightly-report``.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from taskmedic_local.ecs.api_definitions import register
from taskmedic_local.ecs.model import Cluster, ContainerInstance, Deployment, Json, Region, Service, hex_id
from taskmedic_local.ecs.records import ZONES, Placement
from taskmedic_local.exec.aws import DEFAULT_ACCOUNT, LocalAws
from taskmedic_local.exec.sandbox import Image

if TYPE_CHECKING:
    from taskmedic_local.world import World

REGION = "us-east-1"
REGISTRY = f"{DEFAULT_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
CHECKOUT_IMAGE = f"{REGISTRY}/checkout:2026.11.3"
PROXY_IMAGE = "public.ecr.aws/nginx/nginx:1.29"
SEARCH_IMAGE = f"{REGISTRY}/search-java:4.2.0"
REPORT_IMAGE = f"{REGISTRY}/nightly-report:118"
TARGET_GROUP = (
    f"arn:aws:elasticloadbalancing:{REGION}:{DEFAULT_ACCOUNT}:targetgroup/checkout/6d0ecf831eec9f09"
)
HOUR_S = 3600.0
_EXEC_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        }
    ],
}
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}

# Each is followed by the seconds it sleeps.
_CHECKOUT_MAIN = "gunicorn checkout.wsgi --workers 4 --max-requests"
_PROXY_MAIN = "nginx -g daemon off; keepalive_time"
_SEARCH_MAIN = "java -XX:MaxRAMPercentage=75 -jar /app/search.jar --index-ttl"
_JSTACK = """#!/bin/sh
# Stands in for the JDK's jstack: the dump of a search service whose workers wait for one lock.
cat <<'DUMP'
Full thread dump OpenJDK 64-Bit Server VM (21.0.9+10-LTS mixed mode, sharing):

"http-worker-1" #31 [42] prio=5 os_prio=0 cpu=812.40ms elapsed=5121.07s waiting for monitor entry
   java.lang.Thread.State: BLOCKED (on object monitor)
\tat com.example.search.IndexCache.get(IndexCache.java:57)
\t- waiting to lock <0x00000000e1a2b3c8> (a com.example.search.IndexCache)
\tat com.example.search.QueryHandler.handle(QueryHandler.java:112)

"index-refresh" #28 [39] prio=5 os_prio=0 cpu=40211.93ms elapsed=5123.55s runnable
   java.lang.Thread.State: RUNNABLE
\tat com.example.search.IndexCache.rebuild(IndexCache.java:91)
\t- locked <0x00000000e1a2b3c8> (a com.example.search.IndexCache)
DUMP
"""


def build(world: World, aws: LocalAws) -> None:
    """Put the shop into the default account and region; its tasks have been running for hours."""
    subnets = _subnets(aws)
    search = Image(env={"JAVA_VERSION": "21.0.9"}, files={"bin/jstack": _JSTACK}, main=_SEARCH_MAIN)
    world.image(SEARCH_IMAGE, search)
    world.image(CHECKOUT_IMAGE, Image(main=_CHECKOUT_MAIN))
    world.image(PROXY_IMAGE, Image(main=_PROXY_MAIN))
    for name in ("checkout", "search", "nightly-report"):
        _roles(aws, name)
    with world.engine.change():
        region = world.engine.region(DEFAULT_ACCOUNT, REGION)
        prod = _cluster(region, "prod", {})
        batch = _cluster(region, "batch", {"capacityProviders": []})
        _service(world, prod, region, _checkout(), subnets, balanced=True)
        _service(world, prod, region, _search(), subnets, provider="FARGATE_SPOT")
        _standalone(world, batch, region)


def crowd(world: World, region: Region, clusters: int, tasks: int) -> None:
    """Clusters ``crowd-0``, ``crowd-1``, … of so many tasks each, which have been running for an hour."""
    with world.engine.change():
        content = _family(
            "crowd", [_container("app", CHECKOUT_IMAGE, "crowd", memory=512)], cpu="256", memory="512"
        )
        definition = register(region, content, [], world.engine.clock())
        for number in range(clusters):
            cluster = _cluster(region, f"crowd-{number}", {})
            for _ in range(tasks):
                world.engine.settle(cluster, definition, Placement(exec_enabled=True), HOUR_S)


def _cluster(region: Region, name: str, content: Json) -> Cluster:
    settings = [{"name": "containerInsights", "value": "enabled"}]
    tags = [{"key": "environment", "value": name}]
    cluster = Cluster(name, region.prefix, content={"settings": settings, **content}, tags=tags)
    region.clusters[name] = cluster
    return cluster


def _service(
    world: World,
    cluster: Cluster,
    region: Region,
    content: Json,
    subnets: list[str],
    *,
    balanced: bool = False,
    provider: str = "",
) -> None:
    name = content["family"]
    tags = [{"key": "service", "value": name}, {"key": "team", "value": "shop"}]
    definition = register(region, content, tags, world.engine.clock() - 48 * HOUR_S)
    vpc = {"subnets": subnets, "securityGroups": ["sg-0f1e2d3c4b5a69788"], "assignPublicIp": "DISABLED"}
    given: Json = {"networkConfiguration": {"awsvpcConfiguration": vpc}, "propagateTags": "SERVICE"}
    if balanced:
        given["loadBalancers"] = [
            {"targetGroupArn": TARGET_GROUP, "containerName": "proxy", "containerPort": 443}
        ]
    if provider:
        given["capacityProviderStrategy"] = [{"capacityProvider": provider, "weight": 1, "base": 0}]
    began = world.engine.clock() - 30 * HOUR_S
    deployment_id = f"ecs-svc/{secrets.randbelow(9 * 10**18) + 10**18}"
    done = f"ECS deployment {deployment_id} completed."
    deployment = Deployment(deployment_id, definition, began, began, rollout="COMPLETED", rollout_reason=done)
    service = Service(name, cluster, 2, "FARGATE", [deployment], began, True, content=given, tags=tags)
    cluster.services[name] = service
    world.scheduler.settle(service, 26 * HOUR_S)


def _standalone(world: World, cluster: Cluster, region: Region) -> None:
    instance = ContainerInstance(
        hex_id(),
        cluster,
        f"i-0{secrets.token_hex(8)}",
        f"{REGION}{ZONES[0]}",
        world.engine.clock() - 90 * HOUR_S,
    )
    cluster.instances[instance.id] = instance
    tags = [{"key": "team", "value": "finance"}]
    definition = register(region, _report(), tags, world.engine.clock() - 200 * HOUR_S)
    placement = Placement(
        launch_type="EC2",
        exec_enabled=True,
        started_by="scheduler/nightly",
        tags=tuple(tags),
        overrides=({"name": "report"},),
        instance=instance,
    )
    world.engine.settle(cluster, definition, placement, 2 * HOUR_S)


def _checkout() -> Json:
    app = _container("app", CHECKOUT_IMAGE, "checkout", memory=512)
    app["environment"] = [{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8080"}]
    app["portMappings"] = [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}]
    app["healthCheck"] = _health("curl -f http://localhost:8080/health || exit 1")
    app["secrets"] = [
        {
            "name": "DB_PASSWORD",
            "valueFrom": f"arn:aws:secretsmanager:{REGION}:{DEFAULT_ACCOUNT}:secret:checkout/db-a1B2c3",
        }
    ]
    proxy = _container("proxy", PROXY_IMAGE, "checkout", memory=128)
    proxy["portMappings"] = [{"containerPort": 443, "hostPort": 443, "protocol": "tcp"}]
    return _family("checkout", [app, proxy], cpu="512", memory="1024")


def _search() -> Json:
    app = _container("app", SEARCH_IMAGE, "search", memory=2048)
    app["environment"] = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1536m -XX:+ExitOnOutOfMemoryError"}]
    app["healthCheck"] = _health("curl -f http://localhost:9200/health || exit 1")
    return _family("search", [app], cpu="1024", memory="3072")


def _report() -> Json:
    report = _container("report", REPORT_IMAGE, "nightly-report", memory=1024)
    content = _family("nightly-report", [report], cpu="1024", memory="1024")
    return {**content, "networkMode": "bridge", "requiresCompatibilities": ["EC2"]}


def _family(name: str, containers: list[Json], *, cpu: str, memory: str) -> Json:
    return {
        "family": name,
        "containerDefinitions": containers,
        "taskRoleArn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:role/{name}-task",
        "executionRoleArn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:role/{name}-execution",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "cpu": cpu,
        "memory": memory,
    }


def _container(name: str, image: str, family: str, *, memory: int) -> Json:
    return {
        "name": name,
        "image": image,
        "cpu": 0,
        "memory": memory,
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "linuxParameters": {"initProcessEnabled": True},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": f"/ecs/{family}",
                "awslogs-region": REGION,
                "awslogs-stream-prefix": "ecs",
            },
        },
    }


def _health(command: str) -> Json:
    return {"command": ["CMD-SHELL", command], "interval": 30, "timeout": 5, "retries": 3}


def _subnets(aws: LocalAws) -> list[str]:
    """The default VPC's subnets in the first zones, in the zones' order."""
    found: list[dict[str, Any]] = aws.client("ec2", DEFAULT_ACCOUNT, REGION).describe_subnets()["Subnets"]
    by_zone = {each["AvailabilityZone"]: each["SubnetId"] for each in found}
    return [by_zone[f"{REGION}{zone}"] for zone in ZONES]


def _roles(aws: LocalAws, name: str) -> None:
    iam = aws.client("iam", DEFAULT_ACCOUNT, REGION)
    for kind in ("task", "execution"):
        iam.create_role(RoleName=f"{name}-{kind}", AssumeRolePolicyDocument=json.dumps(_TRUST))
    iam.put_role_policy(
        RoleName=f"{name}-task", PolicyName="ecs-exec", PolicyDocument=json.dumps(_EXEC_POLICY)
    )
