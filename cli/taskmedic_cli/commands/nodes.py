"""``taskmedic nodes``: the inventory, as a table, as JSON, or counted by an attribute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from taskmedic.aws.clients import Clients
from taskmedic.aws.inventory import Inventory, find
from taskmedic.domain.errors import NodeNotFound
from taskmedic.domain.node_source import NodeSource, comma_list
from taskmedic.domain.nodes import LOOKED_UP, Node, attribute_named
from taskmedic.domain.selection import Limits, Rank, selected
from taskmedic_cli.common import (
    clients_for,
    console,
    errors_of,
    node_sources,
    print_json,
    read_inventory,
    source_options,
)
from taskmedic_cli.node_table import DEFAULT_COLUMNS, counted, fitted, heading, rows_of
from taskmedic_cli.terminal import json_text, say


@dataclass(frozen=True)
class _View:
    """How nodes are shown."""

    columns: tuple[str, ...]
    by: str
    rank: Rank
    limits: Limits
    as_json: bool

    @property
    def wanted(self) -> set[str]:
        """The attributes it reads; JSON without columns shows all there are."""
        everything = LOOKED_UP if self.as_json and not self.columns and not self.by else ()
        return {*self.columns, self.by, self.rank.attribute, *everything}

    def chosen(self, inventory: Inventory) -> list[Node]:
        seed = str(
            time.time_ns()
        )  # another random subset each time; a runbook's stays the same for an execution
        return selected(inventory.nodes, self.rank, self.limits, seed)

    def to_json(self, nodes: Sequence[Node]) -> list[dict[str, Any]]:
        if self.by:
            return [{"value": value or None, "count": count} for value, count in counted(nodes, self.by)]
        return [node.to_json() for node in nodes]

    def lines(self, nodes: Sequence[Node], width: int | None) -> list[str]:
        """The table; ``width`` None for a pipe, where nothing is cut."""
        if self.by:
            values = [[str(count), value or "(none)"] for value, count in counted(nodes, self.by)]
            return fitted([["COUNT", heading(self.by)], *values], width)
        return fitted(rows_of(nodes, self.columns or DEFAULT_COLUMNS), width, droppable=not self.columns)


@click.command()
@source_options
@click.option("--columns", metavar="A,B,…", help="Attributes to show, comma-separated.")
@click.option("--by", metavar="ATTRIBUTE", help="The values of one attribute with their counts.")
@click.option("--rank-attribute", metavar="ATTRIBUTE", help="Order by this attribute; default: name.")
@click.option("--rank-order", type=click.Choice(["ascending", "descending"]), default="ascending")
@click.option("--random", "random_count", metavar="N", help="N of them, by chance.")
@click.option("--at-most", metavar="N|N%", help="The first N of them, or such a part.")
@click.option("--first", is_flag=True, help="The first only.")
@click.option(
    "--watch",
    metavar="[SECONDS]",
    type=click.FloatRange(min=1),
    is_flag=False,
    flag_value=5.0,
    help="Again and again.",
)
@click.option("--json", "as_json", is_flag=True, help="An array of {name, attributes, tags}.")
def nodes(
    columns: str | None,
    by: str | None,
    rank_attribute: str | None,
    rank_order: str,
    random_count: str | None,
    at_most: str | None,
    first: bool,
    watch: float | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Lists running containers: those that a runbook's node source and filter would act on."""
    view = _View(
        columns=tuple(attribute_named(name) for name in comma_list(columns)),
        by=attribute_named(by) if by else "",
        rank=Rank.from_json({"rank_attribute": rank_attribute, "rank_order": rank_order}),
        limits=Limits.from_json({"random": random_count, "at_most": at_most, "first": first}),
        as_json=as_json,
    )
    sources, clients = node_sources(flags), clients_for(flags["profile"])
    if watch:
        _watch(sources, clients, view, watch)
        return
    inventory = read_inventory(sources, clients, wanted=view.wanted)
    chosen = view.chosen(inventory)
    if as_json:
        print_json(view.to_json(chosen))
    elif chosen:
        out = console()
        for line in view.lines(chosen, out.width if out.is_terminal else None):
            say(line)
    if inventory.errors:
        sys.exit(inventory.errors[0].exit_code)
    if not chosen:
        raise NodeNotFound(
            "no running container matches", where="; ".join(source.label() for source in sources)
        )


def _watch(sources: Sequence[NodeSource], clients: Clients, view: _View, interval: float) -> None:
    """Shows the nodes every ``interval`` seconds until Ctrl-C; to a pipe, an array a line, or tables."""
    out = console()
    try:
        if not out.is_terminal:
            for inventory, _ in _readings(sources, clients, view, interval):
                chosen = view.chosen(inventory)
                lines = [json_text(view.to_json(chosen))] if view.as_json else view.lines(chosen, None)
                say("\n".join(lines))
            return
        with Live(console=out, auto_refresh=False, vertical_overflow="ellipsis") as live:
            for inventory, changes in _readings(sources, clients, view, interval):
                head = f"{datetime.now().astimezone():%H:%M:%S}  {len(inventory.nodes)} containers{changes}"
                problems = [*errors_of(inventory), *inventory.notes]
                lines = [head, *problems, "", *view.lines(view.chosen(inventory), out.width)]
                live.update(Text("\n".join(lines), no_wrap=True), refresh=True)
    except KeyboardInterrupt:
        return


def _readings(
    sources: Sequence[NodeSource], clients: Clients, view: _View, interval: float
) -> Iterator[tuple[Inventory, str]]:
    """An inventory every ``interval`` seconds, with what changed since then: ``, 2 new, 1 gone``."""
    before: set[str] | None = None
    while True:
        inventory = find(sources, clients, wanted=view.wanted)
        now = {node.name for node in inventory.nodes}
        new, gone = (len(now - before), len(before - now)) if before is not None else (0, 0)
        yield inventory, (f", {new} new" if new else "") + (f", {gone} gone" if gone else "")
        before = now
        time.sleep(interval)
