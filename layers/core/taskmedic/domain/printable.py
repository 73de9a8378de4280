"""Makes a text from outside harmless to a terminal and to UTF-8, and fit to be read."""

from __future__ import annotations

import re

# ECMA-48 and xterm: control sequences (colours, cursor) and operating system commands (titles, links) whole,
# then any other escape, and any control character that is left.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]"
    r"|\x1b\][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{0,16}[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_RETURNS = re.compile(r"\r+(\n|\Z)?")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def printable(text: str, *, last_written: bool = False) -> str:
    """``text`` without escape sequences and without control characters other than newline and tab.

    A carriage return within a line becomes a space, so that nobody can hide what stands before it. A lone
    surrogate, which no encoding takes, becomes U+FFFD.

    Args:
        text: From anybody.
        last_written: Of a line that was written over, such as a progress bar, only the last part stays.
    """
    if text.isprintable():
        return text
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    if last_written:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    text = _RETURNS.sub(lambda returns: " " if returns[1] is None else returns[1], text)
    return _SURROGATES.sub("\ufffd", text)
