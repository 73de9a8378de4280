"""Texts of programs, made fit to be read: what a terminal would act upon is done or left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# ECMA-48: a control sequence (colours, cursor), an operating system command (titles, links), another escape.
ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
)
# The other control characters. A line feed and a tab stay.
CONTROLS: Final = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def legible(document: Any) -> Any:
    """A copy of a JSON document in which every text is fit to be read and to be sent as UTF-8.

    Colours and control characters are left out; of a line that was written over, such as a progress bar, the
    last part stays; half a character (a lone surrogate, which no UTF-8 can hold) becomes a question mark.
    """
    match document:
        case str():
            return _legible(document)
        case Mapping():
            return {key: legible(value) for key, value in document.items()}
        case list() | tuple():
            return [legible(item) for item in document]
        case _:
            return document


def _legible(text: str) -> str:
    if text.isprintable():
        return text
    text = ESCAPES.sub("", text.encode(errors="replace").decode())
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return text.translate(CONTROLS)
