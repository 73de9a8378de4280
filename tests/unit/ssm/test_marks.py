"""The command's output and the wrapper's marks, told apart."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from taskmedic.ssm.capture import Capture
from taskmedic.ssm.command import LineEnds, Mark, MarkReader

NONCE = b"0123456789abcdef" * 2
START = NONCE + b":start:\r\n"
END = NONCE + b":3:\r\n"


def read(pieces: list[bytes]) -> tuple[bytes, list[str]]:
    reader, output, words = MarkReader(NONCE), b"", []
    for piece in pieces:
        for found in reader.feed(piece):
            if isinstance(found, Mark):
                words.append(found.word)
            else:
                output += found
    return output + reader.rest(), words


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


outputs = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"\n", b"\r\n", b"\r", NONCE[:9], NONCE[:31], b":3:\n", "é€".encode()]),
    )
).map(b"".join)


@given(outputs, st.lists(st.integers(0, 10_000), max_size=20))
@example(b"a\r", [])
@example(NONCE[:31] * 3, [5, 40])
def test_output_comes_out_as_it_was_written_however_the_stream_is_cut(
    output: bytes, places: list[int]
) -> None:
    on_the_terminal = START + output.replace(b"\n", b"\r\n") + END

    assert read(cut(on_the_terminal, places)) == (output, ["start", "3"])


@given(outputs, outputs, st.lists(st.integers(0, 10_000), max_size=10))
def test_a_sign_of_life_in_the_middle_leaves_no_trace(first: bytes, then: bytes, places: list[int]) -> None:
    on_the_terminal = first.replace(b"\n", b"\r\n") + NONCE + b":beat:\r\n" + then.replace(b"\n", b"\r\n")

    assert read(cut(on_the_terminal, places)) == (first + then, ["beat"])


def test_the_nonce_alone_is_output() -> None:
    assert read([b"x" + NONCE + b" is no mark\n"]) == (b"x" + NONCE + b" is no mark\n", [])
    assert read([NONCE]) == (NONCE, [])
    assert read([NONCE * 3 + b":0:\n"]) == (NONCE * 2, ["0"])


def test_the_wrappers_own_text_holds_no_mark() -> None:
    echo = b"/bin/sh -c '_a=0123456789abcdef;_b=0123456789abcdef;m(){ printf ...' :0:\r\n"

    assert read([echo])[1] == []


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_a_reader_holds_back_no_more_than_one_mark(pieces: list[bytes]) -> None:
    reader = MarkReader(NONCE)
    for piece in pieces:
        reader.feed(piece)

    assert len(reader.rest()) <= len(NONCE) + 12


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=5))
def test_line_ends_are_undone_however_they_are_cut(text: bytes, places: list[int]) -> None:
    line_ends = LineEnds()

    undone = b"".join(line_ends.feed(p) for p in cut(text.replace(b"\n", b"\r\n"), places))

    assert undone + line_ends.rest() == text


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(0, 40), st.integers(1, 40))
def test_a_capture_keeps_the_beginning_and_the_end(pieces: list[bytes], head: int, tail: int) -> None:
    capture = Capture(head, tail)
    for piece in pieces:
        capture.write(piece)

    whole = b"".join(pieces)
    assert capture.total_bytes == len(whole)
    assert capture.head == whole[:head]
    assert capture.tail == whole[head:][-tail:]
