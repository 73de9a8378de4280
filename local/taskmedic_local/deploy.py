"""Deploys an application into moto, and says what came of it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json, get_model_map
from moto.secretsmanager.models import secretsmanager_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from taskmedic.domain.errors import ActionFailed
from taskmedic_local.functions import ACCOUNT, REGION, Function
from taskmedic_local.template import MACHINE, SECRET, Application, for_moto

STACK = "taskmedic"
_API_HOST = re.compile(r"https://[^/]+\.execute-api\.[^/]+")


class DeployFailed(ActionFailed):
    """moto refused the template; the text holds its words."""


@dataclass(frozen=True)
class QueueMapping:
    """A queue whose messages go to a function."""

    queue_arn: str
    function: str
    batch_size: int
    partial_failures: bool


@dataclass(frozen=True)
class Deployment:
    """What exists after deploying.

    Functions by their names, ARNs of state machines by theirs, names of the functions behind routes, and the
    stack's outputs.
    """

    functions: Mapping[str, Function]
    state_machines: Mapping[str, str]
    routes: Mapping[tuple[str, str], str]
    queue_mappings: tuple[QueueMapping, ...]
    outputs: Mapping[str, str]


def deploy(
    application: Application,
    *,
    endpoint: str,
    parameters: Mapping[str, str],
    secret_values: Mapping[str, str],
) -> Deployment:
    """Creates the application's resources.

    Args:
        endpoint: The local cloud's own: HTTP APIs are reached there, and the stack's outputs say so.
        parameters: Values of the template's parameters that differ from their defaults.
        secret_values: The value of a secret, by the environment variable that names the secret to a function.

    Raises:
        DeployFailed: a resource cannot be created.
    """
    secrets = {
        name: _create_secret(name, resource.get("Properties", {}))
        for name, resource in application.template["Resources"].items()
        if resource["Type"] == SECRET
    }
    template = for_moto(application.template, get_model_map(), secrets)
    try:
        stack = cloudformation_backends[ACCOUNT][REGION].create_stack(
            STACK,
            json.dumps(template),
            {n: v for n, v in parameters.items() if n in template.get("Parameters", {})},
        )
    except Exception as error:  # moto raises whatever its models raise
        raise DeployFailed(f"cannot deploy the template: {type(error).__name__}: {error}") from error
    for output in stack.output_map.values():
        output.value = _API_HOST.sub(endpoint, output.value)
    resources = stack.resource_map
    functions = {name: _function(name, template, application, resources) for name in application.task_roots}
    _fill_secrets(functions.values(), secret_values)
    return Deployment(
        functions={function.name: function for function in functions.values()},
        state_machines=dict(_create_machines(template["Resources"], resources)),
        routes={(r.method, r.path): functions[r.function].name for r in application.routes},
        queue_mappings=tuple(_queue_mapping(m, resources) for m in application.event_source_mappings),
        outputs={output.key: output.value for output in stack.output_map.values()},
    )


def _create_secret(logical_id: str, properties: Mapping[str, Any]) -> str:
    """Creates a secret, which moto's CloudFormation cannot; its ARN."""
    name = properties.get("Name")
    made = secretsmanager_backends[ACCOUNT][REGION].create_secret(
        name=name if isinstance(name, str) else f"{STACK}-{logical_id}",
        secret_string=properties.get("SecretString") or "{}",
        secret_binary=None,
        description=None,
        tags=None,
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )
    return str((json.loads(made) if isinstance(made, str) else made)["ARN"])


def _fill_secrets(functions: Iterable[Function], secret_values: Mapping[str, str]) -> None:
    backend = secretsmanager_backends[ACCOUNT][REGION]
    named = {
        (f.environment[variable], variable)
        for f in functions
        for variable in secret_values
        if f.environment.get(variable)
    }
    for secret_id, variable in named:
        backend.put_secret_value(secret_id, secret_values[variable], "", str(uuid.uuid4()), ["AWSCURRENT"])


def _function(
    logical_id: str, template: Mapping[str, Any], application: Application, resources: Any
) -> Function:
    properties = template["Resources"][logical_id]["Properties"]
    deployed = resources[logical_id]
    logging = clean_json(dict(properties.get("LoggingConfig", {})), resources)
    return Function(
        logical_id=logical_id,
        name=deployed.function_name,
        handler=properties["Handler"],
        task_root=application.task_roots[logical_id].resolve(),
        layers=tuple(layer.resolve() for layer in application.layers[logical_id]),
        environment=deployed.environment_vars,
        log_group=logging.get("LogGroup", f"/aws/lambda/{deployed.function_name}"),
        timeout_s=float(deployed.timeout),
        memory_mb=int(deployed.memory_size),
        reserved_concurrency=properties.get("ReservedConcurrentExecutions"),
    )


def _create_machines(template: Mapping[str, Any], resources: Any) -> Iterable[tuple[str, str]]:
    """moto's CloudFormation makes state machines that only pretend to run: each is made again, to be run."""
    backend = stepfunctions_parser_backends[ACCOUNT][REGION]
    for logical_id, resource in template.items():
        if resource["Type"] != MACHINE:
            continue
        made = resources[logical_id]
        try:
            machine = backend.create_state_machine(
                made.name, made.definition, made.roleArn, sm_type="STANDARD"
            )
        except Exception as error:  # moto raises whatever its parser raises
            raise DeployFailed(f"state machine {logical_id} is refused: {error}") from error
        yield made.name, machine.arn


def _queue_mapping(properties: Mapping[str, Any], resources: Any) -> QueueMapping:
    resolved = clean_json(dict(properties), resources)
    return QueueMapping(
        queue_arn=resolved["EventSourceArn"],
        function=resolved["FunctionName"].rpartition(":")[2],
        batch_size=int(resolved.get("BatchSize", 10)),
        partial_failures="ReportBatchItemFailures" in resolved.get("FunctionResponseTypes", ()),
    )
