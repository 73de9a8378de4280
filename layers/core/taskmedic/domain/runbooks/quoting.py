"""Where in a shell script a quoted word is safe to put.

A value quoted by `shlex.quote` is one word of the script only where the shell reads words: not inside the
script's own quotes or back-ticks, not in a comment (a newline in the value would end it), and not in a
here-document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Pattern

_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?")


def unsafe_places(script: str, placeholder: Pattern[str]) -> Iterator[tuple[str, str]]:
    """Each placeholder that stands where quoting does not hold, with that place in words.

    The reading is strict rather than complete: a place that is safe only to a full shell parser, such as
    `"$(cmd ${option.x})"`, counts as unsafe.
    """
    places = _places(script)
    for found in placeholder.finditer(script):
        where = places[found.start()]
        if where:
            yield found[0], where


def _places(script: str) -> list[str]:
    """For each character, where it stands: empty for a plain place."""
    places: list[str] = []
    inside, heredoc = "", ""
    index = 0
    while index < len(script):
        char = script[index]
        places.append(inside or heredoc)
        if char == "\\" and inside not in _NO_ESCAPES:
            index += 1
            places.append(places[-1])
        elif inside:
            inside = "" if char == _CLOSES[inside] else inside
        elif script.startswith("$'", index):
            inside = ANSI_QUOTES
            index += 1
            places.append(inside)
        elif char in _OPENS:
            inside = _OPENS[char]
        elif char == "#" and (index == 0 or script[index - 1] in " \t\n;&|("):
            inside = COMMENT
        elif _HEREDOC.match(script, index):
            heredoc = "after a here-document"
        index += 1
    return places


COMMENT = "in a comment"
SINGLE_QUOTES = "inside single quotes"
ANSI_QUOTES = "inside $'…'"
_OPENS = {"'": SINGLE_QUOTES, '"': "inside double quotes", "`": "inside back-ticks"}
_CLOSES = {words: char for char, words in _OPENS.items()} | {COMMENT: "\n", ANSI_QUOTES: "'"}
_NO_ESCAPES = {COMMENT, SINGLE_QUOTES}
