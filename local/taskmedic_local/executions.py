"""Executions: starting them as Step Functions does, and saying how they ended."""

from __future__ import annotations

import io
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taskmedic_local.answers import Environ, StartResponse, answer_error, json_body
from taskmedic_local.events import make_event
from taskmedic_local.server import WsgiApp

MAX_INPUT_BYTES = 256 * 1024
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f]{1,80}")


class StartExecution:
    """WSGI: checks what moto does not check, and gives a name to an execution that has none."""

    def __init__(self, moto: WsgiApp) -> None:
        self._moto = moto

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = dict(json_body(environ))
        name = request.setdefault("name", str(uuid.uuid4()))
        if not _NAME.fullmatch(name):
            return answer_error(environ, start_response, "InvalidName", f"Invalid Name: '{name}'")
        if len(request.get("input", "").encode()) > MAX_INPUT_BYTES:
            text = f"The state machine input is larger than {MAX_INPUT_BYTES} bytes"
            return answer_error(environ, start_response, "ValidationException", text)
        try:
            json.loads(request.get("input", "{}"))
        except ValueError as error:
            text = f"Invalid State Machine Execution Input: '{error}'"
            return answer_error(environ, start_response, "InvalidExecutionInput", text)
        body = json.dumps(request).encode()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return self._moto(environ, start_response)


class Executions:
    """Emits ``Step Functions Execution Status Change`` when an execution ends, and lets tests wait for it."""

    def __init__(self, emit: Callable[[Mapping[str, Any]], None]) -> None:
        self._emit = emit
        self._changed = threading.Condition()
        self._ended: dict[str, str] = {}

    def ended(self, execution: Any) -> None:
        """Takes moto's execution when its status is final."""
        self._emit(_status_change(execution))
        with self._changed:
            self._ended[execution.exec_arn] = execution.exec_status.value
            self._changed.notify_all()

    def wait(self, execution_arn: str, timeout_s: float = 30.0) -> str:
        """The final status of an execution.

        Raises:
            TimeoutError: it has not ended by then.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: execution_arn in self._ended, timeout_s):
                raise TimeoutError(f"{execution_arn} has not ended within {timeout_s} s")
            return self._ended[execution_arn]

    def count(self) -> int:
        """How many executions have ended."""
        with self._changed:
            return len(self._ended)


def _status_change(execution: Any) -> dict[str, Any]:
    succeeded = execution.exec_status.value == "SUCCEEDED"
    detail = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.exec_status.value,
        "startDate": int(execution.start_date.timestamp() * 1000),
        "stopDate": int(execution.stop_date.timestamp() * 1000),
        "input": execution.execution_input,
        "output": execution.output if succeeded else None,
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
    }
    return make_event(
        source="aws.states",
        detail_type="Step Functions Execution Status Change",
        detail=detail,
        account=execution.account_id,
        region=execution.region_name,
        resources=[execution.exec_arn],
    )
