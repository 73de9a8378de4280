"""How the agent splits ECS Exec's ``command`` into words: the rules of google/shlex, which are not those of
a shell.

Written from the behaviour seen of the real agent, not from the library's text.
"""

from __future__ import annotations

from enum import Enum, auto

BLANKS = " \t\r\n"


class SplitError(Exception):
    """The text ends inside a quotation or after a backslash."""


class _In(Enum):
    GAP = auto()
    WORD = auto()
    SINGLE = auto()
    DOUBLE = auto()
    COMMENT = auto()


def split(text: str) -> list[str]:
    """The words of ``text``; an empty list when there is nothing but blanks and comments.

    Single quotes are literal. In double quotes and outside of quotes a backslash is dropped and the next
    character kept, whatever it is. ``#`` begins a comment at the start of a word only. Nothing else has a
    meaning.

    Raises:
        SplitError: A quotation is not closed, or the text ends with a backslash. The message is the agent's.
    """
    words: list[str] = []
    word: list[str] = []
    state = _In.GAP
    characters = iter(text)
    for char in characters:
        if state is _In.COMMENT:
            state = _In.GAP if char == "\n" else state
        elif state is _In.SINGLE:
            state = _quoted(char, "'", word, state)
        elif char == "\\":
            word.append(_escaped(next(characters, None), state))
            state = _In.WORD if state is _In.GAP else state
        elif state is _In.DOUBLE:
            state = _quoted(char, '"', word, state)
        elif char in BLANKS:
            if state is _In.WORD:
                words.append("".join(word))
                word = []
            state = _In.GAP
        elif char == "#" and state is _In.GAP:
            state = _In.COMMENT
        else:
            state = _begin(char, word)
    if state in {_In.SINGLE, _In.DOUBLE}:
        raise SplitError("EOF found when expecting closing quote")
    if state is _In.WORD:
        words.append("".join(word))
    return words


def _begin(char: str, word: list[str]) -> _In:
    if char == "'":
        return _In.SINGLE
    if char == '"':
        return _In.DOUBLE
    word.append(char)
    return _In.WORD


def _quoted(char: str, end: str, word: list[str], state: _In) -> _In:
    if char == end:
        return _In.WORD
    word.append(char)
    return state


def _escaped(char: str | None, state: _In) -> str:
    if char is None:
        quoted = state is _In.DOUBLE
        raise SplitError(
            "EOF found when expecting closing quote" if quoted else "EOF found after escape character"
        )
    return char
