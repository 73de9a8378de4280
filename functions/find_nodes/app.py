"""Finds the containers a runbook works on."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import FindNodesSettings
from taskmedic.steps import find_nodes

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = FindNodesSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = find_nodes.run(event, settings, clients)
    metrics.add_metric(name="NodesFound", unit="Count", value=done["count"])
    return done
