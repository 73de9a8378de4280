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


_STARTS = {"'": _In.SINGLE, '"': _In.DOUBLE, "#": _In.COMMENT}


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
        before = state
        if char == "\\" and state not in {_In.SINGLE, _In.COMMENT}:
            word.append(_escaped(next(characters, None)))
            state = _In.WORD if state is _In.GAP else state
        else:
            state = _step(char, word, state)
        if before is _In.WORD and state is _In.GAP:
            words.append("".join(word))
            word.clear()
    if state in {_In.SINGLE, _In.DOUBLE}:
        raise SplitError("EOF found when expecting closing quote")
    return [*words, "".join(word)] if state is _In.WORD else words


def _step(char: str, word: list[str], state: _In) -> _In:
    """The state after one character that is not escaped."""
    match state:
        case _In.COMMENT:
            return _In.GAP if char == "\n" else state
        case _In.SINGLE:
            return _quoted(char, "'", word, state)
        case _In.DOUBLE:
            return _quoted(char, '"', word, state)
    if char in BLANKS:
        return _In.GAP
    if char in _STARTS and (char != "#" or state is _In.GAP):
        return _STARTS[char]
    word.append(char)
    return _In.WORD


def _quoted(char: str, end: str, word: list[str], state: _In) -> _In:
    if char == end:
        return _In.WORD
    word.append(char)
    return state


def _escaped(char: str | None) -> str:
    if char is None:
        raise SplitError("EOF found after escape character")
    return char
