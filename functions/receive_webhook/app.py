"""Takes PagerDuty's webhook: verifies it and starts the execution."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from taskmedic.aws.clients import Clients
from taskmedic.settings import ReceiveWebhookSettings
from taskmedic.steps import receive_webhook

logger, tracer, metrics = Logger(), Tracer(patch_modules=["botocore"]), Metrics()
settings, clients = ReceiveWebhookSettings.from_env(), Clients()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    done = receive_webhook.run(event, settings, clients)
    metrics.add_metric(name=f"Webhooks_{done['statusCode']}", unit="Count", value=1)
    return done
