"""Text on its way to a person's terminal. Imports nothing heavy, for every command needs it.

AWS hands on what applications, images and users wrote. A control character in it would steer the terminal:
clear it, rename its window, hide a line.
"""

from __future__ import annotations

import json
import re
from typing import Any

import click

# C0, DEL and C1, but for tab and newline.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# JSON escapes C0 by itself.
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def printable(text: str) -> str:
    """``text`` without control characters; what is left of an escape sequence stays to be seen."""
    return _CONTROL.sub("", text)


def say(text: str, *, err: bool = False) -> None:
    """A line, or several, on stdout or stderr."""
    click.echo(printable(text), err=err)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON that a terminal can show as well."""
    return json.dumps(value, indent=indent, default=str, ensure_ascii=False).translate(_JSON_ESCAPES)
