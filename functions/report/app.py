"""Writes what was seen and done back to the incident and the other channels."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import ReportSettings
from taskmedic.steps import report

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = ReportSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = report.run(event, settings, clients)
    metrics.add_metric(name="ReportChannels", unit="Count", value=len(done["channels"]))
    return done
