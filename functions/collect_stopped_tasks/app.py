"""Collects why tasks stopped, with evidence."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import CollectStoppedTasksSettings
from taskmedic.steps import collect_stopped_tasks

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = CollectStoppedTasksSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = collect_stopped_tasks.run(event, settings, clients)
    metrics.add_metric(name="StoppedTasks", unit="Count", value=done["data"].get("count", 0))
    return done
