"""``taskmedic explain``: why did this task stop? Reads a file or stdin, needs no AWS."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from taskmedic.domain.diagnosis import diagnose
from taskmedic.domain.errors import InputError
from taskmedic.domain.task_shapes import task_documents


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option(
    "--jsonl", is_flag=True, help="One record a line in, one diagnosis a line out, in the same order."
)
@click.option("--json", "as_json", is_flag=True, help="An array of diagnoses.")
def explain(file: str, jsonl: bool, as_json: bool) -> None:
    """Says why the tasks in FILE (or standard input) stopped.

    FILE holds an ECS Task State Change event, a DescribeTasks output, a bare task, or the output of Step
    Functions' ecs:runTask.sync.
    """
    text = _read(file)
    if jsonl:
        _explain_lines(text)
        return
    diagnoses = [diagnose(task) for task in task_documents(_parsed(text, file))]
    if as_json:
        click.echo(json.dumps([diagnosis.to_json() for diagnosis in diagnoses], indent=2, ensure_ascii=False))
        return
    from taskmedic_cli.diagnosis_view import show_diagnoses  # noqa: PLC0415 - rich is not needed for JSON

    show_diagnoses(diagnoses)


def _explain_lines(text: str) -> None:
    """A line for each line. A bad line gets a line that names its error, and the rest goes on; exit code 2
    then.
    """
    failed = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            answer = diagnose(_parsed(line, f"line {number}")).to_json()
        except InputError as error:
            failed = True
            answer = {"error": type(error).__name__, "line": number, "message": str(error)}
            click.echo(f"taskmedic: line {number}: {error}", err=True)
        click.echo(json.dumps(answer, ensure_ascii=False))
    if failed:
        sys.exit(InputError.exit_code)


def _read(file: str) -> str:
    try:
        return sys.stdin.buffer.read().decode() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {file}", why=error.strerror or str(error), remedy="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not UTF-8 text", why=f"byte {error.start}", remedy="Save it as UTF-8."
        ) from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the input is not JSON",
            where=where,
            why=str(error),
            remedy="Give one JSON document, or lines of it with --jsonl.",
        ) from error
