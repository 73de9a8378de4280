"""The line of a log that most likely says why the process ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The line that names the error: an exception's name at the line's beginning, as Python, Java, .NET, Ruby and
# Node.js print it, or a level of severity as loggers print it.
_EXCEPTION = re.compile(
    r"^(?:Exception in thread \S{1,100} |Caused by: |Uncaught |Unhandled exception[.:]? )?"
    r"(?:[\w$]{1,80}\.){0,12}[\w$]{0,80}(?:Error|Exception|Failure|Fault|Panic)\b"
)
_SEVERE = re.compile(
    r"(?:^|[\s\[\"|:])(?:FATAL|PANIC|CRITICAL|EMERG|SEVERE|ERROR|panic|fatal|error)(?:$|[\s\]\":|])"
)
_TRACE = re.compile(r"^(?:\s{1,8}at |\s{2,8}File \"|\s{1,8}from |goroutine \d|\s{4,}|\t)")
LINE_CHARS = 300


def last_error(lines: Sequence[str]) -> str:
    """The last line that names an exception, else the last severe one, else ``""``. Cut to 300 characters."""
    clipped = [line[: LINE_CHARS * 2].rstrip() for line in lines]
    for pattern in (_EXCEPTION, _SEVERE):
        for line in reversed(clipped):
            if line.strip() and not _TRACE.match(line) and pattern.search(line):
                return line.strip()[:LINE_CHARS]
    return ""
