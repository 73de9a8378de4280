"""``taskmedic demo``: the whole system at work on the local cloud."""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack

import boto3
import click
from rich.console import Console

from taskmedic.aws.clients import Clients
from taskmedic_cli.common import console, print_json
from taskmedic_local.environment import forget_settings

forget_settings()  # before moto is imported, which reads them

from taskmedic_cli.demo.scenes import Stage, play  # noqa: E402
from taskmedic_cli.demo.story import Story  # noqa: E402
from taskmedic_local.cloud import LocalCloud  # noqa: E402


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The outcome of each scene as JSON.")
def demo(as_json: bool) -> None:
    """Starts the local cloud, deploys the application into it, plays five incidents and tells the story.

    Exits 1 when a scene ends otherwise than it should. Needs no AWS account and no network.
    """
    out = Console(file=io.StringIO(), emoji=False) if as_json else console()
    story = Story(out)
    with ExitStack() as open_cloud:
        with story.at_work("starting the local cloud, deploying template.yaml"):
            cloud = open_cloud.enter_context(LocalCloud())
        story.say(f"The local cloud is at {cloud.info['endpoint']}; template.yaml is deployed into it.")
        scenes = play(Stage(cloud, clients_of(cloud), story))
    if as_json:
        print_json([scene.to_json() for scene in scenes])
    if not all(scene.ok for scene in scenes):
        sys.exit(1)


def clients_of(cloud: LocalCloud) -> Clients:
    """Clients of the local cloud, whatever AWS settings the caller has."""
    os.environ["AWS_ENDPOINT_URL"] = cloud.info["endpoint"]
    session = boto3.Session("local", "local", region_name=cloud.info["region"])
    return Clients(session)
