"""One command on a pseudo-terminal, as the agent starts it: leader of a session, the terminal its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

READ_SIZE = 1024

# Opening the terminal after setsid makes it the controlling one (on Linux; elsewhere Ctrl-C may not reach
# the command). A shell does it, because Popen without a hook in the child starts with vfork: a copy of this
# large process takes milliseconds, and forking one with many threads is not safe.
_OPEN_TERMINAL = 'exec 0<>"$0" 1>&0 2>&0; exec "$@"'


class Terminal:
    """A running command. Every method is called on the event loop's thread."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        """Start ``argv``, whose first word is an absolute path.

        Raises:
            OSError: No terminal or no process could be had.
        """
        self._loop = asyncio.get_running_loop()
        self._exited = asyncio.Event()
        self._stirred = asyncio.Event()  # there may be something to read, or the end has come
        self._input: deque[bytes] = deque()
        self._master, slave = pty.openpty()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _OPEN_TERMINAL, os.ttyname(slave), *argv],
                cwd=cwd,
                env=dict(env),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)
        self._watch_exit()

    @property
    def pid(self) -> int:
        """The direct child, which leads the session."""
        return self._process.pid

    async def read(self) -> bytes:
        """The next bytes, at most 1,024; empty when the terminal was hung up or its leader has exited."""
        while self._master >= 0:
            leader_gone = self._exited.is_set()
            try:
                return os.read(self._master, READ_SIZE)
            except BlockingIOError:
                if leader_gone:
                    break
                await self._readable()
            except OSError:  # EIO: the last process let go of the terminal
                break
        return b""

    def write(self, data: bytes) -> None:
        """Type ``data``; what the terminal does not take at once waits its turn."""
        if self._master < 0:
            return
        self._input.append(data)
        if len(self._input) == 1:
            self._loop.add_writer(self._master, self._write_some)
            self._write_some()

    def resize(self, columns: int, rows: int) -> None:
        """Set the window's size; the agent keeps the low 16 bits of each."""
        if self._master >= 0:
            size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def kill(self) -> None:
        """SIGKILL to the direct child only."""
        self._process.kill()

    def close(self) -> None:
        """Hang up: whatever is in the foreground gets SIGHUP. The direct child is reaped when it ends."""
        if self._master >= 0:
            master, self._master = self._master, -1
            self._loop.remove_reader(master)
            self._loop.remove_writer(master)
            os.close(master)
            self._stirred.set()

    async def exited(self) -> None:
        """Wait until the direct child has ended and been reaped."""
        await self._exited.wait()

    @property
    def alive(self) -> bool:
        """Whether the direct child still runs."""
        return not self._exited.is_set()

    async def _readable(self) -> None:
        """Wait until there is something to read, the leader has exited or the terminal was closed."""
        self._stirred.clear()
        if self._exited.is_set():
            return
        self._loop.add_reader(self._master, self._stirred.set)
        await self._stirred.wait()
        if self._master >= 0:
            self._loop.remove_reader(self._master)

    def _write_some(self) -> None:
        while self._input:
            try:
                written = os.write(self._master, self._input[0])
            except BlockingIOError:
                return
            except OSError:  # hung up: nobody is there to read it
                self._input.clear()
                break
            rest = self._input.popleft()[written:]
            if rest:
                self._input.appendleft(rest)
        self._loop.remove_writer(self._master)

    def _watch_exit(self) -> None:
        if sys.platform == "linux":
            handle = os.pidfd_open(self._process.pid)
            self._loop.add_reader(handle, self._leader_exited, handle)
        else:
            threading.Thread(target=self._wait_in_thread, daemon=True).start()

    def _wait_in_thread(self) -> None:
        self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._leader_exited)

    def _leader_exited(self, handle: int = -1) -> None:
        if handle >= 0:
            self._loop.remove_reader(handle)
            os.close(handle)
        self._process.wait()
        self._exited.set()
        self._stirred.set()
