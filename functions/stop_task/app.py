"""Stops tasks, or looks whether they have stopped."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import StopTaskSettings
from taskmedic.steps import stop_task

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = StopTaskSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = stop_task.run(event, settings, clients)
    metrics.add_metric(name="StopsFinished", unit="Count", value=int(done["done"]))
    return done
