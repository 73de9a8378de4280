"""Makes moto's Step Functions interpreter run JSONata, and tells the world how its executions end.

moto's interpreter (LocalStack's, carried over) parses JSONata and leaves the evaluator out. ``wire`` puts jsonata-python
in its place, at the two methods where an expression meets its variables: values are bound, not written into the
expression as literals, which moto's own composition does without escaping strings and which costs 200 times as much.
``wire`` is called once a process and says clearly when a new moto has moved these places.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonata
from jsonata.jexception import JException
from jsonata.utils import Utils

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
    """The plain JSON value of a JSONata ``expression`` (without ``{% %}``) over ``variables`` (names without ``$``).

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
    """Stands in for ``StringJSONata._eval_body``: leaves the expression's value on the interpreter's stack."""
    try:
        env.stack.append(evaluate(self.expression, _variables(env)))
    except QueryFailed as error:
        raise _evaluation_failed(env, str(error)) from error


def _evaluation_failed(env: Any, cause: str) -> Exception:
    from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name import failure_event, states_error_name
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
        StatesErrorNameType,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

    name = states_error_name.StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(cause=cause, error=name.error_name)
    event = EventDetails(evaluationFailedEventDetails=details)
    env.event_manager.add_event(
        context=env.event_history_context, event_type=HistoryEventType.EvaluationFailed, event_details=event
    )
    failure = failure_event.FailureEvent(
        env=env, error_name=name, event_type=HistoryEventType.EvaluationFailed, event_details=event
    )
    error: Exception = failure_event.FailureEventException(failure_event=failure)
    return error


def wire(on_status: StatusListener) -> None:
    """Completes moto's interpreter in this process. ``on_status`` replaces the listener of an earlier call.

    Raises:
        MotoChanged: moto's interpreter is built differently from the version this was written for.
    """
    try:
        from moto.stepfunctions.parser.asl.component.common.string import string_expression
        from moto.stepfunctions.parser.backend import execution

        expressions = [string_expression.StringJSONata, string_expression.StringVariableSample]
        worker = execution.BaseExecutionWorkerCommunication
        for owner, method in [
            *((e, "_eval_body") for e in expressions),
            (worker, "_reflect_execution_status"),
        ]:
            if method not in vars(owner):
                raise AttributeError(f"{owner.__name__}.{method}")
    except (ImportError, AttributeError) as error:
        raise MotoChanged(
            f"moto's Step Functions interpreter has changed ({error}); install the version in requirements.lock"
        ) from error

    for expression in expressions:
        expression._eval_body = _eval_body
    reflect = getattr(worker, "_taskmedic_reflect", worker._reflect_execution_status)

    def reflect_and_tell(self: Any) -> None:
        reflect(self)
        on_status(self.execution)

    worker._taskmedic_reflect = reflect
    worker._reflect_execution_status = reflect_and_tell
