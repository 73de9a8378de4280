"""Makes moto's Step Functions interpreter run JSONata, and tells the world how its executions end.

moto's interpreter (LocalStack's, carried over) parses JSONata and leaves the evaluator out. ``wire`` puts
jsonata-python in its place, at the two methods where an expression meets its variables: values are bound, not
written into the expression as literals, which moto's own composition does without escaping strings, and which
takes 200 times as long. ``wire`` says clearly when a new moto has moved these places.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import jsonata
from botocore.config import Config
from jsonata.jexception import JException
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import wait_function
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.backend import execution

from taskmedic_local import size_limits

_CHANGED = "moto's Step Functions interpreter has no {} any more; install the version in requirements.lock"

# Called with the moto execution whenever its status changes.
StatusListener = Callable[[Any], None]

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class MotoChanged(Exception):
    """The installed moto lacks a place this module relies on."""


class QueryFailed(Exception):
    """A JSONata expression cannot be evaluated, or gives nothing."""


def _hash(value: str, algorithm: str) -> str:
    return hashlib.new(_HASHES[algorithm], value.encode()).hexdigest()


def _partition(items: list[Any], size: int) -> list[list[Any]]:
    return [items[at : at + int(size)] for at in range(0, len(items), int(size))]


def _range(first: int, last: int, step: int) -> list[int]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _random(seed: float | None = None) -> float:
    return random.Random(seed).random()  # noqa: S311 - what the function is for


def _no_eval(*_: Any) -> None:
    raise QueryFailed("$eval is not allowed in Step Functions; use $parse")


# What Step Functions adds to JSONata, and what it takes away.
# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": lambda: str(uuid.uuid4()),
    "parse": json.loads,
    "eval": _no_eval,
}


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The value of a JSONata ``expression`` (bare of ``{% %}``) over ``variables`` (names without ``$``).

    Raises:
        QueryFailed: it cannot be parsed or evaluated, is undefined, or gives something that is no JSON.
    """
    bindings = {name: Utils.NULL_VALUE if value is None else value for name, value in variables.items()}
    try:
        program = jsonata.Jsonata(expression)
        program.set_output_convert_nulls(False)
        for name, function in _FUNCTIONS.items():
            program.register_lambda(name, function)
        result = program.evaluate(None, bindings)
    except QueryFailed:
        raise
    except (JException, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise QueryFailed(f"The JSONata expression '{expression}' threw an error: {error}") from error
    if result is None:
        raise QueryFailed(f"The JSONata expression '{expression}' returned nothing (undefined).")
    return _plain(result, expression)


def _plain(value: Any, expression: str) -> Any:
    """A copy of a result without jsonata-python's own list and null types."""
    if value is Utils.NULL_VALUE:
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item, expression) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(value[at], expression) for at in range(len(value))]
    raise QueryFailed(f"The JSONata expression '{expression}' returned an unsupported result type.")


def _as_json(value: Any) -> Any:
    """The context object as Step Functions shows it: times as ``2026-01-31T12:00:00.000Z``."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return value


def _variables(env: Any) -> dict[str, Any]:
    states = env.states._states_data
    store = env.variable_store
    return {
        **store._outer_scope,
        **store._inner_scope,
        "states": {**states, "context": _as_json(states["context"])},
    }


def _eval_body(self: Any, env: Any) -> None:
    """In place of ``StringJSONata._eval_body``: leaves the expression's value on the interpreter's stack."""
    try:
        env.stack.append(evaluate(self.expression, _variables(env)))
    except QueryFailed as error:
        raise _evaluation_failed(env, str(error)) from error


def _evaluation_failed(env: Any, cause: str) -> Exception:
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details: Any = {"evaluationFailedEventDetails": {"cause": cause, "error": name.error_name}}
    kind = HistoryEventType.EvaluationFailed
    env.event_manager.add_event(context=env.event_history_context, event_type=kind, event_details=details)
    failure = FailureEvent(env=env, error_name=name, event_type=kind, event_details=details)
    return FailureEventException(failure_event=failure)


def wire(on_status: StatusListener, time_scale: float) -> None:
    """Completes moto's interpreter in this process. A second call replaces what the first one set.

    Args:
        on_status: Told of each execution that has ended.
        time_scale: Seconds that a second of a Wait state or of a Retry's interval takes.

    Raises:
        MotoChanged: moto's interpreter is built differently from the version this was written for.
    """
    _require(string_expression.StringJSONata, "_eval_body")
    _require(string_expression.StringVariableSample, "_eval_body")
    _require(execution.BaseExecutionWorkerCommunication, "terminated", "_reflect_execution_status")
    _require(wait_function.WaitFunction, "_wait_interval")
    _require(retrier_decl, "time")
    _require(boto_client, "boto3")
    _require(AmazonStateLanguageParser, "parse")
    parse = inspect.unwrap(AmazonStateLanguageParser.parse)

    def terminated(self: Any) -> None:
        self._reflect_execution_status()
        if self.execution.exec_status == ExecutionStatus.SUCCEEDED:
            # As text, as DescribeExecution gives it; moto would give a bare string without its quotes.
            self.execution.output = json.dumps(self.execution.output)
        on_status(self.execution)

    def wait_interval(_self: Any, env: Any, wait_seconds: float) -> None:
        end = time.monotonic() + wait_seconds * time_scale
        while env.is_running() and (left := end - time.monotonic()) > 0:
            env.program_state_event.wait(left)

    scaled = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * time_scale))
    changes: list[tuple[Any, str, Any]] = [
        (string_expression.StringJSONata, "_eval_body", _eval_body),
        (string_expression.StringVariableSample, "_eval_body", _eval_body),
        (execution.BaseExecutionWorkerCommunication, "terminated", terminated),
        (wait_function.WaitFunction, "_wait_interval", wait_interval),
        (retrier_decl, "time", scaled),
        (boto_client, "boto3", SimpleNamespace(client=_Clients().client)),
        # Parsing takes longer than running; what it gives keeps no state, that is in the environment.
        (AmazonStateLanguageParser, "parse", staticmethod(functools.lru_cache(64)(parse))),
        *size_limits.changes(),
    ]
    for owner, name, value in changes:
        setattr(owner, name, value)


class _Clients:
    """Keeps the clients that moto would make anew, slowly, for each call of a Task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session = boto3.Session()
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(
        self, *, service_name: str, region_name: str, endpoint_url: str, config: Config, **rest: Any
    ) -> Any:
        key = (service_name, region_name, endpoint_url)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service_name,
                    region_name=region_name,
                    endpoint_url=endpoint_url,
                    config=config.merge(Config(max_pool_connections=64)),
                    **rest,
                )
            return self._clients[key]


def _require(owner: Any, *names: str) -> None:
    for name in names:
        if name not in vars(owner):
            raise MotoChanged(_CHANGED.format(f"{owner.__name__}.{name}"))
