"""What may come out of a container's log is not what may go to a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.printable import printable

ANYTHING = st.text(st.one_of(st.characters(), st.characters(categories=["Cc", "Cs"])))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[1;31mError\x1b[0m: no orders", "Error: no orders"),
        ("\x9b31mError", "Error"),
        ("\x1b]0;a title\x07done", "done"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b\x1b[2J[2J", "[2J"),
        ("bell\x07 nul\x00 del\x7f", "bell nul del"),
        ("a line\r\n\tand the next", "a line\n\tand the next"),
        ("\x1bcreset \x1b(Bcharset \x1b7saved\x1b8", "reset charset saved"),
        ("10%\r50%\r\r100%\ndone\r\nnext\r", "10% 50% 100%\ndone\nnext"),
        ("this failed\r\x1b[Kall is well\r\x1b[K\n", "this failed all is well\n"),
        ("half a pair \ud800", "half a pair \ufffd"),
        ("été — 訂單 🚚", "été — 訂單 🚚"),
    ],
)
def test_what_is_left_of_a_text(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_of_a_progress_bar_the_end_is_enough() -> None:
    assert printable("50%\r\x1b[K100%\r\x1b[K\ndone\r\n", last_written=True) == "100%\ndone\n"


@given(ANYTHING)
def test_nothing_is_left_that_a_terminal_obeys_or_utf8_refuses(text: str) -> None:
    shown = printable(text)

    shown.encode()
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert printable(shown) == shown
