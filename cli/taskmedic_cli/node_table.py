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
    attr.TASK_HEALTH,
    attr.EXEC_AGENT_STATUS,
    attr.CONTAINER_IMAGE,
    attr.AVAILABILITY_ZONE,
    attr.LAUNCH_TYPE,
    attr.TASK_DEFINITION,
    attr.PRIVATE_IP,
)
_GAP = 2
_READABLE = 20
Row = Sequence[str]


def heading(attribute: str) -> str:
    """An attribute as a column's heading: ``ECS:Cluster-Name`` is ``CLUSTER``."""
    return attribute.removeprefix("ECS:").removesuffix("-Name").replace("-", " ").upper()


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
    """``rows`` as lines of aligned columns, at most ``width`` cells wide; None is as wide as needed.

    Columns are narrowed, the widest first, and their text is cut with an ellipsis. With ``droppable`` the
    first column stays whole, and the last are left out rather than cut to fewer than ``_READABLE`` cells.
    """
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        floors = [min(natural, _READABLE) for natural in widths]
        if droppable:
            floors[0] = widths[0]
            while len(floors) > 1 and _total(floors) > width:
                floors.pop()
        widths = _narrowed(widths[: len(floors)], floors if _total(floors) <= width else None, width)
    return [_line(row, widths) for row in rows]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _narrowed(widths: Sequence[int], floors: Sequence[int] | None, width: int) -> list[int]:
    """Widths of at most ``width`` in all: the widest give first, down to ``floors`` or, without, to one."""
    narrowed = list(widths)
    least = list(floors or [1] * len(narrowed))
    while _total(narrowed) > width:
        spare = [column for column, cells in enumerate(narrowed) if cells > least[column]]
        if not spare:
            narrowed.pop()  # more columns than cells
            continue
        narrowed[max(spare, key=narrowed.__getitem__)] -= 1
    return narrowed


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [_cell(text, width) for text, width in zip(row, widths, strict=False)]
    return (" " * _GAP).join(cells).rstrip()


def _cell(text: str, width: int) -> str:
    """``text`` on ``width`` cells, cut in the middle: an image's tag and an ARN's name stand at the end."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    end = (width - 1) // 2
    return set_cell_size(text, width - 1 - end) + "…" + set_cell_size(text[::-1], end)[::-1]
