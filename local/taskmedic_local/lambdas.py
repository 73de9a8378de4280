"""Lambda: runs functions in processes of AWS's own runtime client, and answers as Lambda answers.

Each function has a pool of processes. One process serves one call at a time; the pool grows when a call finds
none free, up to a bound, and then calls wait. A process that times out or ends is replaced by the next call.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from taskmedic_local.functions import Function
from taskmedic_local.workers import WorkerHost

log = logging.getLogger(__name__)

# Each process costs a third of a second of a core to start; calls that wait for a free one lose less.
DEFAULT_POOL_SIZE = max(4, 2 * (os.cpu_count() or 1))
# Processes of one function that start at the same time: those there are serve a burst of short calls sooner.
AT_ONCE = 2
INIT_LIMIT_S = 60.0  # for a process to load its handler on a busy machine; Lambda allows 10 s
# Lambda's limit of a synchronous answer. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ANSWER_BYTES = 6 * 1024 * 1024

# Takes log group, log stream and a line.
LogSink = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Result:
    """What a call came to: the payload, and ``Unhandled`` when the function failed."""

    payload: bytes
    function_error: str = ""


@dataclass
class Call:
    """One invocation on its way."""

    function: Function
    payload: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = field(
        default_factory=lambda: f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Sampled=0"
    )
    deadline: float = 0.0  # epoch seconds; set when a process takes the call
    taken_by: Worker | None = None
    taken: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None

    def finish(self, result: Result) -> None:
        """The first result stands."""
        if not self.done.is_set():
            self.result = result
            self.done.set()


@dataclass(eq=False)
class Worker:
    """One process."""

    worker_id: str
    function: Function
    stream: str
    pid: int = 0
    call: Call | None = None
    served: bool = False  # it has asked for a call at least once
    started: float = field(default_factory=time.monotonic)
    ended: bool = False


class TooManyRequests(Exception):
    """The function's reserved concurrency is used up."""


class Lambdas:
    """All functions of the local cloud and their processes."""

    def __init__(self, *, port: int, log_sink: LogSink, pool_size: int = DEFAULT_POOL_SIZE) -> None:
        self.functions: dict[str, Function] = {}
        self._port = port
        self._log_sink = log_sink
        self._pool_size = pool_size
        self._changed = threading.Condition()
        self._pending: dict[str, deque[Call]] = {}
        self._workers: dict[str, Worker] = {}
        self._kills: dict[str, deque[float]] = {}
        self._groups: dict[str, str] = {}
        self._host = WorkerHost(self._exited, self._line)

    def deploy(self, functions: Mapping[str, Function]) -> None:
        """Adds functions, by name, and starts one process of each."""
        for name, function in functions.items():
            self.functions[name] = function
            self._pending.setdefault(name, deque())
        for function in functions.values():
            self._start_worker(function)

    def invoke(self, function: Function, payload: bytes) -> Result:
        """Runs ``function`` and waits for its result.

        Raises:
            TooManyRequests: its reserved concurrency is used up.
        """
        call = Call(function, payload)
        self._enqueue(call)
        while not call.taken.wait(1):
            self._kill_stuck(function.name)
        if not call.done.wait(max(0.0, call.deadline - time.time())):
            self._time_out(call)
        assert call.result is not None
        return call.result

    def kill_next_call(self, name: str, after_s: float = 0.05) -> None:
        """The next call of function ``name`` loses its process ``after_s`` seconds after it took the call."""
        self._kills.setdefault(name, deque()).append(after_s)

    def abandon_calls(self) -> None:
        """Ends the processes that serve a call, and every call; orders to kill are forgotten."""
        self._kills.clear()
        for name in self.functions:
            while self._fail_oldest(name, _failure("Runtime.ExitError", "the call was abandoned")):
                pass
        for worker in [worker for worker in list(self._workers.values()) if worker.call]:
            self._host.kill(worker.worker_id)

    def kill_caller(self, worker_id: str) -> None:
        """Kills the process that is known as ``worker_id``, if there is one."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._host.kill(worker_id)

    def function_of(self, worker_id: str) -> str:
        """The name of the function that a process belongs to; empty for an unknown one."""
        worker = self._workers.get(worker_id)
        return worker.function.name if worker else ""

    def close(self) -> None:
        """Ends all processes. Calls on the way fail."""
        with self._changed:
            lost = [call for calls in self._pending.values() for call in calls]
            lost += [worker.call for worker in self._workers.values() if worker.call]
            for worker in self._workers.values():
                worker.ended = True
            self._changed.notify_all()
        for call in lost:
            call.finish(_failure("Runtime.ExitError", "the local cloud was shut down"))
            call.taken.set()
        self._host.close()

    def next_call(self, worker_id: str) -> Call | None:
        """Waits for a call for this worker; None when the worker has ended."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return None
        pending = self._pending[worker.function.name]
        if not worker.served:
            worker.served = True
            self._grow(worker.function)
        with self._changed:
            worker.call = None
            self._changed.wait_for(lambda: pending or worker.ended)
            if worker.ended:
                return None
            call = pending.popleft()
            worker.call = call
            call.taken_by = worker
            call.deadline = time.time() + worker.function.timeout_s
        call.taken.set()
        self._host.write_line(worker.stream, f"START RequestId: {call.request_id} Version: $LATEST")
        kills = self._kills.get(worker.function.name)
        if kills:
            threading.Timer(kills.popleft(), self._host.kill, [worker_id]).start()
        return call

    def answered(self, worker_id: str, request_id: str, payload: bytes, *, failed: bool) -> None:
        """The worker's answer to its call."""
        worker = self._workers.get(worker_id)
        if worker is None or worker.call is None or worker.call.request_id != request_id:
            return
        call = worker.call
        worker.call = None
        self._host.write_line(worker.stream, f"END RequestId: {request_id}")
        if len(payload) > MAX_ANSWER_BYTES:
            call.finish(
                _failure(
                    "Function.ResponseSizeTooLarge",
                    f"Response payload size ({len(payload)} bytes) exceeded maximum allowed payload size "
                    f"({MAX_ANSWER_BYTES} bytes).",
                )
            )
        else:
            call.finish(Result(payload, "Unhandled" if failed else ""))

    def init_failed(self, worker_id: str, payload: bytes) -> None:
        """The worker could not load its handler: the oldest waiting call gets that error, as in Lambda."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.served = True
            self._fail_oldest(worker.function.name, Result(payload, "Unhandled"))

    def _enqueue(self, call: Call) -> None:
        name = call.function.name
        limit = call.function.reserved_concurrency
        with self._changed:
            busy = sum(1 for w in self._workers.values() if w.function.name == name and w.call)
            if limit is not None and busy + len(self._pending[name]) >= limit:
                raise TooManyRequests
            self._pending[name].append(call)
            self._changed.notify_all()
        self._grow(call.function)

    def _grow(self, function: Function) -> None:
        """Starts a process when more calls wait than processes are free, within the bound."""
        with self._changed:
            own = [w for w in self._workers.values() if w.function.name == function.name and not w.ended]
            free = sum(1 for w in own if w.call is None)
            starting = sum(1 for w in own if not w.served)
            bound = function.reserved_concurrency or self._pool_size
            if len(self._pending[function.name]) <= free or starting >= AT_ONCE or len(own) >= bound:
                return
            worker = self._new_worker(function)  # counted before anybody else counts
        self._spawn(worker)

    def _start_worker(self, function: Function) -> None:
        with self._changed:
            worker = self._new_worker(function)
        self._spawn(worker)

    def _new_worker(self, function: Function) -> Worker:
        stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{secrets.token_hex(16)}"
        worker = Worker(f"LOCAL{secrets.token_hex(8).upper()}", function, stream)
        self._groups[stream] = function.log_group
        self._workers[worker.worker_id] = worker
        return worker

    def _spawn(self, worker: Worker) -> None:
        env = worker.function.process_environment(
            worker=worker.worker_id, port=self._port, log_stream=worker.stream
        )
        worker.pid = self._host.spawn(worker.worker_id, worker.function, env, worker.stream)

    def _time_out(self, call: Call) -> None:
        seconds = call.function.timeout_s
        call.finish(
            _failure(
                "Sandbox.Timedout",
                f"RequestId: {call.request_id} Error: Task timed out after {seconds:.2f} seconds",
            )
        )
        if call.taken_by is not None:
            self._host.kill(call.taken_by.worker_id)

    def _kill_stuck(self, name: str) -> None:
        """Ends processes that do not get as far as asking for a call."""
        for worker in list(self._workers.values()):
            unserved = not worker.served and time.monotonic() - worker.started > INIT_LIMIT_S
            if worker.function.name == name and unserved:
                self._host.kill(worker.worker_id)

    def _exited(self, worker_id: str, status: int) -> None:
        with self._changed:
            worker = self._workers.pop(worker_id)
            worker.ended = True
            self._changed.notify_all()
        reason = f"signal: {_SIGNALS.get(-status, -status)}" if status < 0 else f"exit status {status}"
        request_id = worker.call.request_id if worker.call else str(uuid.uuid4())
        text = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
        self._host.write_line(worker.stream, text)
        self._host.end_stream(worker.stream)
        if worker.call is not None:
            worker.call.finish(_failure("Runtime.ExitError", text))
        elif not worker.served:
            self._fail_oldest(worker.function.name, _failure("Runtime.ExitError", text))
        # Not from this thread, which must stay free to read the host's answers.
        threading.Thread(target=self._grow, args=[worker.function], daemon=True).start()

    def _fail_oldest(self, name: str, result: Result) -> bool:
        """Gives the call that has waited longest its result; False when none waits."""
        with self._changed:
            call = self._pending[name].popleft() if self._pending[name] else None
        if call is not None:
            call.finish(result)
            call.taken.set()
        return call is not None

    def _line(self, stream: str, line: str) -> None:
        self._log_sink(self._groups[stream], stream, line)


_SIGNALS = {9: "killed", 11: "segmentation fault", 15: "terminated"}


def _failure(error_type: str, message: str) -> Result:
    return Result(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), "Unhandled")
