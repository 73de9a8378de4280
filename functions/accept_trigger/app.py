"""Decides what one trigger leads to, and writes the decision down."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import AcceptTriggerSettings
from taskmedic.steps import accept_trigger

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = AcceptTriggerSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = accept_trigger.run(event, settings, clients)
    metrics.add_metric(name=f"Decision_{done['decision']}", unit="Count", value=1)
    return done
