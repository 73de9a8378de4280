"""``taskmedic runbook``: list, show, validate and run runbooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from taskmedic.domain.errors import InputError, RunbookInvalid
from taskmedic.domain.runbooks.loading import load_folder, load_text
from taskmedic_cli import executions, stack
from taskmedic_cli.common import aws_options, clients_for, console, print_json, stack_option

STOCK = Path("layers/runbooks/runbooks")


def folder_option(command: Any) -> Any:
    """``--runbooks``: the folder they are read from."""
    return click.option(
        "--runbooks",
        "folder",
        type=click.Path(path_type=Path),
        envvar="RUNBOOKS_DIR",
        default=STOCK,
        show_default=True,
        help="Folder of the runbooks (or RUNBOOKS_DIR).",
    )(command)


@click.group()
def runbook() -> None:
    """Lists, shows, validates and runs runbooks."""


@runbook.command(name="list")
@folder_option
@click.option("--json", "as_json", is_flag=True)
def list_(folder: Path, as_json: bool) -> None:
    """The runbooks of the folder, with what starts each."""
    found = load_folder(folder)
    if as_json:
        print_json([book.to_json() for book in found.values()])
        return
    table = Table("NAME", "STARTED BY", "STEPS", "DESCRIPTION", box=None, pad_edge=False)
    for book in found.values():
        table.add_row(
            book.name, book.started_by(), ", ".join(step.type for step in book.steps), book.description
        )
    console().print(table)


@runbook.command()
@click.argument("name")
@folder_option
@click.option("--json", "as_json", is_flag=True)
def show(name: str, folder: Path, as_json: bool) -> None:
    """One runbook: its file as it is, or with --json as it was understood."""
    found = load_folder(folder)
    if name not in found:
        raise InputError(
            f"there is no runbook {name}", where=str(folder), remedy="`taskmedic runbook list` shows all."
        )
    if as_json:
        print_json(found[name].to_json())
    else:
        click.echo((folder / found[name].file).read_text(encoding="utf-8"), nl=False)


@runbook.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@folder_option
def validate(files: tuple[Path, ...], folder: Path) -> None:
    """Checks FILES (default: all of the folder); names file, line and field of each mistake."""
    paths = files or tuple(path for path in sorted(folder.glob("*")) if path.suffix in {".yaml", ".yml"})
    if not paths:
        raise InputError("there is no runbook to check", where=str(folder), remedy="Put *.yaml files there.")
    valid: dict[str, Path] = {}
    wrong = []
    for path in paths:
        try:
            name = _checked(path)
        except RunbookInvalid as error:
            wrong.append(str(error))
            continue
        if name in valid:
            wrong.append(f"two runbooks have the name {name}: {valid[name]} and {path}")
            continue
        valid[name] = path
        click.echo(f"{path}: valid")
    for mistake in wrong:
        click.echo(mistake, err=True)
    if wrong:
        sys.exit(2)


def _checked(path: Path) -> str:
    """The name of the runbook in the file.

    Raises:
        RunbookInvalid: it is none, or the application would not read a file of that name.
    """
    if path.suffix != ".yaml":
        raise RunbookInvalid(f"{path}: runbooks are files that end with .yaml", remedy="Rename it.")
    try:
        return load_text(path.read_text(encoding="utf-8"), str(path)).name
    except OSError as error:
        raise RunbookInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunbookInvalid(f"{path}: is not UTF-8 text") from error


def parse_options(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("cluster=prod",)`` as a dict.

    Raises:
        InputError: a pair has no ``=``, or a name comes twice.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise InputError(f"--option {pair} is no NAME=VALUE", remedy="Write --option cluster=prod.")
        if name in options:
            raise InputError(f"--option {name} is given twice")
        options[name] = value
    return options


@runbook.command()
@click.argument("name")
@click.option("--option", "pairs", multiple=True, metavar="NAME=VALUE", help="May be given more than once.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--wait", is_flag=True, help="Wait until the execution ends; exit 1 when it fails.")
@click.option("--timeout", type=float, default=900.0, show_default=True, help="Seconds to wait.")
@click.option("--json", "as_json", is_flag=True)
@stack_option
@aws_options
def run(
    name: str,
    pairs: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
    stack_name: str,
    profile: str | None,
    region: str | None,
) -> None:
    """Starts an execution of runbook NAME, as the deployed application knows it."""
    given = {"runbook": name, "options": parse_options(pairs), "dry_run": dry_run}
    clients = clients_for(profile, region)
    states = clients.get("stepfunctions")
    arn = executions.start(states, stack.state_machine(clients, stack_name), given)
    executions.tell(states, arn, wait_s=timeout if wait else None, as_json=as_json)
