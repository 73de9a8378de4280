"""The node filter: Rundeck's grammar over node attributes.

    filter  = clause { blank clause }                  every clause must hold
    clause  = [ "!" ] attribute ":" [ blank ] value    "!" turns it round
            | value                                    a bare word is the node's name
    value   = regular expression                       must match the whole attribute, or be equal to it
            | text "," text …                          exactly one of them
    tags    = tag { "+" tag } { "," tag … }            "+" is and, "," is or

The same attribute twice joins to a list. Quotes ('…' or "…", doubled to stand for themselves) keep blanks
together. Source: Rundeck manual, "Node Filters". Regular expressions are RE2's: they take time linear in the
text, so that a hostile one cannot hang a function; docs/inventory.md says where they differ from Java's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.nodes import NAME, TAGS, Node, attribute_named

MAX_LENGTH = 8192
_PREFIX = "ECS:"
_SHOWN = 60  # characters of a long filter that are shown on each side of the caret
_CLOSING = {"(": ")", "[": "]", "{": "}"}
# No attribute of ECS can hold one of these (AWS allows letters, digits, blanks and + - = . _ : / @ in tags).
_ONLY_IN_PATTERNS = frozenset("*?|^$()[]{}\\")


@dataclass(frozen=True)
class Clause:
    """One condition. A single value is a regular expression, several are exact."""

    attribute: str
    values: tuple[str, ...]
    negated: bool = False

    def matches(self, node: Node) -> bool:
        """Whether it holds for ``node``. Without the attribute a clause does not hold, a negated one does."""
        return self._found(node) is not self.negated

    def _found(self, node: Node) -> bool:
        if self.attribute == TAGS:
            return any(_has_tags(value, node.tags) for value in self.values)
        text = node.get(self.attribute)
        if not text:
            return False
        if text in self.values:
            return True
        return len(self.values) == 1 and _pattern(self.values[0]).fullmatch(text) is not None

    def __str__(self) -> str:
        mark = "!" if self.negated else ""
        key = mark + _quoted(f"{self.attribute}:")
        joined = ",".join(self.values)
        if _split_list(joined) == list(self.values):
            return f"{key} {_quoted(joined)}"
        return " ".join(f"{key} {_quoted(value)}" for value in self.values)


@dataclass(frozen=True)
class NodeFilter:
    """Clauses that must all hold; with none it takes every node."""

    clauses: tuple[Clause, ...] = ()

    @classmethod
    def parse(cls, text: str) -> NodeFilter:
        """
        Raises:
            FilterInvalid: the text breaks the grammar; the error shows the place with a caret.
        """
        if len(text) > MAX_LENGTH:
            raise FilterInvalid(
                "the node filter is too long", why=f"it has {len(text)} characters, {MAX_LENGTH} are allowed"
            )
        return cls(_Parser(text).clauses())

    def matches(self, node: Node) -> bool:
        return all(clause.matches(node) for clause in self.clauses)

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes it asks for."""
        return frozenset(clause.attribute for clause in self.clauses)

    def without(self, attributes: Iterable[str]) -> NodeFilter:
        """The clauses on other attributes: what can be decided before those are known."""
        left_out = frozenset(attributes)
        return NodeFilter(tuple(clause for clause in self.clauses if clause.attribute not in left_out))

    @property
    def ineffective(self) -> tuple[str, ...]:
        """Values of lists that look like patterns; values of a list are exact, so these can match nothing."""
        return tuple(
            value
            for clause in self.clauses
            if len(clause.values) > 1
            for value in clause.values
            if _ONLY_IN_PATTERNS & set(value)
        )

    def __str__(self) -> str:
        return " ".join(str(clause) for clause in self.clauses)


@dataclass(frozen=True)
class _Token:
    """A word of the filter: its text without quotes, and where each character stood."""

    text: str
    places: tuple[int, ...]
    start: int
    end: int


class _Parser:
    """One filter text, taken apart."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[tuple[str, bool], list[tuple[str, int]]] = {}

    def clauses(self) -> tuple[Clause, ...]:
        tokens = iter(self._tokens())
        for token in tokens:
            if token.text.startswith("!") and ":" not in token.text:
                raise self._error(token.start, "! stands before an attribute: write !name: value")
            key, value_at = _key_of(token.text)
            if not key:
                self._add(NAME, token, 0, negated=False)
                continue
            negated = key.startswith("!")
            attribute = self._attribute(token, key.removeprefix("!"), int(negated))
            if value_at < len(token.text):
                self._add(attribute, token, value_at, negated=negated)
                continue
            value = next(tokens, None)
            if value is None:
                raise self._error(token.end, f"{key}: has no value")
            self._add(attribute, value, 0, negated=negated)
        return tuple(self._clause(*key, values) for key, values in self._found.items())

    def _attribute(self, token: _Token, name: str, offset: int) -> str:
        try:
            return attribute_named(name)
        except FilterInvalid as error:
            place = token.places[min(offset, len(token.places) - 1)]
            raise self._error(place, error.what, error.remedy) from error

    def _add(self, attribute: str, token: _Token, start: int, *, negated: bool) -> None:
        value = token.text[start:]
        place = token.places[start] if start < len(token.places) else token.start
        items = [item.strip() for item in _split_list(value)]
        if "" in items:
            raise self._error(
                token.end if items[-1] == "" and value.strip() else place,
                "a value is missing",
                "Write a list without blanks, as in a,b, or in quotes." if value.strip() else "",
            )
        self._found.setdefault((attribute, negated), []).extend((item, place) for item in items)

    def _clause(self, attribute: str, negated: bool, found: list[tuple[str, int]]) -> Clause:
        values = tuple(value for value, _ in found)
        if attribute == TAGS:
            self._check_tags(found)
        elif len(values) == 1:
            self._check_pattern(*found[0])
        elif negated:
            self._check_exact(found)
        return Clause(attribute, values, negated)

    def _check_pattern(self, value: str, place: int) -> None:
        try:
            _pattern(value)
        except re2.error as error:
            raise self._error(place, f"not a regular expression: {_reason(error)}") from error

    def _check_exact(self, found: list[tuple[str, int]]) -> None:
        for value, place in found:
            if _ONLY_IN_PATTERNS & set(value):
                raise self._error(
                    place,
                    f"the values of a list are exact, and nothing is called {value}",
                    "What was meant to be kept out would be let in. Write one expression: a.*|b.*",
                )

    def _check_tags(self, found: list[tuple[str, int]]) -> None:
        for value, place in found:
            if not all(part.strip() for part in value.split("+")):
                raise self._error(place, "a tag is missing before or after +")

    def _tokens(self) -> Iterable[_Token]:
        position = 0
        while position < len(self._text):
            if self._text[position].isspace():
                position += 1
                continue
            token = self._token(position)
            yield token
            position = token.end

    def _token(self, start: int) -> _Token:
        characters: list[str] = []
        places: list[int] = []
        quote = ""
        quote_at = position = start
        text = self._text
        while position < len(text) and (quote or not text[position].isspace()):
            character = text[position]
            if character == quote and text[position + 1 : position + 2] == quote:
                position += 1  # doubled inside quotes: it stands for itself
            elif character == quote:
                quote = ""
                position += 1
                continue
            elif not quote and character in "'\"":
                quote, quote_at = character, position
                position += 1
                continue
            characters.append(character)
            places.append(position)
            position += 1
        if quote:
            raise self._error(quote_at, "the quote is not closed")
        return _Token("".join(characters), tuple(places), start, position)

    def _error(self, place: int, why: str, remedy: str = "") -> FilterInvalid:
        begin, end = max(0, place - _SHOWN), place + _SHOWN
        shown = "".join(" " if c.isspace() else c for c in self._text[begin:end])
        caret = " " * sum(map(_cells, shown[: place - begin])) + "^"
        return FilterInvalid(
            "the node filter cannot be read",
            where=f"column {place + 1}",
            why=why,
            remedy=f"{remedy}\n  {shown}\n  {caret}".lstrip(" "),
        )


def _cells(character: str) -> int:
    """How many cells of a terminal a character takes (Unicode Standard Annex 11)."""
    if unicodedata.category(character) in {"Mn", "Me", "Cc", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _key_of(word: str) -> tuple[str, int]:
    """The attribute a word begins with (with its ``!``), and where its value begins; no key for a bare value.

    A word that ends in a colon is a key as a whole, as in Rundeck; else the first colon parts key from value,
    the one of ``ECS:`` not counted.
    """
    if word.endswith(":"):
        return word[:-1], len(word)
    name_at = 1 if word.startswith("!") else 0
    after_prefix = name_at + len(_PREFIX) if word.startswith(_PREFIX, name_at) else 0
    colon = word.find(":", after_prefix)
    if colon < 0:
        return (word, len(word)) if after_prefix else ("", 0)
    return word[:colon], colon + 1


def _split_list(value: str) -> list[str]:
    """``value`` at its commas; one inside brackets, as in ``[0-9]{1,2}``, belongs to a regular expression."""
    items: list[str] = []
    depth: list[str] = []
    begin = 0
    escaped = False
    for position, character in enumerate(value):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif depth and character == depth[-1]:
            depth.pop()
        elif character in _CLOSING and (not depth or depth[-1] != "]"):
            depth.append(_CLOSING[character])
        elif character == "," and not depth:
            items.append(value[begin:position])
            begin = position + 1
    return [*items, value[begin:]]


def _has_tags(alternative: str, tags: tuple[str, ...]) -> bool:
    """Whether ``tags`` hold every part of ``a+b``, or one that reads so (a tag may hold a plus)."""
    return alternative in tags or all(part.strip() in tags for part in alternative.split("+"))


def _quoted(text: str) -> str:
    if not any(character.isspace() or character in "'\"" for character in text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would write a user's mistake to stderr; it is raised instead
    options.max_mem = 8 << 20
    return options


_OPTIONS = _options()


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    return re2.compile(text, _OPTIONS)


def _reason(error: Exception) -> str:
    first: Any = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
