"""Where nodes come from: the `nodes:` section of a runbook and the source flags of the command line.

The fields are those of the original's ECS node source (docs/inventory.md compares them). A field matches
a container when one of its values does. Include keeps what matches every field given; Exclude drops what
matches any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from taskmedic.domain import nodes as attr
from taskmedic.domain.arns import Arn, last_part
from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.node_filter import NodeFilter
from taskmedic.domain.nodes import Node
from taskmedic.domain.selection import Limits, Rank


class FilterBehavior(StrEnum):
    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True)
class NodeSource:
    """One place to look for containers: clusters of one account and region, narrowed by fields."""

    clusters: tuple[str, ...] = ()
    all_clusters: bool = False
    tasks: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    task_definitions: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    filter_behavior: FilterBehavior = FilterBehavior.INCLUDE
    filter: NodeFilter = field(default_factory=NodeFilter)
    region: str = ""
    assume_role_arn: str = ""
    external_id: str = ""
    include_stopping: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NodeSource:
        """A source from its section of a runbook: every list may be a list or a comma-separated text.

        Raises:
            FilterInvalid: a field cannot be understood, or no cluster is named.
        """
        clusters = comma_list(value.get("clusters"))
        behavior = str(value.get("filter_behavior") or "include").lower()
        if behavior not in set(FilterBehavior):
            raise FilterInvalid(
                f"filter_behavior is {behavior}", where="nodes", remedy="It is include or exclude."
            )
        source = cls(
            clusters=tuple(name for name in clusters if name != "*"),
            all_clusters=bool(value.get("all_clusters")) or "*" in clusters,
            tasks=comma_list(value.get("tasks")),
            services=comma_list(value.get("services")),
            task_definitions=comma_list(value.get("task_definitions")),
            containers=comma_list(value.get("containers")),
            tags=tag_pairs(value.get("tags")),
            filter_behavior=FilterBehavior(behavior),
            filter=NodeFilter.parse(str(value.get("filter") or "")),
            region=str(value.get("region") or ""),
            assume_role_arn=str(value.get("assume_role_arn") or ""),
            external_id=str(value.get("external_id") or ""),
            include_stopping=bool(value.get("include_stopping")),
        )
        source._check()
        return source

    def _check(self) -> None:
        for name in self.clusters + self.tasks:
            region_of(self, name)
        if self.clusters or self.all_clusters:
            return
        if self.tasks and all(len(task.split("/")) == 3 for task in self.tasks):
            return  # a task's long ARN carries its cluster
        raise FilterInvalid(
            "the node source names no cluster",
            where="nodes.clusters",
            remedy="Name clusters, or set all_clusters (on the command line: --cluster, --all-clusters).",
        )

    def label(self) -> str:
        """The source as a person names it: clusters, region and role."""
        where = "all clusters" if self.all_clusters else ",".join(self.clusters or self.tasks)
        parts = [where]
        if self.region:
            parts.append(f"in {self.region}")
        if self.assume_role_arn:
            parts.append(f"as {self.assume_role_arn}")
        return " ".join(parts)

    def criteria(self) -> Iterator[Criterion]:
        """The fields that are set. Each tag key is a field of its own: its values are alternatives."""
        yield from _criteria("service", self.services)
        yield from _criteria("task definition", self.task_definitions)
        yield from _criteria("container", self.containers)
        for key in dict.fromkeys(key for key, _ in self.tags):
            yield Criterion(f"tag {key}", tuple(value for k, value in self.tags if k == key))

    def accepts(self, node: Node) -> bool:
        """Whether Include keeps or Exclude leaves ``node``; the node filter is not looked at."""
        return self.keeps(bool(criterion.matching(node)) for criterion in self.criteria())

    def keeps(self, matches: Iterable[bool]) -> bool:
        """The same, where it is known of each criterion whether it matches."""
        if self.filter_behavior is FilterBehavior.INCLUDE:
            return all(matches)
        return not any(matches)


@dataclass(frozen=True)
class Criterion:
    """One field of a source with its values."""

    kind: str
    values: tuple[str, ...]

    def matching(self, node: Node) -> tuple[str, ...]:
        """Those of the values that hold for ``node``."""
        return tuple(value for value in self.values if self._holds(value, node))

    def _holds(self, value: str, node: Node) -> bool:
        match self.kind:
            case "service":
                return last_part(value) == node.service
            case "task definition":
                return last_part(value) in {
                    node.get(attr.TASK_DEFINITION_FAMILY),
                    node.get(attr.TASK_DEFINITION),
                }
            case "container":
                return value == node.container
            case _:
                key = self.kind.removeprefix("tag ")
                if not value:  # a tag without a value is no attribute
                    return key in node.tags
                return node.attributes.get(attr.TAG_PREFIX + key) == value


def _criteria(kind: str, values: tuple[str, ...]) -> Iterator[Criterion]:
    if values:
        yield Criterion(kind, values)


@dataclass(frozen=True)
class NodesSpec:
    """The whole `nodes:` section: one source written straight in it, or several under `sources`."""

    sources: tuple[NodeSource, ...]
    filter: NodeFilter = field(default_factory=NodeFilter)
    allow_empty: bool = False
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NodesSpec:
        """
        Raises:
            FilterInvalid: a field cannot be understood; the text names it.
        """
        several = value.get("sources")
        if several:
            sources = tuple(NodeSource.from_json(item) for item in several)
            node_filter = NodeFilter.parse(str(value.get("filter") or ""))
        else:
            sources = (NodeSource.from_json(value),)
            node_filter = NodeFilter()
        return cls(
            sources=sources,
            filter=node_filter,
            allow_empty=bool(value.get("allow_empty")),
            limits=Limits.from_json(value.get("limits") or {}),
        )


@dataclass(frozen=True)
class Dispatch:
    """The `dispatch:` section: how a step is spread over nodes (Rundeck's words).

    ``threads`` is how many nodes at once, 1 meaning one after the other; ``keep_going`` goes on with the
    remaining nodes after one has failed, and fails the step at the end.
    """

    threads: int = 1
    keep_going: bool = False
    rank: Rank = field(default_factory=Rank)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Dispatch:
        """
        Raises:
            FilterInvalid: a field cannot be understood; the text names it.
        """
        value = value or {}
        threads = value.get("threads", 1)
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise FilterInvalid(
                f"threads is {threads!r}", where="dispatch.threads", remedy="It is 1 or more."
            )
        return cls(
            threads=threads,
            keep_going=bool(value.get("keep_going", False)),
            rank=Rank.from_json(value),
        )

    def to_json(self) -> dict[str, Any]:
        return {"threads": self.threads, "keep_going": self.keep_going, **self.rank.to_json()}


def comma_list(value: Any) -> tuple[str, ...]:
    """``"a, b"`` or ``["a", "b"]`` as ``("a", "b")``; blanks around, empty items and repeats go."""
    items = value if isinstance(value, (list, tuple)) else [value or ""]
    parts = [part.strip() for item in items for part in str(item).split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))


def tag_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """``"k=v,k=v"``, a list of ``k=v``, or a mapping, as pairs.

    Raises:
        FilterInvalid: an entry has no ``=`` or no key.
    """
    if isinstance(value, Mapping):
        return tuple((str(key), str(text)) for key, text in value.items())
    pairs = []
    for entry in comma_list(value):
        key, equals, text = entry.partition("=")
        if not equals or not key.strip():
            raise FilterInvalid(
                f"the tag {entry} is no key=value pair",
                where="nodes.tags",
                remedy="Write key=value,key=value.",
            )
        pairs.append((key.strip(), text.strip()))
    return tuple(pairs)


def region_of(source: NodeSource, arn_or_name: str) -> str:
    """The region to ask about a cluster or task: the source's, else the one its ARN carries, else empty.

    Raises:
        FilterInvalid: the ARN is of another region than the source.
    """
    arn = Arn.parse(arn_or_name)
    if arn is None:
        return source.region
    if source.region and arn.region != source.region:
        raise FilterInvalid(
            f"{arn_or_name} is in {arn.region}, the node source reads {source.region}",
            where="nodes.region",
            remedy="Give each region a source of its own.",
        )
    return arn.region
