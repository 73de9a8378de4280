"""Texts of programs anywhere in a JSON document, made fit to be read and to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskmedic.domain.printable import printable


def legible(document: Any) -> Any:
    """A copy of a JSON document in which every text is ``printable``, and a line as it was written last."""
    match document:
        case str():
            return printable(document, last_written=True)
        case Mapping():
            return {key: legible(value) for key, value in document.items()}
        case list() | tuple():
            return [legible(item) for item in document]
        case _:
            return document
