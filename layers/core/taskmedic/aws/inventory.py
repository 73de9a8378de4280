"""The inventory: containers of any number of clusters, accounts and regions, read side by side.

Each cluster is listed page by page and each hundred of its tasks described at once, filtered and dropped:
memory holds what is kept, not what is looked at. A source that cannot be read is reported and does not hide
the others.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter

from taskmedic.aws.clients import Clients
from taskmedic.aws.fanout import work_off
from taskmedic.aws.node_lookup import NodeLookup
from taskmedic.aws.source_read import SourceOutcome, SourceRead
from taskmedic.domain.errors import TaskmedicError
from taskmedic.domain.node_filter import NodeFilter
from taskmedic.domain.node_source import NodeSource
from taskmedic.domain.nodes import Node

# Calls at a time, over all sources; the connection pool of a client is as wide. ECS takes a burst of them and
# then so many a second (ECS API throttling limits); beyond that the clients' adaptive retries slow down.
PARALLEL = 32


@dataclass(frozen=True)
class Inventory:
    """All nodes found, by name, and what became of each source."""

    nodes: tuple[Node, ...]
    outcomes: tuple[SourceOutcome, ...]

    @property
    def errors(self) -> tuple[TaskmedicError, ...]:
        return tuple(error for outcome in self.outcomes for error in outcome.errors)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for outcome in self.outcomes for note in outcome.notes)


def find(
    sources: Sequence[NodeSource],
    clients: Clients,
    *,
    node_filter: NodeFilter | None = None,
    wanted: Iterable[str] = (),
    parallel: int = PARALLEL,
    on_page: Callable[[int], None] | None = None,
) -> Inventory:
    """Reads ``sources`` and gives the nodes that their fields and filters keep, each container once.

    Args:
        sources: Where to look. What fails in one is in its outcome, never raised.
        clients: Of the process's own credentials; by them a source's role is assumed.
        node_filter: Holds for every source, on top of its own.
        wanted: Attributes that will be read. Those in ``LOOKED_UP`` cost further calls: they are there only
            when they are wanted here or a filter asks for them.
        parallel: The most calls at a time, over all sources.
        on_page: Told, from any thread, how many more nodes were kept.
    """
    shared = node_filter or NodeFilter()
    reads = [SourceRead(source, shared, clients, frozenset(wanted), on_page) for source in sources]
    lookup = NodeLookup(clients)
    with _garbage_left():
        work_off([read.start for read in reads], parallel)
        for read in reads:
            read.want(lookup)
        work_off(lookup.jobs(), parallel)
    kept: dict[tuple[str, str], Node] = {}
    outcomes = []
    for read in reads:
        nodes = read.complete(lookup)
        for node in nodes:
            kept.setdefault(node.identity, node)
        outcomes.append(read.outcome(len(nodes)))
    return Inventory(tuple(sorted(kept.values(), key=attrgetter("name"))), tuple(outcomes))


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Leaves garbage alone until the reading is over.

    Reading makes objects by the ten thousand, none of them in cycles, and each collection that this brings on
    goes through all of them while every thread waits. What botocore leaves in cycles is small.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
