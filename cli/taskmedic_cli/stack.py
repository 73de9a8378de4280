"""The deployed CloudFormation stack: its outputs, and what they lead to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from taskmedic.aws.clients import Clients
from taskmedic.aws.errors import translated
from taskmedic.domain.errors import AwsRefused, InputError

DEFAULT_NAME: Final = "taskmedic"
STATE_MACHINE: Final = "RemediationStateMachineArn"


def outputs(clients: Clients, name: str) -> dict[str, str]:
    """The stack's outputs by their key.

    Raises:
        InputError: there is no such stack.
        AccessDenied, AwsUnreachable, …: CloudFormation cannot be asked.
    """
    try:
        with translated("cannot read the deployed stack", name):
            answer = clients.get("cloudformation").describe_stacks(StackName=name)
    except AwsRefused as error:
        raise InputError(
            "cannot find the deployed application",
            where=f"stack {name}",
            why=error.why,
            remedy="Check account and region, or name it by --stack-name; `make deploy` makes it.",
        ) from error
    return {out["OutputKey"]: out["OutputValue"] for out in answer["Stacks"][0].get("Outputs", [])}


@dataclass(frozen=True)
class Webhook:
    """Where PagerDuty posts, and what it may prove itself by."""

    url: str
    secret_id: str
    secrets: Mapping[str, Any] = field(repr=False)

    def first(self, kind: str) -> str:
        """The first of ``signing_secrets`` or ``bearer_secrets``.

        Raises:
            InputError: none is stored.
        """
        listed = self.secrets.get(kind)
        if not isinstance(listed, list) or not listed:
            raise InputError(
                f"no secret is stored in {kind}",
                where=self.secret_id,
                remedy=f'Store {{"{kind}": ["…"]}} there; docs/pagerduty.md says which.',
            )
        return str(listed[0])


def webhook(clients: Clients, name: str) -> Webhook:
    """The webhook of the stack.

    Raises:
        InputError: the stack has no webhook, or its secret is no JSON object.
    """
    found = outputs(clients, name)
    url, secret_id = (_output(found, key, name) for key in ("WebhookUrl", "WebhookSecretArn"))
    with translated("cannot read the webhook's secret", secret_id):
        value = clients.get("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
    try:
        secrets = json.loads(value)
    except json.JSONDecodeError:
        secrets = None
    if not isinstance(secrets, dict):
        raise InputError(
            "the webhook's secret is no JSON object",
            where=secret_id,
            remedy="docs/pagerduty.md shows its form.",
        )
    return Webhook(url, secret_id, secrets)


def state_machine(clients: Clients, name: str) -> str:
    """The ARN of the stack's state machine.

    Raises:
        InputError: there is no such stack, or it has no state machine.
    """
    return _output(outputs(clients, name), STATE_MACHINE, name)


def _output(found: Mapping[str, str], key: str, name: str) -> str:
    try:
        return found[key]
    except KeyError as error:
        raise InputError(f"stack {name} has no output {error}", remedy="Is it Taskmedic's stack?") from error
