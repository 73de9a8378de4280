"""The texts of a task that may say why it stopped, in a form in which words can be looked for.

AWS's wording reaches people through consoles, terminals and tools that capitalise it, wrap it in the middle
of a word, double its spaces, quote it and curl its apostrophes. None of that changes what it says, so words
are looked for in a *squeezed* text: lower case, without white space, quotes and backslashes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskmedic.domain.diagnosis.names import without_names

# White space of every kind, quotes straight and curly, backslashes of nested JSON, zero-width and soft
# characters.
_DROPPED = dict.fromkeys(
    map(ord, " \t\r\n\f\v\u00a0\u2009\u202f\u200b\ufeff\u00ad\"'`\\\u2018\u2019\u201c\u201d")
)


# A terminal breaks ARNs at their separators and indents the next line.
_WRAPPED_ARN = re.compile(r"(\barn:aws[\w:/+=,.@\-]{0,300}[:/\-])\r?\n[ \t]{0,40}(?=\w)")
MOST_LINES_OF_AN_ARN = 4


def in_one_line(text: str) -> str:
    """``text`` with its white space collapsed, and with ARNs whole that a terminal has broken."""
    for _ in range(MOST_LINES_OF_AN_ARN - 1 if "\n" in text else 0):
        text = _WRAPPED_ARN.sub(r"\1", text)
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """``text`` as words are looked for in it. Linear in its length."""
    return text.translate(_DROPPED).lower()


@dataclass(frozen=True, slots=True)
class Phrases:
    """Wordings that say the same thing. Written as people read them, looked for squeezed."""

    name: str
    squeezed: tuple[str, ...]
    shown: tuple[str, ...]

    def found_in(self, squeezed: str) -> bool:
        for phrase in self.squeezed:  # noqa: SIM110 - a plain loop: `any` over a generator costs three times as much
            if phrase in squeezed:
                return True
        return False


def phrases(name: str, *wordings: str | Phrases) -> Phrases:
    """A group of wordings; other groups among them are taken in whole."""
    shown: list[str] = []
    for wording in wordings:
        shown.extend(wording.shown if isinstance(wording, Phrases) else (wording,))
    return Phrases(name, tuple(dict.fromkeys(map(squeeze, shown))), tuple(shown))


class Message:
    """One text and where it stood. Remembers which groups of phrases it holds.

    ``text`` is whole, for names to be read from; ``squeezed`` is without the names that people chose, for
    words to be looked for in. It stands between ``^`` and ``$``, so that a phrase can ask for the beginning
    or the end of the text.
    """

    __slots__ = ("_found", "container", "cut_off", "source", "squeezed", "text")

    def __init__(self, source: str, text: str, container: str = "") -> None:
        self.source = source
        self.text = in_one_line(text)
        self.squeezed = f"^{squeeze(without_names(self.text))}$"
        self.container = container
        self.cut_off = False
        self._found: dict[str, bool] = {}

    def ending(self, squeezed: str) -> Message:
        """The same message, read as ``squeezed`` because its end was cut off."""
        whole = Message(self.source, self.text, self.container)
        whole.squeezed, whole.cut_off = f"^{squeezed}$", True
        return whole

    def says(self, group: Phrases) -> bool:
        """Whether one of the group's wordings stands in the text."""
        found = self._found.get(group.name)
        if found is None:
            found = self._found[group.name] = group.found_in(self.squeezed)
        return found
