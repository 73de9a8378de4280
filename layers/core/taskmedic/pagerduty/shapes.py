"""How monitoring tools nest the names of ECS things in an alert, and how to get them out.

An alert is walked as one tree: mappings, lists, JSON inside strings (an SNS ``Message``), lists of
``{name, value}`` (CloudWatch dimensions), ``key:value`` tags (Datadog) and ``- label = value`` text
(Alertmanager). Account, region and cluster are inherited by what lies below; a mapping that adds a cluster, a
service or a task to them is a finding.

Names that say ECS (``ecs_cluster``) and ARNs are taken alone. ``ClusterName`` is also EKS's, Kafka's and
MongoDB's, ``cluster`` everybody's: these count beside a name that says ECS, in a metric of ECS, or with a
service beside them and no name of Kubernetes or of another product. Prometheus has a ``cluster`` and a
``service`` of its own: there it takes ``ClusterName`` with ``ServiceName``, or a job of ECS. A task counts
with its cluster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

MAX_DEPTH: Final = 12
# More than an incident is ever about. Patterns here take time linear in the text, for it is somebody else's.
MAX_FOUND: Final = 200

# Keys are compared in lower case, letters and digits only: aws.ecs.cluster.name is awsecsclustername.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("account", "accountid", "awsaccount", "awsaccountid", "cloudaccountid"),
    "region": ("region", "awsregion", "cloudregion", "regioncode"),
    "cluster": (
        "ecscluster",
        "ecsclustername",
        "ecsclusterarn",
        "awsecscluster",
        "awsecsclustername",
        "awsecsclusterarn",
    ),
    "service": (
        "ecsservice",
        "ecsservicename",
        "ecsservicearn",
        "awsecsservice",
        "awsecsservicename",
        "awsecsservicearn",
    ),
    "task": ("ecstask", "ecstaskarn", "ecstaskid", "awsecstaskarn", "awsecstaskid"),
}
# Other products have them, too; a value that is an ARN of ECS says for itself what it is.
PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "cluster": ("clusterarn", "clustername", "cluster"),
    "service": ("servicearn", "servicename", "service"),
    "task": ("taskarn", "taskid"),
}
TAG_KEYS: Final = frozenset({"tags", "alerttags", "scope", "alertscope", "servicegroup"})
# Beside one of these keys, or one that begins so, a plain name is not ECS's, unless a name that says ECS is
# there, too: Kubernetes, Kafka, MongoDB, Elasticsearch, RDS, caches.
OTHER_PRODUCTS: Final = (
    frozenset({"pod", "podname", "namespace", "namespacename", "deployment", "daemonset", "statefulset"})
    | frozenset({"topic", "broker", "brokerid", "consumergroup", "replicaset", "replicasetname", "shard"})
    | frozenset({"node", "nodename", "nodeid", "index", "indexname", "dbinstance", "dbinstanceidentifier"})
    | frozenset({"dbclusteridentifier", "cacheclusterid"}),
    ("kube", "k8s", "eks", "kafka", "msk", "mongo", "elastic", "opensearch", "redis"),
)
# Prometheus adds these to every series, and often a `cluster` and a `service` that are not ECS's.
PROMETHEUS: Final = frozenset({"alertname", "instance", "job"})
# What the exporters of CloudWatch's metrics put into `job` or `namespace`, written as keys are.
ECS_EXPORTED: Final = frozenset({"ecs", "awsecs"})

VALID: Final[Mapping[str, re.Pattern[str]]] = {
    "account": re.compile(r"\d{12}"),
    "region": re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d"),
    "cluster": re.compile(r"[A-Za-z0-9_-]{1,255}"),
    "service": re.compile(r"[A-Za-z0-9_-]{1,255}"),
    "task": re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
ECS_ARN: Final = re.compile(r"arn:aws[a-z-]*:ecs:([a-z0-9-]+):(\d{12}):(cluster|service|task)/([\w/-]+)")
ALARM_ARN: Final = re.compile(r"arn:aws[a-z-]*:cloudwatch:([a-z0-9-]+):(\d{12}):alarm:")
# CloudWatch's namespaces: those of ECS, and those of other services (ContainerInsights alone is EKS's).
ECS_METRICS: Final = ("AWS/ECS", "ECS/ContainerInsights")
FOREIGN_METRIC: Final = re.compile(r"AWS/(?!ECS)|ContainerInsights")
# Application Auto Scaling names its alarms after the scalable target.
TARGET_TRACKING: Final = re.compile(r"^TargetTracking-service/([\w-]+)/([\w-]+)-Alarm(?:High|Low)-")
LABEL_LINE: Final = re.compile(r"^[ \t]*-[ \t]*(\w[\w.]*)[ \t]*=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """One ECS thing an alert is about. Empty where it does not say."""

    account: str = ""
    region: str = ""
    cluster: str = ""
    service: str = ""
    task: str = ""

    def within(self, other: Target) -> bool:
        """Whether ``other`` says everything this says."""
        return all(not value or value == getattr(other, name) for name, value in vars(self).items())


@dataclass(frozen=True)
class _Above:
    """What a part of the tree inherits: names, and whether it belongs to a metric of ECS."""

    target: Target = Target()
    of_ecs: bool = False


def targets_of(tree: Any) -> list[Target]:
    """Every distinct cluster, service or task named in ``tree``, without what a fuller finding repeats."""
    found = list(dict.fromkeys(islice(_walk(tree, "", _Above(), MAX_DEPTH), MAX_FOUND)))
    return fullest(found)


def fullest(found: Sequence[Target]) -> list[Target]:
    """``found`` without what another one says more fully."""
    return [one for one in found if not any(one != other and one.within(other) for other in found)]


def _walk(value: Any, key: str, above: _Above, depth: int) -> Iterator[Target]:
    if depth == 0:
        return
    match value:
        case Mapping():
            yield from _mapping(value, above, depth)
        case str():
            yield from _string(value, key, above, depth)
        case list() | tuple():
            yield from _list(value, key, above, depth)


def _mapping(mapping: Mapping[Any, Any], above: _Above, depth: int) -> Iterator[Target]:
    keys = {_plain(str(key)): value for key, value in mapping.items()}
    namespace = keys.get("namespace")
    if isinstance(namespace, str) and FOREIGN_METRIC.match(namespace):
        return
    of_ecs = above.of_ecs or (isinstance(namespace, str) and namespace.startswith(ECS_METRICS))
    here = _named(keys, above.target, of_ecs)
    if here != above.target and here.cluster:
        yield here
    below = _Above(replace(here, service="", task=""), of_ecs)
    for key, value in mapping.items():
        yield from _walk(value, _plain(str(key)), below, depth - 1)


def _list(items: Sequence[Any], key: str, above: _Above, depth: int) -> Iterator[Target]:
    pairs = [_name_and_value(item) for item in items]
    if pairs and all(pairs):
        yield from _walk(dict(pair for pair in pairs if pair), key, above, depth)
        return
    if key in TAG_KEYS and all(isinstance(item, str) for item in items):
        yield from _walk(", ".join(items), key, above, depth)
        return
    for item in items:
        yield from _walk(item, key, above, depth - 1)


def _string(text: str, key: str, above: _Above, depth: int) -> Iterator[Target]:
    if text.lstrip()[:1] in {"{", "["}:
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            yield from _walk(inner, key, above, depth - 1)
            return
    if key in TAG_KEYS:
        tags = (tag.strip().partition(":") for tag in text.split(","))
        yield from _walk({name: value.strip() for name, _, value in tags}, "", above, depth - 1)
    for labels in text.split("Labels:"):
        if pairs := LABEL_LINE.findall(labels.split("Annotations:")[0]):
            yield from _walk({name: value.strip() for name, value in pairs}, "", above, depth - 1)
    if tracked := TARGET_TRACKING.match(text):
        yield replace(above.target, cluster=tracked[1], service=tracked[2])
    named = (_of_arn(match) for match in ECS_ARN.finditer(text))
    yield from (target for target in named if target.cluster)


def _named(keys: Mapping[str, Any], above: Target, of_ecs: bool) -> Target:
    """``above`` with what this mapping names itself."""
    found: dict[str, str] = {}
    for value in keys.values():  # an alarm's ARN tells account and region; its "Region" is a display name
        if isinstance(value, str) and (alarm := ALARM_ARN.match(value)):
            found |= {"region": alarm[1], "account": alarm[2]}
    for field in VALID:
        for key in KEYS[field]:
            found |= _field(field, keys.get(key))
    for key in (key for names in PLAIN.values() for key in names):
        if isinstance(value := keys.get(key), str) and ECS_ARN.fullmatch(value.strip()):
            found |= _field("", value)
    group = keys.get("group")  # a task's, in ECS events
    if isinstance(group, str) and group.startswith("service:"):
        found |= _field("service", group.removeprefix("service:"))
    return replace(above, **{**_plainly_named(keys, found, above, of_ecs), **found})


def _plainly_named(
    keys: Mapping[str, Any], found: Mapping[str, str], above: Target, of_ecs: bool
) -> dict[str, str]:
    """What the names say that other products have, too, where they can only mean ECS."""
    said = {key: _field(field, keys.get(key)) for field, names in PLAIN.items() for key in names}
    if not of_ecs and not above.cluster and {"cluster", "service", "task"}.isdisjoint(found):
        pair = _paired(keys, said)
        return pair | said["taskid"] if pair else {}
    below_cluster = said["service"] | said["servicename"] | said["taskid"]
    if above.cluster and not of_ecs:
        return below_cluster
    return said["cluster"] | said["clustername"] | below_cluster


def _paired(keys: Mapping[str, Any], said: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """A cluster and a service named together, unless something says that they are not ECS's."""
    exported = {key for key in ("job", "namespace") if _plain(str(keys.get(key))) in ECS_EXPORTED}
    if _has(keys.keys() - exported, OTHER_PRODUCTS):
        return {}
    if said["clustername"] and said["servicename"]:
        return said["clustername"] | said["servicename"]
    if not exported and not PROMETHEUS.isdisjoint(keys):
        return {}
    service = said["service"] | said["servicename"]
    return said["cluster"] | service if said["cluster"] and service else {}


def _has(keys: Iterable[str], names: tuple[frozenset[str], tuple[str, ...]]) -> bool:
    exactly, beginnings = names
    return any(key in exactly or key.startswith(beginnings) for key in keys)


def _field(field: str, value: Any) -> dict[str, str]:
    """What ``value`` says when it stands for ``field``: nothing when it cannot be such a name."""
    if not isinstance(value, str):
        return {}
    if arn := ECS_ARN.fullmatch(value.strip()):
        return {name: part for name, part in vars(_of_arn(arn)).items() if part}
    return {field: value.strip()} if VALID[field].fullmatch(value.strip()) else {}


def _of_arn(arn: re.Match[str]) -> Target:
    """``service/prod/checkout`` carries the cluster; the old short form ``service/checkout`` does not."""
    region, account, kind, path = arn.groups()
    *parents, name = path.rstrip("/").split("/")
    target = Target(account=account, region=region, cluster=parents[0] if parents else "")
    return replace(target, **{kind: name})


def _name_and_value(item: Any) -> tuple[str, Any] | None:
    """A dimension or tag written as ``{"name": …, "value": …}``, in either case, or with ``key``."""
    if not isinstance(item, Mapping):
        return None
    lower = {str(key).lower(): value for key, value in item.items()}
    name = lower.get("name", lower.get("key"))
    return (name, lower["value"]) if isinstance(name, str) and "value" in lower else None


def _plain(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter.isalnum())
