"""The WSGI application before moto: sends each request to whoever answers it, and moto the rest."""

from __future__ import annotations

import functools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from taskmedic_local.answers import AwsRequest, Environ, StartResponse, answer_error
from taskmedic_local.faults import Faults
from taskmedic_local.server import WsgiApp

# environ keys for those who answer in moto's place.
REGION_KEY = "taskmedic.region"
ACCOUNT_KEY = "taskmedic.account"
OPERATION_KEY = "taskmedic.operation"
SERVICE_KEY = "taskmedic.service"


class MotoDispatcher(DomainDispatcherApplication):
    """moto's own, but for what it does anew for each request: it lists folders and tries 200 patterns."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self.get_backend_for_host = functools.cache(super().get_backend_for_host)  # type: ignore[method-assign]


class OneAtATime:
    """moto, called by one thread at a time for each service: its models are not made for more.

    A conditional write that is checked by two threads at once would succeed twice.
    """

    def __init__(self, moto: WsgiApp) -> None:
        self._moto = moto
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def lock(self, service: str) -> threading.RLock:
        """For those who touch moto's models past its API."""
        return self._locks[service]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get(OPERATION_KEY) == "ReceiveMessage":  # may wait for a message that another call sends
            return self._moto(environ, start_response)
        with self._locks[environ.get(SERVICE_KEY, "")]:
            return list(self._moto(environ, start_response))


class Front:
    """Routes by path prefix, then by service and operation, then to moto.

    An application mounted for a service finds in environ the account of the caller's credentials, the region
    and the operation, under ``ACCOUNT_KEY``, ``REGION_KEY`` and ``OPERATION_KEY``.
    """

    def __init__(
        self,
        moto: WsgiApp,
        faults: Faults,
        *,
        function_of: Callable[[str], str] = lambda _: "",
        kill_caller: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Args:
            function_of: the function's name behind an access key, or empty.
            kill_caller: ends the function's process behind an access key.
        """
        self._moto = moto
        self._faults = faults
        self._function_of = function_of
        self._kill_caller = kill_caller
        self._paths: dict[str, WsgiApp] = {}
        self._services: dict[tuple[str, str], WsgiApp] = {}
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._calls_lock = threading.Lock()

    def mount_path(self, prefix: str, app: WsgiApp) -> None:
        """Requests whose path begins with ``prefix`` go to ``app``; the longest prefix wins."""
        self._paths[prefix] = app

    def mount_service(self, service: str, app: WsgiApp, operations: Iterable[str] = ("",)) -> None:
        """Calls of ``service`` (a signing name) go to ``app``: all of them, or only the named operations."""
        for operation in operations:
            self._services[service, operation] = app

    def calls(self) -> dict[tuple[str, str, str], int]:
        """How often each (function or empty, service, operation) has been called."""
        with self._calls_lock:
            return dict(self._calls)

    def forget_calls(self) -> None:
        with self._calls_lock:
            self._calls.clear()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        prefix = max((p for p in self._paths if path.startswith(p)), key=len, default=None)
        if prefix is not None:
            return self._paths[prefix](environ, start_response)
        request = AwsRequest.of(environ)
        if request is None:
            return self._moto(environ, start_response)
        function = self._function_of(request.access_key)
        with self._calls_lock:
            self._calls[function, request.service, request.operation] += 1
        return self._serve(request, function, environ, start_response)

    def _serve(
        self, request: AwsRequest, function: str, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        fault = self._faults.strike(request, function)
        if fault is not None and fault.action == "error":
            return answer_error(environ, start_response, fault.code, fault.message, fault.status)
        if fault is not None and fault.action == "kill_before":
            self._kill_caller(request.access_key)
            return answer_error(environ, start_response, "InternalFailure", "the caller was killed", 500)
        environ[ACCOUNT_KEY] = request.account
        environ[REGION_KEY] = request.region
        environ[OPERATION_KEY] = request.operation
        environ[SERVICE_KEY] = request.service
        app = (
            self._services.get((request.service, request.operation))
            or self._services.get((request.service, ""))
            or self._moto
        )
        result = app(environ, start_response)
        if fault is not None:
            self._kill_caller(request.access_key)
        return result
