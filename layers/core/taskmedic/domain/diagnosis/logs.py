"""The line of a log that most likely says why the process ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

from taskmedic.domain.printable import printable

# What names an error, best first: an exception as Python, Java, .NET, Ruby and Node.js print it; the last
# words of a process, by the kernel, a shell, Rust or npm; a level of severity as loggers print it.
_NAMING = (
    re.compile(
        r"^(?:Exception in thread \S{1,100} |Caused by: |Uncaught |Unhandled exception[.:]? )?"
        r"(?:[\w$]{1,80}\.){0,12}"
        r"(?:[\w$]{1,80}(?:Error|Exception|Failure|Fault|Panic)|Error|Exception)(?=:|$| \[)"
        r"|\([\w:]{1,80}Error\)$"
    ),
    re.compile(
        r"^(?:Killed|Aborted|Segmentation fault|Bus error|Illegal instruction|Floating point exception)$"
        r"|^\S{1,200}: line \d{1,9}: {1,9}\d{1,9} (?:Killed|Aborted|Segmentation fault|Bus error|Illegal)"
        r"|core dumped|panicked at|^npm ERR!|exec format error|(?:command not found|: not found)$"
        r"|(?:No such file or directory|Permission denied|Cannot allocate memory)$"
    ),
    re.compile(
        r"(?:^|[\s\[\"|:=])(?:FATAL|PANIC|CRITICAL|EMERG|SEVERE|ERROR|panic|fatal|error)(?:$|[\s\]\":|])"
    ),
)
_TRACE = re.compile(r"^(?:\s{1,8}at |\s{2,8}File \"|\s{1,8}from |goroutine \d|\s{4,}|\t)")
LINE_CHARS = 300


def last_error(lines: Sequence[str]) -> str:
    """The last line that names an exception, else the last words of a process, else the last severe line,
    else ``""``. Cut to 300 characters.
    """
    clipped = [printable(line[: LINE_CHARS * 2]).rstrip() for line in lines]
    for pattern in _NAMING:
        for line in reversed(clipped):
            if line.strip() and not _TRACE.match(line) and pattern.search(line):
                return line.strip()[:LINE_CHARS]
    return ""
