"""A real shell on a real terminal, as the agent starts it."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from dataclasses import dataclass, field

from tests.unit.ssm import shell_words

from taskmedic.ssm.command import GOODBYE, Invocation, Mark, MarkReader


@dataclass
class Seen:
    """What came out of the terminal."""

    output: bytes = b""
    """Between the start mark and the end mark."""
    before_start: bytes = b""
    words: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def status(self) -> int | None:
        return next((int(word) for word in self.words if word.isdecimal()), None)


def run(invocation: Invocation, *, shell: str = "/bin/sh", says_goodbye: bool = True) -> Seen:
    """Starts the command line as the agent does and answers as a client does, until the leader is gone."""
    argv = shell_words.split(invocation.command_line)
    assert argv[0] == "/bin/sh"
    ours, theirs = pty.openpty()
    began = time.monotonic()
    # A session of its own: the wrapper's signals go to its process group.
    leader = subprocess.Popen(
        [shell, *argv[1:]], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen, reader = Seen(), MarkReader(invocation.nonce)
    try:
        while data := _read(ours):
            for found in reader.feed(data):
                _take(found, seen)
                for line in _answer(found, invocation, says_goodbye):
                    os.write(ours, line)
    finally:
        os.close(ours)
        leader.wait(timeout=30)
    seen.took_s = time.monotonic() - began
    return seen


def _take(found: bytes | Mark, seen: Seen) -> None:
    if isinstance(found, Mark):
        seen.words.append(found.word)
    elif "start" not in seen.words:
        seen.before_start += found
    elif seen.status is None:
        seen.output += found


def _answer(found: bytes | Mark, invocation: Invocation, says_goodbye: bool) -> tuple[bytes, ...]:
    match found:
        case Mark("ready"):
            return invocation.upload
        case Mark(word) if word.isdecimal() and says_goodbye:
            return (GOODBYE,)
        case _:
            return ()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1024)
    except OSError:  # EIO: no process holds the other end any more
        return b""
