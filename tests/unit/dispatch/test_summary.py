"""What is told of a dispatch: counts, the slowest, the failed, and as much output as there is room for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.dispatch import (
    NOT_STARTED,
    NodeResult,
    bounded,
    summarise,
)

FINE = NodeResult("a/app", "exited", exit_code=0, duration_s=1)
EXIT_3 = NodeResult("b/app", "exited", exit_code=3, duration_s=4, reason="The command ended with status 3.")
GONE = NodeResult("c/app", "not_reachable", duration_s=2)
NOT_BEGUN = NodeResult("d/app", NOT_STARTED)


def test_all_zero_is_success() -> None:
    summary = summarise([FINE, FINE])

    assert summary.succeeded
    assert summary.line == "2 of 2 nodes exited 0"


def test_failures_are_counted_by_kind() -> None:
    summary = summarise([FINE, EXIT_3, EXIT_3, GONE, NOT_BEGUN])

    assert not summary.succeeded
    assert summary.line == "1 of 5 nodes exited 0; 2 x exit 3, 1 x not_reachable; 1 not started"
    assert summary.counts == {"exited": 3, "not_reachable": 1, "not_started": 1}
    assert summary.failed == (EXIT_3, EXIT_3, GONE)
    assert [result.node for result in summary.slowest] == ["b/app", "b/app", "c/app"]


@pytest.mark.parametrize(
    ("results", "first_success", "succeeded"),
    [
        ([EXIT_3, FINE, NOT_BEGUN], True, True),
        ([EXIT_3, GONE], True, False),
        ([FINE, NOT_BEGUN], False, False),
        ([], False, False),
    ],
)
def test_what_counts_as_success(results: list[NodeResult], first_success: bool, succeeded: bool) -> None:
    assert summarise(results, first_success=first_success).succeeded is succeeded


@given(
    st.lists(
        st.builds(
            NodeResult,
            node=st.text(min_size=1, max_size=40),
            outcome=st.sampled_from(["exited", "timed_out", NOT_STARTED]),
            exit_code=st.sampled_from([0, 1]),
            head=st.text(max_size=3000),
            tail=st.text(max_size=3000),
        ),
        max_size=30,
    ),
    st.integers(500, 20_000),
)
def test_the_excerpt_never_passes_its_limit(results: list[NodeResult], limit: int) -> None:
    assert len(json.dumps(bounded(results, limit))) <= limit + 2


def test_the_failed_come_first_and_keep_their_output_longest() -> None:
    chatty = [NodeResult(f"{n}/app", "exited", exit_code=0, head="x" * 2000) for n in range(50)]
    failed = NodeResult("z/app", "timed_out", head="y" * 2000)

    rows = bounded([*chatty, failed], 8_000)

    assert rows[0]["node"] == "z/app"
    assert len(rows) < 51


def test_a_shortened_output_says_so() -> None:
    result = NodeResult("a/app", "exited", exit_code=0, head="x" * 2000, tail="y" * 2000)

    (row,) = bounded([result], 1_500)

    assert row["truncated"]
    assert row["head"] == "x" * 400
    assert row["tail"] == "y" * 400
