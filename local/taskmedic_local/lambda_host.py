"""The process from which the functions' processes are forked, each running AWS's own runtime client.

It has imported what the functions import from outside this project, so that a worker is up in milliseconds
instead of most of a second. It is started as ``python -m taskmedic_local.lambda_host FD`` and speaks JSON
lines over the socket FD: ``{"spawn": worker, …}`` (with the worker's log pipe as a file descriptor) and
``{"kill": worker}`` come in, each is answered; ``{"exited": worker, "status": n}`` goes out by itself. When
the socket closes, every worker is killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

# Slow to import, and starting no thread.
PRELOADED = (
    "boto3",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.tracing",
    "aws_xray_sdk.core",
    "http.client",
    "pydantic",
    "re2",
    "yaml",
    "awslambdaric.lambda_runtime_marshaller",
)


def main() -> None:
    """Serves until the socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    for module in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    assert threading.active_count() == 1, "fork is safe from a single thread only"
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    workers: dict[str, int] = {}  # pids of those not reaped yet
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                elif not _serve(control, workers):
                    return _end(workers)
            _reap(control, workers)


def _serve(control: socket.socket, workers: dict[str, int]) -> bool:
    """One command. False when the other side is gone."""
    line = b""
    descriptors: list[int] = []
    while not line.endswith(b"\n"):
        data, fds, _, _ = socket.recv_fds(control, 65536, 1)
        if not data:
            return False
        line += data
        descriptors += fds
    command = json.loads(line)
    if "spawn" in command:
        pid = os.fork()
        if pid == 0:
            control.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(command, descriptors[0])
        workers[command["spawn"]] = pid
        os.close(descriptors[0])
        answer: dict[str, Any] = {"spawned": command["spawn"], "pid": pid}
    else:
        if command["kill"] in workers:  # not reaped yet, so the number is still this worker's
            os.kill(workers[command["kill"]], signal.SIGKILL)
        answer = {"killed": command["kill"]}
    return _tell(control, answer)


def _tell(control: socket.socket, message: dict[str, Any]) -> bool:
    try:
        control.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return False
    return True


def _reap(control: socket.socket, workers: dict[str, int]) -> None:
    for worker, pid in list(workers.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del workers[worker]
            _tell(control, {"exited": worker, "status": os.waitstatus_to_exitcode(status)})


def _end(workers: dict[str, int]) -> None:
    for pid in workers.values():
        os.kill(pid, signal.SIGKILL)
    for pid in workers.values():
        os.waitpid(pid, 0)


def _run(command: dict[str, Any], log_fd: int) -> NoReturn:
    """The worker: environment, path, log, then AWS's runtime client until the process is killed."""
    status = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log_fd, 1), (log_fd, 2)):
            os.dup2(source, target)
        os.close(null)
        os.close(log_fd)
        sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(command["env"])
        os.chdir(command["task_root"])
        here = str(Path(__file__).parent.parent)
        sys.path[:] = [*command["path"], *(p for p in sys.path if p not in {"", here, os.getcwd()})]  # noqa: PTH109
        sys.argv[:] = ["bootstrap", command["handler"]]
        status = _runtime(command["handler"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - the process ends here; its log says why
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _runtime(handler: str) -> int:
    # Imported here, not in the parent: the runtime client reads its environment when it is imported.
    from awslambdaric import bootstrap  # noqa: PLC0415
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: PLC0415

    address, _, prefix = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")

    class PrefixedClient(LambdaRuntimeClient):  # type: ignore[misc]
        """Its C half takes ``host:port/prefix`` for an address, its Python half only ``host:port``."""

        def call_rapid(self, http_method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
            return super().call_rapid(http_method, f"/{prefix}{endpoint}", *args, **kwargs)

    bootstrap.run(handler, PrefixedClient(address))
    return 0


if __name__ == "__main__":
    main()
