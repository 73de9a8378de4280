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
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    done = report.run(event, settings, clients, lambda: context.get_remaining_time_in_millis() / 1000)
    metrics.add_metric(name="ReportChannels", unit="Count", value=len(done.get("channels", [])))
    return done
