"""``taskmedic local``: the local cloud in the foreground."""

from __future__ import annotations

import json
import signal
import threading

import click

from taskmedic_local.environment import forget_settings


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of 127.0.0.1; 0 takes a free one."
)
def local(port: int) -> None:
    """Runs the local cloud until Ctrl-C.

    Prints one line of JSON when it is ready: endpoint, region, webhook_url, webhook_secret, pagerduty_url and
    state_machines. Set AWS_ENDPOINT_URL to the endpoint, with any credentials, to work with it.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    forget_settings()
    # Only now: moto takes a while to import, and Ctrl-C during that time must already end it quietly.
    from taskmedic_local.cloud import LocalCloud  # noqa: PLC0415

    with LocalCloud(port) as cloud:
        if not stop.is_set():
            click.echo(json.dumps(cloud.info))
        stop.wait()
