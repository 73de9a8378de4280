"""Tables that fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from taskmedic.domain.nodes import Node
from taskmedic_cli.node_table import counted, fitted, rows_of

ROWS = [
    ["NAME", "IMAGE", "ZONE"],
    ["0123456789/app", "registry.example.com/shop/checkout:2026.11.3", "eu-west-1a"],
    ["0123456789/proxy", "nginx:1.29", "eu-west-1b"],
]


def test_with_room_nothing_is_cut() -> None:
    assert (
        fitted(ROWS, 100)
        == fitted(ROWS, None)
        == [
            "NAME              IMAGE                                         ZONE",
            "0123456789/app    registry.example.com/shop/checkout:2026.11.3  eu-west-1a",
            "0123456789/proxy  nginx:1.29                                    eu-west-1b",
        ]
    )


def test_the_widest_column_gives_way_first_and_keeps_both_its_ends() -> None:
    assert fitted(ROWS, 54, droppable=True) == [
        "NAME              IMAGE                     ZONE",
        "0123456789/app    registry.exa…t:2026.11.3  eu-west-1a",
        "0123456789/proxy  nginx:1.29                eu-west-1b",
    ]


def test_columns_of_ones_own_choice_are_narrowed_and_never_left_out() -> None:
    assert fitted(ROWS, 30)[1].split() == ["0123…app", "regi…11.3", "eu-w…t-1a"]


def test_last_columns_are_left_out_before_the_name_is_cut() -> None:
    assert fitted(ROWS, 40, droppable=True)[1] == "0123456789/app    registry.ex…:2026.11.3"
    assert fitted(ROWS, 20, droppable=True)[1] == "0123456789/app"


rows = st.integers(1, 5).flatmap(
    lambda columns: st.lists(
        st.lists(
            st.text(st.characters(categories=["L", "N", "P"]), max_size=40),
            min_size=columns,
            max_size=columns,
        ),
        min_size=1,
        max_size=4,
    )
)


@given(rows, st.integers(1, 200), st.booleans())
def test_no_line_is_wider_than_the_terminal(table: list[list[str]], width: int, droppable: bool) -> None:
    assert all(cell_len(line) <= width for line in fitted(table, width, droppable=droppable))


def test_a_value_that_is_absent_is_a_dash() -> None:
    assert rows_of([Node("a", {})], ["name", "ECS:Service-Name"]) == [["NAME", "SERVICE"], ["a", "-"]]


NODES = [
    Node("a", {"ECS:Service-Name": "web"}, ("x", "y")),
    Node("b", {"ECS:Service-Name": "api"}, ("y",)),
    Node("c", {"ECS:Service-Name": "web"}),
    Node("d", {}),
]


@pytest.mark.parametrize(
    ("attribute", "counts"),
    [
        ("ECS:Service-Name", [("web", 2), ("", 1), ("api", 1)]),
        ("tags", [("", 2), ("y", 2), ("x", 1)]),
        ("name", [("a", 1), ("b", 1), ("c", 1), ("d", 1)]),
    ],
)
def test_values_with_counts_the_most_frequent_first(attribute: str, counts: list[tuple[str, int]]) -> None:
    assert counted(NODES, attribute) == counts
