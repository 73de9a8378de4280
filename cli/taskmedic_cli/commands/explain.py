"""``taskmedic explain``: why did this task stop? Reads a file or stdin, needs no AWS."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from taskmedic.domain.diagnosis import Diagnosis, diagnose
from taskmedic.domain.errors import InputError, NotAStoppedTask
from taskmedic.domain.task_shapes import task_documents
from taskmedic_cli.terminal import json_text, say


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option(
    "--jsonl",
    is_flag=True,
    help="One record a line in, one answer a line out, in the same order: the diagnosis, or an array of them "
    "where the line holds several stopped tasks.",
)
@click.option("--json", "as_json", is_flag=True, help="An array of diagnoses.")
def explain(file: str, jsonl: bool, as_json: bool) -> None:
    """Says why the tasks in FILE (or standard input) stopped.

    FILE holds an ECS Task State Change event, a DescribeTasks output, a bare task, or the output of Step
    Functions' ecs:runTask.sync, or a list of these. Tasks in it that have not stopped are left out.
    """
    text = _read(file)
    if jsonl:
        _explain_lines(text)
        return
    diagnoses = _diagnoses(_parsed(text, file))
    if as_json:
        click.echo(json_text([diagnosis.to_json() for diagnosis in diagnoses], indent=2))
        return
    from taskmedic_cli.diagnosis_view import show_diagnoses  # noqa: PLC0415 - rich is not needed for JSON

    show_diagnoses(diagnoses)


def _diagnoses(document: Any, where: str = "") -> list[Diagnosis]:
    """Those of the stopped tasks in ``document``; what else there is in it is counted on stderr.

    Args:
        document: An output of AWS, an event, a task, or a list of these.
        where: What stands before what is said on stderr: the line.

    Raises:
        InputError: it holds no stopped task; the error is that of the first thing it holds.
    """
    found: list[Diagnosis] = []
    others: list[InputError] = []
    for part in document if isinstance(document, list) else [document]:
        try:
            tasks = task_documents(part)
        except InputError as error:
            others.append(error)
            continue
        for task in tasks:
            try:
                found.append(diagnose(task))
            except InputError as error:
                others.append(error)
    if not found:
        raise (
            others[0]
            if others
            else NotAStoppedTask(
                "the input holds no task",
                why="the list is empty",
                remedy="ECS forgets a stopped task after about an hour; read its event instead.",
            )
        )
    if others:
        left_out = f"{len(others)} of {len(found) + len(others)} left out, not a stopped task"
        say(f"taskmedic: {where}{left_out}; the first: {others[0].why}", err=True)
    return found


def _explain_lines(text: str) -> None:
    """A line for each line. A bad line gets a line that names its error, and the rest goes on; exit code 2
    then.
    """
    failed = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        answer: Any
        try:
            answers = [
                one.to_json() for one in _diagnoses(_parsed(line, f"line {number}"), f"line {number}: ")
            ]
            answer = answers[0] if len(answers) == 1 else answers
        except InputError as error:
            failed = True
            answer = {"error": type(error).__name__, "line": number, "message": str(error)}
            say(f"taskmedic: line {number}: {error}", err=True)
        click.echo(json_text(answer))
    if failed:
        sys.exit(InputError.exit_code)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")  # Windows' editors and PowerShell begin a file with a BOM
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
