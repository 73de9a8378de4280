"""The agent splits commands by its own rules, which are not a shell's."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic_local.exec.goshlex import SplitError, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo hello", ["echo", "hello"]),
        (" \t echo \r\n hello ", ["echo", "hello"]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("a'b'c\"d\"", ["abcd"]),
        ("''", [""]),
        ("echo $HOME | wc > x; y & `z` *", ["echo", "$HOME", "|", "wc", ">", "x;", "y", "&", "`z`", "*"]),
        (r'"\n\$\"\\\x"', ['n$"\\x']),
        (r"'\n'", [r"\n"]),
        (r"a\ b \'", ["a b", "'"]),
        ("a\\\nb", ["a\nb"]),
        ("# nothing", []),
        ("a # b\nc", ["a", "c"]),
        ("a#b", ["a#b"]),
        ("'#' \"#\" \\#", ["#", "#", "#"]),
        ("", []),
        (" \t\r\n", []),
        ("a\vb\u00a0c", ["a\vb\u00a0c"]),
        ("grüße '✓'", ["grüße", "✓"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("'a", "EOF found when expecting closing quote"),
        ('a "b', "EOF found when expecting closing quote"),
        ("a\\", "EOF found after escape character"),
        ('"a\\', "EOF found after escape character"),
    ],
)
def test_what_does_not_end(text: str, complaint: str) -> None:
    with pytest.raises(SplitError, match=complaint):
        split(text)


@given(st.lists(st.text(), min_size=1))
def test_what_python_quotes_is_read_back_exactly(words: list[str]) -> None:
    assert split(shlex.join(words)) == words


@given(st.text(alphabet="ab#'\"\\ \n"))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        words = split(text)
    except SplitError:
        return
    assert all(isinstance(word, str) for word in words)
