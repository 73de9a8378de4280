"""Makes a text from outside harmless to a terminal and to UTF-8."""

from __future__ import annotations

import re

# CSI and OSC sequences whole (ECMA-48, xterm's control sequences), then any control character that is left.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]"
    r"|\x1b\][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` without escape sequences and without control characters other than newline and tab.

    A lone surrogate, which no encoding takes, becomes U+FFFD.
    """
    if text.isprintable():
        return text
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _ESCAPES.sub("", text)))
