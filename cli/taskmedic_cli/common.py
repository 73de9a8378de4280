"""What the commands share: AWS flags, source flags, JSON and table output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
import click
from botocore.exceptions import ProfileNotFound
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from taskmedic.aws.clients import Clients
from taskmedic.aws.inventory import Inventory, find
from taskmedic.domain.arns import Arn
from taskmedic.domain.errors import AwsUnreachable, OptionInvalid
from taskmedic.domain.node_source import NodeSource
from taskmedic.domain.printable import printable
from taskmedic_cli import stack
from taskmedic_cli.terminal import json_text, say

F = TypeVar("F", bound=Callable[..., Any])


_PROFILE = click.option("--profile", help="AWS profile; default: AWS_PROFILE.")
_EXTERNAL_ID = click.option(
    "--external-id", default="", help="External id that the role's trust policy asks for."
)


def aws_options(command: F) -> F:
    """``--profile`` and ``--region``; the usual AWS variables hold where they are not given."""
    return click.option("--region", help="AWS region; default: AWS_REGION.")(_PROFILE(command))


def stack_option(command: F) -> F:
    """``--stack-name``: the deployed application, where there is more than one."""
    return click.option(
        "--stack-name",
        envvar="TASKMEDIC_STACK",
        default=stack.DEFAULT_NAME,
        show_default=True,
        help="The deployed stack (or TASKMEDIC_STACK).",
    )(command)


def account_options(command: F) -> F:
    """``--assume-role-arn`` and ``--external-id``, and those of ``aws_options``."""
    role = click.option("--assume-role-arn", default="", help="Role to assume.")
    return role(_EXTERNAL_ID(aws_options(command)))


def source_options(command: F) -> F:
    """The node source, as flags; ``node_sources`` reads them."""
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
        click.option(
            "--filter-behavior",
            type=click.Choice(["include", "exclude"]),
            default="include",
            help="Whether to keep or to drop what service, task definition, container and tags match.",
        ),
        click.option("--include-stopping", is_flag=True, help="Also tasks that are being stopped."),
        click.option(
            "--assume-role-arn",
            "assume_role_arns",
            multiple=True,
            help="Role to assume for reading and for acting; may be given more than once, for many accounts.",
        ),
        _EXTERNAL_ID,
        _PROFILE,
        click.option("--region", "regions", multiple=True, help="AWS region; may be given more than once."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def node_sources(flags: Mapping[str, Any]) -> list[NodeSource]:
    """The sources that the flags of ``source_options`` describe: one for each region and role.

    Raises:
        FilterInvalid: a flag cannot be understood, or no cluster is named.
    """
    source = {
        "clusters": flags["cluster"],
        "all_clusters": flags["all_clusters"],
        "tasks": flags["task"],
        "services": flags["service"],
        "task_definitions": flags["task_definition"],
        "containers": flags["container"],
        "tags": flags["tags"],
        "filter_behavior": flags["filter_behavior"],
        "filter": flags["filter_text"],
        "include_stopping": flags["include_stopping"],
        "external_id": flags["external_id"],
    }
    return [
        NodeSource.from_json({**source, "region": region, "assume_role_arn": role})
        for role in flags["assume_role_arns"] or ("",)
        for region in flags["regions"] or ("",)
    ]


def read_inventory(
    sources: Sequence[NodeSource], clients: Clients, *, wanted: Iterable[str] = (), quiet: bool = False
) -> Inventory:
    """The inventory of ``sources``. What went wrong goes to stderr; progress too, while that is a terminal.

    Errors are told and not raised, since the rest was read: see ``Inventory.errors``.
    """
    with _progress(quiet=quiet) as on_page:
        inventory = find(sources, clients, wanted=wanted, on_page=on_page)
    for error in errors_of(inventory):
        say(f"taskmedic: {error}", err=True)
    for note in inventory.notes:
        say(f"taskmedic: note: {note}", err=True)
    return inventory


def errors_of(inventory: Inventory) -> list[str]:
    """What could not be read; of several sources each is named, for only one may lack a cluster."""
    several = len(inventory.outcomes) > 1
    return [
        f"{outcome.source}: {error}" if several else str(error)
        for outcome in inventory.outcomes
        for error in outcome.errors
    ]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    total = 0
    with console(stderr=True).status("Reading the clusters…") as status:

        def on_page(count: int) -> None:
            nonlocal total
            total += count
            status.update(f"Reading the clusters… {total:,} containers")

        yield on_page


def clients_for(profile: str | None, region: str | None = None) -> Clients:
    """Clients of the caller's own credentials.

    Raises:
        AwsUnreachable: the profile does not exist.
    """
    try:
        # boto3 itself reads AWS_DEFAULT_REGION only; AWS's own CLI and the other SDKs read AWS_REGION first.
        region = region or os.environ.get("AWS_REGION")
        return Clients(boto3.Session(profile_name=profile, region_name=region))
    except ProfileNotFound as error:
        raise AwsUnreachable(
            f"AWS profile {profile} does not exist",
            remedy="`aws configure list-profiles` shows what there is.",
        ) from error


def region_of(region: str | None, *names: str) -> str:
    """``--region``, or else the region of the ARNs among ``names``; empty where neither says one.

    Raises:
        OptionInvalid: they are not of one region.
    """
    regions = {arn.region for arn in map(Arn.parse, names) if arn} | ({region} if region else set())
    if len(regions) > 1:
        raise OptionInvalid(
            "what is named is in several regions",
            where=", ".join(name for name in names if name),
            why=f"ARNs and --region say {' and '.join(sorted(regions))}",
            remedy="An ARN brings its region along: leave --region out.",
        )
    return regions.pop() if regions else ""


def print_json(value: Any) -> None:
    """``value`` as JSON on stdout."""
    click.echo(json_text(value, indent=2))


class _Console(Console):
    """Lets no control character through but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """A rich console: colours and width only when the stream is a terminal.

    Words between colons are no emoji: an ARN of Secrets Manager has `:secret:` in it.
    """
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else 120, highlight=False, emoji=False)
