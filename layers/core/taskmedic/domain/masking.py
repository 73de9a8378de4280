"""Hides what looks like a secret before a text is shown, logged or stored.

What stays is enough to recognise what stood there (the setting's name, the user of a URL), never a part of
the value. It errs on the side of hiding, but leaves AWS's own words alone: an ARN of a secret is no secret,
and an error message has to stay readable. What is looked for is in ``secret_kinds``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from taskmedic.domain.secret_kinds import KINDS, MASK
from taskmedic.domain.secret_names import FLAG, SETTING, SHORT_OPTIONS

_REFERENCES = frozenset(
    {"valueFrom", "credentialsParameter", "secretOptions", "nextToken"}
)  # names, not values
# What tells which kinds are worth a look: each piece is looked for once, and most texts have few.
_PIECES = frozenset(piece for kind in KINDS for piece in (*kind.hints, *kind.signs))
_ARN = re.compile(r"arn:aws[\w\-]{0,12}:\S{1,2000}")


def mask(text: str) -> str:
    """``text`` with everything that looks like a secret replaced by ``****``. Its number of lines stays."""
    lowered = text.lower()
    there = {piece for piece in _PIECES if piece in lowered}
    for kind in KINDS:
        if not (there.isdisjoint(kind.hints) or there.isdisjoint(kind.signs)):
            text = re.sub(kind.pattern, kind.replacement, text)
    return text


def mask_lines(lines: Sequence[str]) -> list[str]:
    """Texts that follow one another, masked together: a key that is printed over several is seen whole."""
    shown = iter(mask("\n".join(lines)).split("\n"))
    return ["\n".join(next(shown) for _ in line.split("\n")) for line in lines]


def mask_environment(pairs: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """ECS's ``[{"name", "value"}]`` with every value hidden; names stay."""
    return [{"name": str(pair.get("name", "")), "value": MASK} for pair in pairs]


def mask_document(document: Any) -> Any:
    """A copy of a JSON document with secrets hidden.

    Environment values are hidden whole; so is what stands behind a name that is a secret's, and what follows
    a flag of such a name in a list; the rest by what it looks like. References (a secret's ARN in
    ``valueFrom``) stay.
    """
    if isinstance(document, str):
        return mask(document)
    if isinstance(document, Mapping):
        named = isinstance(document.get("name"), str) and re.fullmatch(
            SETTING, document["name"], re.IGNORECASE
        )
        return {
            key: _mask_member(document["name"] if named and key == "value" else key, value)
            for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        if all(isinstance(item, str) for item in document):
            return list(_mask_words(document))
        return [mask_document(item) for item in document]
    return document


def _mask_member(key: Any, value: Any) -> Any:
    if key in {"environment", "Environment"}:
        if isinstance(value, Mapping):
            return dict.fromkeys(value, MASK)
        if isinstance(value, list):
            return mask_environment(pair for pair in value if isinstance(pair, Mapping))
    if not isinstance(key, str) or key in _REFERENCES or not re.fullmatch(SETTING, key, re.IGNORECASE):
        return mask_document(value)
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return _hidden(value)


def _hidden(value: Any) -> Any:
    """What stands behind a secret's name: ``****``, but for an ARN and what can hold none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return mask_document(value)
    return value if value == "" or _ARN.fullmatch(str(value)) else MASK


def _mask_words(words: Sequence[str]) -> Iterator[str]:
    """A command, or any other list of texts: a flag's value is the word after it."""
    program = words[0].rsplit("/", 1)[-1] if words else ""
    short = next((SHORT_OPTIONS[name] for name in SHORT_OPTIONS if re.fullmatch(name, program)), None)
    before = ""
    for word in words:
        after_short = short is not None and re.fullmatch(short, before)
        if (
            re.fullmatch(FLAG, before, re.IGNORECASE)
            and not word.startswith("-")
            and not _ARN.fullmatch(word)
        ) or after_short:
            yield MASK
        elif short and (found := re.match(rf"{short}(?=[^\-\s])", word)) and not re.fullmatch(short, word):
            yield found[0] + MASK
        else:
            yield mask(word)
        before = word
