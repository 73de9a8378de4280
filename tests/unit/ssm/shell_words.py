"""How AWS's agent splits a command line: the rules of google/shlex, written afresh from their description."""

from __future__ import annotations

from collections.abc import Iterator


def split(line: str) -> list[str]:
    """The words of ``line``. Raises ValueError where the agent refuses it."""
    words: list[str] = []
    characters = iter(line)
    for character in characters:
        if character in " \t\r\n":
            continue
        if character == "#":
            while next(characters, "\n") != "\n":
                pass
            continue
        words.append(_word(character, characters))
    return words


def _word(character: str, characters: Iterator[str]) -> str:
    word = ""
    while character not in {"", " ", "\t", "\r", "\n"}:
        if character == "'":
            word += _until(characters, "'", escapes=False)
        elif character == '"':
            word += _until(characters, '"', escapes=True)
        elif character == "\\":
            word += _next(characters)
        else:
            word += character
        character = next(characters, "")
    return word


def _until(characters: Iterator[str], end: str, *, escapes: bool) -> str:
    text = ""
    while (character := _next(characters)) != end:
        # Unlike in a shell, a backslash in double quotes escapes every character, and always goes.
        text += _next(characters) if escapes and character == "\\" else character
    return text


def _next(characters: Iterator[str]) -> str:
    character = next(characters, "")
    if not character:
        raise ValueError("EOF found when expecting closing quote")
    return character
