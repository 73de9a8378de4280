"""What is shown of a command's output: its head and its tail, and nothing of a secret in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.command import CommandResult, Outcome
from taskmedic.domain.excerpt import SHOWN_BYTES, head_and_tail

KEPT = 4096


def a_result(output: bytes) -> CommandResult:
    """As it comes from ECS Exec: of a long output the first and the last 4 kB are kept."""
    head, rest = output[:KEPT], output[KEPT:]
    return CommandResult(
        outcome=Outcome.EXITED, exit_code=0, head=head, tail=rest[-KEPT:], total_bytes=len(output)
    )


@pytest.mark.parametrize("size", [0, 1, SHOWN_BYTES, SHOWN_BYTES + 1, 3 * SHOWN_BYTES, 10_000])
def test_head_and_tail_do_not_overlap(size: int) -> None:
    output = bytes(ord("0") + number % 10 if number % 50 else ord("\n") for number in range(size))

    head, tail, left_out = head_and_tail(a_result(output))

    assert left_out is (size > 2 * SHOWN_BYTES)
    if size <= 2 * SHOWN_BYTES:
        assert head + tail == output.decode()
    else:
        assert (head, tail) == (output[:SHOWN_BYTES].decode(), output[-SHOWN_BYTES:].decode())


@pytest.mark.parametrize("size", [4_500, 5_000, 8_000])
def test_of_output_that_was_kept_whole_it_is_told_that_the_middle_is_not_shown(size: int) -> None:
    assert head_and_tail(a_result(b"x" * size)).left_out


@pytest.mark.parametrize("character", ["é", "€", "😀"])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_no_character_is_cut_in_two(character: str, shift: int) -> None:
    output = ("x" * shift + f"{character * 50}\n" * 200).encode()

    head, tail, _ = head_and_tail(a_result(output))

    assert set(head.lstrip("x")) == {character, "\n"}
    assert set(tail) == {character, "\n"}


def test_bytes_that_are_no_text_do_not_break_the_report() -> None:
    head, _, _ = head_and_tail(a_result(b"\xff\xfe\x00ok"))

    assert head == "\ufffd\ufffd\x00ok"


def test_of_one_long_line_the_beginning_is_shown() -> None:
    head, tail, _ = head_and_tail(a_result(b"x" * 100_000))

    assert (head, tail) == ("x" * SHOWN_BYTES, "")


SECRET = "hunter2" * 6
# As `openssl genrsa` prints one of 4096 bits: more than fits into what is kept beside anything else.
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 50
)
KEY += "-----END PRIVATE KEY-----\n"


@given(before=st.integers(0, 9_000), after=st.integers(0, 9_000))
def test_no_part_of_a_setting_that_is_a_secret_is_shown(before: int, after: int) -> None:
    filler = "all is well\n"
    output = (filler * 900)[-before:] if before else ""
    output += f"\nDB_PASSWORD={SECRET}\n" + (filler * 900)[:after]

    shown = "\n".join(head_and_tail(a_result(output.encode()))[:2])

    assert "unter" not in shown


@given(before=st.integers(0, 9_000), after=st.integers(0, 9_000))
def test_no_part_of_a_private_key_is_shown(before: int, after: int) -> None:
    filler = "all is well\n"
    output = (filler * 900)[-before:] if before else ""
    output += "\n" + KEY + (filler * 900)[:after]

    shown = "\n".join(head_and_tail(a_result(output.encode()))[:2])

    assert "DANBgkqhkiG9w0" not in shown


def test_what_masking_shortened_does_not_bring_the_cut_into_sight() -> None:
    # The key leaves room for what stands at the end of what is kept, where a setting is cut in its name.
    output = KEY[:3300] + "-----END PRIVATE KEY-----\n" + "x" * (KEPT - 3326 - 8) + "\nAPI_TOK"
    output += "EN=abcdef0123456789\n" + "all is well\n" * 900

    head, _, _ = head_and_tail(a_result(output.encode()))

    assert "API_TOK" not in head
    assert head.endswith("x\n")
