"""The ``taskmedic`` command: a group whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
import os
import sys

import click

from taskmedic.domain.errors import TaskmedicError
from taskmedic_cli.terminal import say

# command → what it does, in a line. Each is a function of that name in a module of that name.
COMMANDS = {
    "check": "Tells whether commands can be run in containers, and if not, what to change.",
    "demo": "Plays five incidents on the local cloud.",
    "explain": "Tells why a task stopped, from a file.",
    "local": "Runs the local cloud until Ctrl-C.",
    "nodes": "Lists running containers.",
    "run": "Runs a command in containers.",
    "runbook": "Lists, shows, validates and runs runbooks.",
    "send": "Sends an event, a webhook or a manual start from a file.",
    "stop": "Stops a task and waits until ECS says STOPPED.",
    "stopped": "Tells why tasks of a cluster or service stopped.",
}


class LazyGroup(click.Group):
    """Imports a command when it is called; the list of all needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"taskmedic_cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskmedic")
def cli() -> None:
    """Diagnoses and remedies Amazon ECS tasks."""


def main() -> None:
    """Entry point. Errors of ours end in their text on stderr and their exit code, never in a traceback."""
    try:
        cli(standalone_mode=True)
    except TaskmedicError as error:
        say(f"taskmedic: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # such as a full disk behind stdout
        # What is left in stdout's buffer cannot be written when Python ends either, and would be a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = f" ({error.filename})" if error.filename else ""
        say(f"taskmedic: cannot read or write{where}: {error.strerror or error}", err=True)
        sys.exit(1)
