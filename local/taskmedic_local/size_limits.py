"""Step Functions' limit of 256 KiB where moto does not keep it: a Task's arguments and assigned variables.

What states give is measured by moto itself. As in AWS, ``States.ALL`` catches neither this error nor
``States.Runtime``.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.assign.assign_decl import AssignDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.quotas import is_within_size_quota

_TOO_LARGE = StatesErrorName(typ=StatesErrorNameType.StatesStatesDataLimitExceeded)
_NEVER_CAUGHT = (_TOO_LARGE, StatesErrorName(typ=StatesErrorNameType.StatesRuntime))

_before_task = StateTaskService._before_eval_execution
_error_equals = ErrorEqualsDecl._eval_body

# The places of moto's interpreter that are replaced, each with what replaces it.
Change = tuple[Any, str, Callable[..., None]]


def changes() -> list[Change]:
    """What ``stepfunctions.wire`` sets."""
    return [
        (AssignDecl, "_eval_body", _assign),
        (StateTaskService, "_before_eval_execution", _before_eval_execution),
        (ErrorEqualsDecl, "_eval_body", _eval_error_equals),
    ]


def _assign(self: Any, env: Any) -> None:
    """In place of ``AssignDecl._eval_body``: all variables of one Assign together are limited."""
    declarations: dict[str, Any] = {}
    for binding in self.declaration_bindings:
        binding.eval(env=env)
        declarations.update(env.stack.pop())
    _check(env, declarations, "variables assigned")
    for name, value in declarations.items():
        env.variable_store.set(variable_identifier=name, variable_value=value)


def _before_eval_execution(self: Any, env: Any, *args: Any, **given: Any) -> None:
    _check(env, given["raw_parameters"], "arguments of a Task")
    _before_task(self, env, *args, **given)


def _eval_error_equals(self: Any, env: Any) -> None:
    error_name = env.stack[-1]
    _error_equals(self, env)
    if error_name in _NEVER_CAUGHT and error_name not in self.error_names:
        env.stack[-1] = False


def _check(env: Any, value: Any, what: str) -> None:
    if is_within_size_quota(value):
        return
    cause = f"The {what} exceed the maximum number of bytes service limit."
    details: Any = {"executionFailedEventDetails": {"error": _TOO_LARGE.error_name, "cause": cause}}
    failure = FailureEvent(
        env=env, error_name=_TOO_LARGE, event_type=HistoryEventType.TaskFailed, event_details=details
    )
    raise FailureEventException(failure_event=failure)
