"""Runs a command in a batch of containers, or sums up what came of all batches."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import RunCommandSettings
from taskmedic.steps import run_command

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = RunCommandSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    done = run_command.run(event, settings, clients, context.get_remaining_time_in_millis())
    metrics.add_metric(name="NodesVisited", unit="Count", value=sum(done.get("counts", {}).values()))
    return done
