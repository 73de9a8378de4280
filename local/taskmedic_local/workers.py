"""Starts and ends the functions' processes, through ``lambda_host``, and collects what they write."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from taskmedic_local.functions import Function

# Takes a log stream's name and one line that a worker of it wrote.
LineSink = Callable[[str, str], None]


class WorkerHost:
    """The forking process and the pipes of its workers."""

    def __init__(self, on_exit: Callable[[str, int], None], on_line: LineSink) -> None:
        """
        Args:
            on_exit: called with the worker that ended and its exit status (negative: the signal).
            on_line: called with each line a worker writes.
        """
        ours, theirs = socket.socketpair()
        self._control = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taskmedic_local.lambda_host", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on the terminal is for us; we end the workers ourselves
            env={**os.environ, "AWS_XRAY_SDK_ENABLED": "false", "POWERTOOLS_TRACE_DISABLED": "true"},
        )
        theirs.close()
        self._on_exit = on_exit
        self._command_lock = threading.Lock()
        self._answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._logs = LogPump(on_line)
        self._closed = False
        threading.Thread(target=self._read, name="lambda-host", daemon=True).start()

    def spawn(self, worker: str, function: Function, env: dict[str, str], stream: str) -> int:
        """Starts a process that will be known as ``worker``; its pid. Its output goes to ``stream``."""
        write_end = self._logs.open(stream)
        command = {
            "spawn": worker,
            "handler": function.handler,
            "task_root": str(function.task_root),
            "path": function.path,
            "env": env,
        }
        return int(self._ask(command, [write_end])["pid"])

    def kill(self, worker: str) -> None:
        """Kills a worker at once. Does nothing when it has ended."""
        self._ask({"kill": worker})

    def write_line(self, stream: str, line: str) -> None:
        """Puts a line of ours among those of the worker, in order."""
        self._logs.write(stream, line)

    def end_stream(self, stream: str) -> None:
        """No worker writes to ``stream`` any more."""
        self._logs.close_stream(stream)

    def close(self) -> None:
        """Ends every worker and the host."""
        self._closed = True
        self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._control.close()
        self._logs.close()

    def _ask(self, command: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
        line = json.dumps(command).encode() + b"\n"
        with self._command_lock:
            if self._closed:
                raise ConnectionAbortedError("the local cloud is shutting down")
            sent = socket.send_fds(self._control, [line], descriptors or [])
            self._control.sendall(line[sent:])
            answer = self._answers.get()
        if answer is None:
            raise ConnectionAbortedError("the process that hosts the Lambda functions has ended")
        return answer

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._control.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if "exited" in message:
                    self._on_exit(message["exited"], message["status"])
                else:
                    self._answers.put(message)
        self._answers.put(None)


class LogPump:
    """One thread that reads the pipes of all workers, line by line."""

    def __init__(self, on_line: LineSink) -> None:
        self._on_line = on_line
        self._lock = threading.Lock()
        self._write_ends: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lambda-logs", daemon=True)
        self._thread.start()

    def open(self, stream: str) -> int:
        """The write end of a new pipe, which stays ours to close through ``close_stream``."""
        read_end, write_end = os.pipe()
        with self._lock:
            self._write_ends[stream] = write_end
        self._selector.register(read_end, selectors.EVENT_READ, (stream, bytearray()))
        self._wake()
        return write_end

    def write(self, stream: str, line: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            if stream in self._write_ends:
                os.write(self._write_ends[stream], line.encode() + b"\n")

    def close_stream(self, stream: str) -> None:
        with self._lock:
            write_end = self._write_ends.pop(stream, None)
        if write_end is not None:
            os.close(write_end)

    def close(self) -> None:
        with self._lock:
            streams = list(self._write_ends)
        for stream in streams:
            self.close_stream(stream)
        self._stopping = True
        self._wake()
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        os.close(self._wake_write)
        self._selector.close()

    def _wake(self) -> None:
        os.write(self._wake_write, b"!")

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                data = os.read(key.fd, 65536)
                if key.fd == self._wake_read:
                    continue
                stream, buffer = key.data
                buffer += data
                *lines, rest = bytes(buffer).split(b"\n")
                buffer[:] = rest
                if not data:
                    self._selector.unregister(key.fd)
                    os.close(key.fd)
                    lines = [rest] if rest else []
                for line in lines:
                    self._on_line(stream, line.decode(errors="replace"))
