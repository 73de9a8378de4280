"""The deployed CloudFormation stack: its outputs, and the webhook they lead to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from taskmedic.aws.clients import Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.errors import InputError

DEFAULT_NAME = "taskmedic"


@dataclass(frozen=True)
class Webhook:
    """Where PagerDuty posts, and the secret it signs with."""

    url: str
    secret: str = field(repr=False)


def outputs(clients: Clients, name: str) -> dict[str, str]:
    """The stack's outputs by their key.

    Raises:
        AwsRefused: there is no such stack.
    """
    with translated("cannot read the deployed stack", name):
        answer = clients.get("cloudformation").describe_stacks(StackName=name)
    return {out["OutputKey"]: out["OutputValue"] for out in answer["Stacks"][0].get("Outputs", [])}


def webhook(clients: Clients, name: str) -> Webhook:
    """The webhook of the stack.

    Raises:
        InputError: the stack has no webhook, or its signing secret is not set yet.
    """
    found = outputs(clients, name)
    try:
        url, secret_id = found["WebhookUrl"], found["WebhookSecretArn"]
    except KeyError as error:
        raise InputError(f"stack {name} has no output {error}", remedy="Is it Taskmedic's stack?") from error
    with translated("cannot read the webhook's secret", secret_id):
        value = clients.get("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
    try:
        secret = json.loads(value)["signing_secrets"][0]
    except (json.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            "the webhook's signing secret is not set",
            where=secret_id,
            remedy='Store {"signing_secrets": ["…"]} with the secret PagerDuty showed for the subscription.',
        ) from error
    return Webhook(url, str(secret))
