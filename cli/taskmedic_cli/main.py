"""The ``taskmedic`` command: a group whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
import sys

import click

from taskmedic.domain.errors import TaskmedicError

# command → module:function. One module a command, under cli/taskmedic_cli/commands.
COMMANDS = {
    "check": "check:check",
    "demo": "demo:demo",
    "explain": "explain:explain",
    "local": "local:local",
    "nodes": "nodes:nodes",
    "run": "run:run",
    "runbook": "runbook:runbook",
    "send": "send:send",
    "stop": "stop:stop",
    "stopped": "stopped:stopped",
}


class LazyGroup(click.Group):
    """Lists every command, imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(f"taskmedic_cli.commands.{module}"), function)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskmedic")
def cli() -> None:
    """Diagnoses and remedies Amazon ECS tasks."""


def main() -> None:
    """Entry point. Errors of ours end in their text on stderr and their exit code, never in a traceback."""
    try:
        cli(standalone_mode=True)
    except TaskmedicError as error:
        click.echo(f"taskmedic: {error}", err=True)
        sys.exit(error.exit_code)
