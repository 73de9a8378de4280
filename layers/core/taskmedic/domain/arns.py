"""Amazon Resource Names of ECS, taken apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arn:
    """``arn:partition:service:region:account:resource``.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """The parts of ``text``, or None when it is no ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
            return None
        return cls(*parts[1:])

    @property
    def kind(self) -> str:
        """The resource type: ``task`` of ``task/prod/0123``; empty when the resource has none."""
        return self.resource.split("/", 1)[0] if "/" in self.resource else ""

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def last_part(arn_or_name: str) -> str:
    """The name at the end of an ECS ARN; a bare name is returned as it is.

    ``arn:aws:ecs:eu-west-1:1:task/prod/0123`` gives ``0123``. The long and the old short form both work.
    """
    return arn_or_name.rsplit("/", 1)[-1]


def cluster_of_task(task_arn: str) -> str:
    """The cluster's name in a long-form task ARN; empty for the short form, which does not carry it."""
    arn = Arn.parse(task_arn)
    parts = arn.resource.split("/") if arn else []
    return parts[1] if len(parts) == 3 else ""
