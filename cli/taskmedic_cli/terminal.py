"""Text on its way to a person's terminal. Imports nothing heavy, for every command needs it.

AWS hands on what applications, images and users wrote. A control character in it would steer the terminal:
clear it, rename its window, hide a line.
"""

from __future__ import annotations

import json
import re
from typing import Any

import click

from taskmedic.domain.printable import printable

# What json leaves as it is: DEL, C1, and lone surrogates, which no encoding takes.
_TO_ESCAPE = re.compile(r"[\x7f-\x9f\ud800-\udfff]")


def say(text: str, *, err: bool = False) -> None:
    """A line, or several, on stdout or stderr."""
    click.echo(printable(text), err=err)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON that a terminal can show as well."""
    text = json.dumps(value, indent=indent, default=str, ensure_ascii=False)
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
