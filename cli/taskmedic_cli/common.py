"""What the commands share: AWS flags, source flags, JSON and table output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
import click
from botocore.exceptions import ProfileNotFound
from rich.console import Console

from taskmedic.aws.clients import Clients
from taskmedic.domain.errors import AwsUnreachable

F = TypeVar("F", bound=Callable[..., Any])


def aws_options(command: F) -> F:
    """``--profile`` and ``--region`` (repeatable); the usual AWS variables hold where they are not given."""
    command = click.option("--profile", help="AWS profile; default: AWS_PROFILE.")(command)
    return click.option(
        "--region", "regions", multiple=True, help="AWS region; may be given more than once."
    )(command)


def source_options(command: F) -> F:
    """The node source, as flags (docs: the page on inventory)."""
    options = [
        click.option("--cluster", help="Cluster names or ARNs, comma-separated."),
        click.option("--all-clusters", is_flag=True, help="Every cluster of the account and region."),
        click.option("--task", help="Task ids or ARNs, comma-separated."),
        click.option(
            "--filter", "filter_text", metavar="EXPR", help="Node filter: 'ECS:Container-Image: spring.*'."
        ),
        click.option("--service", help="Service names, comma-separated."),
        click.option("--task-definition", help="family, family:revision or ARN, comma-separated."),
        click.option("--container", help="Container names, comma-separated."),
        click.option("--tags", metavar="K=V,…", help="Tags on the task."),
        click.option("--filter-behavior", type=click.Choice(["include", "exclude"]), default="include"),
        click.option("--assume-role-arn", help="Role to assume for reading and for acting."),
    ]
    for option in reversed(options):
        command = option(command)
    return aws_options(command)


def clients_for(profile: str | None, region: str | None = None) -> Clients:
    """Clients of the caller's own credentials.

    Raises:
        AwsUnreachable: the profile does not exist.
    """
    try:
        return Clients(boto3.Session(profile_name=profile, region_name=region))
    except ProfileNotFound as error:
        raise AwsUnreachable(
            f"AWS profile {profile} does not exist",
            remedy="`aws configure list-profiles` shows what there is.",
        ) from error


def print_json(value: Any) -> None:
    """``value`` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def console(*, stderr: bool = False) -> Console:
    """A rich console: colours and width only when the stream is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 120, highlight=False)
