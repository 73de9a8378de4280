"""The agent never cuts a character in two, and never waits for one that cannot come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic_local.exec.utf8 import cut

TEXT = st.text(alphabet=st.characters(exclude_characters="\ufffd", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("data", "ready", "held_back"),
    [
        (b"abc", b"abc", b""),
        ("aé".encode(), "aé".encode(), b""),
        (b"a\xc3", b"a", b"\xc3"),
        (b"a\xe2\x82", b"a", b"\xe2\x82"),
        (b"a\xf0\x9f\x98", b"a", b"\xf0\x9f\x98"),
        (b"a\xffbcde", b"a\xffbcde", b""),
        (b"a\xffbc", b"a", b"\xffbc"),
        (b"\x80\x80\x80\x80", b"\x80", b"\x80\x80\x80"),
        # A genuine replacement character is taken for an invalid byte: two of its three bytes are lost.
        ("\ufffdabc".encode(), b"\xefabc", b""),
    ],
)
def test_cuts(data: bytes, ready: bytes, held_back: bytes) -> None:
    assert cut(data) == (ready, held_back)


@given(
    st.text(alphabet=st.characters(exclude_characters="\ufffd", exclude_categories=["Cs"])), st.integers(1, 7)
)
def test_text_read_in_pieces_comes_out_whole(text: str, size: int) -> None:
    data = text.encode()
    out, held_back = b"", b""
    for at in range(0, len(data), size):
        ready, held_back = cut(held_back + data[at : at + size])
        ready.decode()
        out += ready
    assert out == data
    assert held_back == b""


@given(st.binary(max_size=40))
def test_at_most_three_bytes_wait(data: bytes) -> None:
    ready, held_back = cut(data)
    assert len(held_back) <= 3
    assert len(ready) + len(held_back) <= len(data)
