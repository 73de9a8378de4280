"""How monitoring tools nest the names of ECS things in an alert, and how to get them out.

An alert is walked as one tree: mappings, lists, JSON inside strings (an SNS ``Message``), lists of
``{name, value}`` (CloudWatch dimensions), ``key:value`` tags (Datadog) and ``- label = value`` text
(Alertmanager). Account, region and cluster are inherited by what lies below; a mapping that adds a cluster, a
service or a task to them is a finding.

Names that only ECS uses (``ecs_cluster``, ``ClusterName``, ``clusterArn``) are taken alone. Plain ``cluster``
and ``service`` mean something else in many tools: they count only together, and not beside Kubernetes' names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
        "clustername",
        "clusterarn",
    ),
    "service": (
        "ecsservice",
        "ecsservicename",
        "ecsservicearn",
        "awsecsservice",
        "awsecsservicename",
        "awsecsservicearn",
        "servicename",
        "servicearn",
    ),
    "task": ("ecstask", "ecstaskarn", "ecstaskid", "awsecstaskarn", "awsecstaskid", "taskarn", "taskid"),
}
TAG_KEYS: Final = frozenset({"tags", "alerttags", "scope", "alertscope", "servicegroup"})
KUBERNETES_KEYS: Final = frozenset(
    {"pod", "podname", "kubenamespace", "kubecluster", "namespace", "deployment"}
)

VALID: Final[Mapping[str, re.Pattern[str]]] = {
    "account": re.compile(r"\d{12}"),
    "region": re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d"),
    "cluster": re.compile(r"[A-Za-z0-9_-]{1,255}"),
    "service": re.compile(r"[A-Za-z0-9_-]{1,255}"),
    "task": re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
ECS_ARN: Final = re.compile(r"arn:aws[a-z-]*:ecs:([a-z0-9-]+):(\d{12}):(cluster|service|task)/([\w/-]+)")
ALARM_ARN: Final = re.compile(r"arn:aws[a-z-]*:cloudwatch:([a-z0-9-]+):(\d{12}):alarm:")
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


def targets_of(tree: Any) -> list[Target]:
    """Every distinct cluster, service or task named in ``tree``, without what a fuller finding repeats."""
    found = list(dict.fromkeys(islice(_walk(tree, "", Target(), MAX_DEPTH), MAX_FOUND)))
    return fullest(found)


def fullest(found: Sequence[Target]) -> list[Target]:
    """``found`` without what another one says more fully."""
    return [one for one in found if not any(one != other and one.within(other) for other in found)]


def _walk(value: Any, key: str, above: Target, depth: int) -> Iterator[Target]:
    if depth == 0:
        return
    match value:
        case Mapping():
            yield from _mapping(value, above, depth)
        case str():
            yield from _string(value, key, above, depth)
        case list() | tuple():
            yield from _list(value, key, above, depth)


def _mapping(mapping: Mapping[Any, Any], above: Target, depth: int) -> Iterator[Target]:
    keys = {_plain(str(key)): value for key, value in mapping.items()}
    if _is_foreign_metric(keys):
        return
    here = _named(keys, above)
    if here != above and (here.cluster or here.task):
        yield here
    below = replace(here, service="", task="")
    for key, value in mapping.items():
        yield from _walk(value, _plain(str(key)), below, depth - 1)


def _list(items: Sequence[Any], key: str, above: Target, depth: int) -> Iterator[Target]:
    pairs = [_name_and_value(item) for item in items]
    if pairs and all(pairs):
        yield from _walk(dict(pair for pair in pairs if pair), key, above, depth)
        return
    if key in TAG_KEYS and all(isinstance(item, str) for item in items):
        yield from _walk(", ".join(items), key, above, depth)
        return
    for item in items:
        yield from _walk(item, key, above, depth - 1)


def _string(text: str, key: str, above: Target, depth: int) -> Iterator[Target]:
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
        yield from _walk({name: value for name, _, value in tags}, "", above, depth - 1)
    for labels in text.split("Labels:"):
        if pairs := LABEL_LINE.findall(labels.split("Annotations:")[0]):
            yield from _walk(dict(pairs), "", above, depth - 1)
    if tracked := TARGET_TRACKING.match(text):
        yield replace(above, cluster=tracked[1], service=tracked[2])
    named = (_of_arn(match) for match in ECS_ARN.finditer(text))
    yield from (target for target in named if target.cluster or target.task)


def _named(keys: Mapping[str, Any], above: Target) -> Target:
    """``above`` with what this mapping names itself."""
    found: dict[str, str] = {}
    for value in keys.values():  # an alarm's ARN tells account and region; its "Region" is a display name
        if isinstance(value, str) and (alarm := ALARM_ARN.match(value)):
            found |= {"region": alarm[1], "account": alarm[2]}
    for field in VALID:
        for key in KEYS[field]:
            found |= _field(field, keys.get(key))
    if isinstance(group := keys.get("group"), str) and group.startswith(
        "service:"
    ):  # a task's, in ECS events
        found |= _field("service", group.removeprefix("service:"))
    found |= _plain_pair(keys, found, above)
    return replace(above, **found)


def _plain_pair(keys: Mapping[str, Any], found: Mapping[str, str], above: Target) -> dict[str, str]:
    """Plain ``cluster`` and ``service``, where they can only be ECS's."""
    if KUBERNETES_KEYS & keys.keys():
        return {}
    cluster = _field("cluster", keys.get("cluster"))
    service = _field("service", keys.get("service"))
    if "service" in found:
        return cluster if "cluster" not in found else {}
    if "cluster" in found or above.cluster:
        return service
    return cluster | service if "cluster" in cluster and "service" in service else {}


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


def _is_foreign_metric(keys: Mapping[str, Any]) -> bool:
    """Whether this is a CloudWatch metric of another AWS service: MSK has a dimension "Cluster Name", too."""
    namespace = keys.get("namespace")
    return isinstance(namespace, str) and namespace.startswith("AWS/") and not namespace.startswith("AWS/ECS")


def _plain(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter.isalnum())
