"""Operations on clusters and container instances."""

from __future__ import annotations

from collections import Counter

from taskmedic_local.ecs import render
from taskmedic_local.ecs.call import Call, missing
from taskmedic_local.ecs.model import Cluster, ContainerInstance, Json

KEPT = ("configuration", "settings", "capacityProviders", "defaultCapacityProviderStrategy")


def create_cluster(call: Call) -> Json:
    name = call.body.get("clusterName") or "default"
    cluster = call.region.clusters.get(name)
    if cluster is None or cluster.status != "ACTIVE":
        content = {key: call.body[key] for key in KEPT if key in call.body}
        cluster = Cluster(name, call.region.prefix, content=content, tags=call.body.get("tags", []))
        call.region.clusters[name] = cluster
    return {"cluster": render.cluster(cluster, frozenset({"SETTINGS", "CONFIGURATIONS", "TAGS"}))}


def list_clusters(call: Call) -> Json:
    active = [each for each in call.region.clusters.values() if each.status == "ACTIVE"]
    active.sort(key=lambda each: each.arn)
    return call.page("clusterArns", active, key=lambda each: each.arn, show=lambda each: each.arn)


def describe_clusters(call: Call) -> Json:
    names = call.body.get("clusters") or ["default"]
    found, failures = [], []
    for name in names:
        arn = name if name.startswith("arn:") else f"{call.region.prefix}:cluster/{name}"
        cluster = call.region.clusters.get(name.rsplit("/", 1)[-1])
        if cluster is None or cluster.arn != arn:
            failures.append(missing(arn))
        else:
            found.append(render.cluster(cluster, frozenset(call.body.get("include", []))))
    return {"clusters": found, "failures": failures}


def list_container_instances(call: Call) -> Json:
    wanted = {call.body["status"]} if call.body.get("status") else {"ACTIVE", "DRAINING"}
    found = [each for each in call.cluster.instances.values() if each.status in wanted]
    found.sort(key=lambda each: each.arn)
    return call.page("containerInstanceArns", found, key=lambda each: each.arn, show=lambda each: each.arn)


def describe_container_instances(call: Call) -> Json:
    cluster = call.cluster
    load: Counter[tuple[ContainerInstance | None, bool]] = Counter()
    for task in cluster.tasks.values():
        if task.instance and task.alive:
            load[task.instance, task.last_status == "RUNNING"] += 1
    found, failures = [], []
    for name in call.some("containerInstances", 100, "instanceIds"):
        instance = cluster.instances.get(name.rsplit("/", 1)[-1])
        if instance is None:
            arn = f"{cluster.prefix}:container-instance/{cluster.name}/{name.rsplit('/', 1)[-1]}"
            failures.append(missing(arn))
        else:
            counts = (load[instance, True], load[instance, False])
            found.append(render.container_instance(instance, counts, tags=call.includes("TAGS")))
    return {"containerInstances": found, "failures": failures}


OPERATIONS = {
    "CreateCluster": create_cluster,
    "ListClusters": list_clusters,
    "DescribeClusters": describe_clusters,
    "ListContainerInstances": list_container_instances,
    "DescribeContainerInstances": describe_container_instances,
}
