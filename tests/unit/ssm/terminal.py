"""A real shell on a real terminal, as the agent starts it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
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


class Terminal:
    """A command on a terminal, in a session of its own, as the agent starts it."""

    def __init__(self, invocation: Invocation, *, shell: str = "/bin/sh", controlling: bool = True) -> None:
        argv = shell_words.split(invocation.command_line)
        assert argv[0] == "/bin/sh"
        self._ours, theirs = pty.openpty()
        self._reader = MarkReader(invocation.nonce)
        # Opening it after setsid makes it the session's controlling terminal, whose end SIGHUP tells.
        opening = [os.ttyname(theirs)] if controlling else ["/dev/null"]
        script = 'exec 0<>"$0" 1>&0 2>&0; exec "$@"' if controlling else 'exec "$@"'
        hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would stay ignored
        self.leader = subprocess.Popen(
            ["/bin/sh", "-c", script, *opening, *shell.split(), *argv[1:]],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        signal.signal(signal.SIGHUP, hang_up)
        os.close(theirs)

    def __iter__(self) -> Iterator[bytes | Mark]:
        """Output and marks, until no process holds the terminal any more."""
        while data := _read(self._ours):
            yield from self._reader.feed(data)

    def write(self, line: bytes) -> None:
        os.write(self._ours, line)

    def session(self) -> list[psutil.Process]:
        """All processes of the command's session that live."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def terminate(self) -> None:
        """What ssm:TerminateSession makes of it: the direct child killed, the terminal closed."""
        self.leader.kill()
        self.close()

    def close(self) -> None:
        os.close(self._ours)
        self.leader.wait(timeout=30)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            alive = process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
            return alive and os.getsid(process.pid) == self.leader.pid
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False


def run(invocation: Invocation, *, shell: str = "/bin/sh", says_goodbye: bool = True) -> Seen:
    """Starts the command line as the agent does and answers as a client does, until the leader is gone."""
    began = time.monotonic()
    terminal = Terminal(invocation, shell=shell)
    seen = Seen()
    try:
        for found in terminal:
            _take(found, seen)
            for line in _answer(found, invocation, says_goodbye):
                terminal.write(line)
    finally:
        terminal.close()
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
