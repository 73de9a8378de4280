"""The containers that a command acts on: all that the source flags mean, or none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from taskmedic.aws.clients import Clients
from taskmedic.domain.errors import NodeNotFound
from taskmedic.domain.nodes import Node
from taskmedic_cli.common import clients_for, node_sources, read_inventory


def target_nodes(flags: Mapping[str, Any]) -> tuple[Clients, list[Node]]:
    """The containers by name, and the clients to reach them.

    Ends the program when a source cannot be read: half of what was asked for would pass for all of it.

    Raises:
        NodeNotFound: no running container matches.
    """
    sources, clients = node_sources(flags), clients_for(flags["profile"])
    inventory = read_inventory(sources, clients)
    if inventory.errors:
        click.echo("taskmedic: nothing was done, because not every source could be read", err=True)
        sys.exit(inventory.errors[0].exit_code)
    if not inventory.nodes:
        raise NodeNotFound(
            "no running container matches",
            where="; ".join(source.label() for source in sources),
            remedy="`taskmedic nodes` with fewer of the same flags shows what there is.",
        )
    return clients, list(inventory.nodes)
