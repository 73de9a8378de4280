"""Nodes as a table that fits the terminal, and the values of one attribute with their counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from taskmedic.domain import nodes as attr
from taskmedic.domain.nodes import Node

# In the order they stand; where the terminal is too narrow, the last ones are left out first.
DEFAULT_COLUMNS = (
    attr.NAME,
    attr.CLUSTER_NAME,
    attr.SERVICE_NAME,
    attr.CONTAINER_IMAGE,
    attr.TASK_HEALTH,
    attr.EXEC_AGENT_STATUS,
    attr.AVAILABILITY_ZONE,
    attr.LAUNCH_TYPE,
    attr.TASK_DEFINITION,
    attr.PRIVATE_IP,
)
_GAP = 2
_NARROWEST = 8
Row = Sequence[str]


def heading(attribute: str) -> str:
    """An attribute as a column's heading: ``ECS:Cluster-Name`` is ``CLUSTER NAME``."""
    return attribute.removeprefix("ECS:").replace("-", " ").upper()


def rows_of(nodes: Iterable[Node], columns: Sequence[str]) -> list[Row]:
    """A heading, and a row for each node."""
    return [
        [heading(name) for name in columns],
        *([node.get(name) or "-" for name in columns] for node in nodes),
    ]


def counted(nodes: Sequence[Node], attribute: str) -> list[tuple[str, int]]:
    """The values of ``attribute`` with how many nodes have each, the most frequent first; "" for none."""
    if attribute == attr.TAGS:
        counts = Counter(tag for node in nodes for tag in node.tags or ("",))
    else:
        counts = Counter(node.get(attribute) for node in nodes)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def fitted(rows: Sequence[Row], width: int | None, *, droppable: bool = False) -> list[str]:
    """``rows`` as lines of aligned columns, none wider than ``width`` cells; None is as wide as it needs.

    Columns are narrowed, the widest first, and their text is cut with an ellipsis. With ``droppable`` the
    last columns are left out instead, as long as two remain.
    """
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        while droppable and len(widths) > 2 and _total(widths) > width:
            widths.pop()
        widths = _narrowed(widths, width)
    return [_line(row, widths) for row in rows]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _narrowed(widths: Sequence[int], width: int) -> list[int]:
    """Widths of at most ``width`` in all, taken from the widest; columns beyond the edge are gone."""
    narrowed = list(widths)
    while _total(narrowed) > width:
        widest = max(range(len(narrowed)), key=narrowed.__getitem__)
        if narrowed[widest] > _NARROWEST:
            narrowed[widest] -= 1
        elif len(narrowed) > 1:
            narrowed.pop()
        else:
            return [max(1, width)]
    return narrowed


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [_cell(text, width) for text, width in zip(row, widths, strict=False)]
    return (" " * _GAP).join(cells).rstrip()


def _cell(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else "…"
