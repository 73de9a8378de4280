"""The ECS API: takes a call as it comes over the wire, finds its operation, answers as AWS does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from taskmedic_local.ecs import api_clusters, api_definitions, api_exec, api_services, api_tags, api_tasks
from taskmedic_local.ecs.call import Call, ExecPort
from taskmedic_local.ecs.engine import Engine
from taskmedic_local.ecs.errors import EcsError
from taskmedic_local.ecs.model import Json
from taskmedic_local.ecs.paging import Pager
from taskmedic_local.ecs.services import Scheduler

_OPERATIONS: dict[str, Callable[[Call], Json]] = {
    name: operation
    for module in (api_clusters, api_definitions, api_exec, api_services, api_tags, api_tasks)
    for name, operation in module.OPERATIONS.items()
}


class EcsApi:
    """Answers calls; safe to use from several threads."""

    def __init__(self, engine: Engine, scheduler: Scheduler, exec_port: ExecPort) -> None:
        self.pager = Pager()
        self._engine = engine
        self._scheduler = scheduler
        self._exec = exec_port

    def handle(self, operation: str, body: Json, account: str, region: str) -> tuple[int, Json]:
        """HTTP status and JSON answer of one call."""
        try:
            return 200, self._answer(operation, body, account, region)
        except EcsError as error:
            return error.status, {"__type": error.code, "message": error.message}

    def _answer(self, operation: str, body: Json, account: str, region: str) -> Json:
        if operation not in _OPERATIONS:
            raise EcsError("UnknownOperationException", f"The local ECS has no operation {operation}.")
        _check(operation, body)
        call = Call(self._engine, self._scheduler, self.pager, self._exec, operation, body, account, region)
        with self._engine.change():
            return _OPERATIONS[operation](call)


def _check(operation: str, body: Json) -> None:
    """See that the body has the shape that the API's model gives it.

    Raises:
        EcsError: SerializationException.
    """
    shape = _model().operation_model(operation).input_shape
    problems = ParamValidator().validate(body, cast(Shape, shape))  # every operation of ECS has one
    if problems.has_errors():
        raise EcsError("SerializationException", problems.generate_report())


@cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("ecs")
