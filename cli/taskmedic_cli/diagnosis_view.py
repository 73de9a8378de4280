"""Diagnoses for a person: a table of all, then each in detail with the advice first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from taskmedic.aws.stopped import Collection
from taskmedic.domain.arns import last_part
from taskmedic.domain.diagnosis import Diagnosis
from taskmedic.domain.timeline import render
from taskmedic_cli.common import console

EVIDENCE_LINES = 14
NOTHING = "-"


@dataclass(frozen=True)
class _Shown:
    """One diagnosis with how many tasks share it, and the timeline of the newest."""

    diagnosis: Diagnosis
    tasks: int = 1
    timeline: str = ""


def show_diagnoses(diagnoses: Sequence[Diagnosis], out: Console | None = None) -> None:
    """The table, then the details. One diagnosis alone needs no table."""
    _show_all([_Shown(one) for one in diagnoses], out or console())


def show_cases(collection: Collection, out: Console | None = None) -> None:
    """The same for what was read from AWS, with the number of tasks and the timeline."""
    out = out or console()
    for note in collection.notes:
        out.print(f"[dim]{escape(note)}[/]")
    if not collection.cases:
        out.print("No task stopped in this time.")
    _show_all(
        [
            _Shown(
                case.group.diagnosis,
                len(case.group.records),
                render(case.moments, case.group.newest.stopped_at),
            )
            for case in collection.cases
        ],
        out,
    )


def _show_all(shown: Sequence[_Shown], out: Console) -> None:
    if len(shown) > 1:
        out.print(_table(shown))
    for one in shown:
        _show(one, out)


def _table(shown: Sequence[_Shown]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("TASKS", "SERVICE", "REVISION", "CATEGORY", "CONFIDENCE", "WHAT"):
        table.add_column(heading, overflow="fold")
    for one in shown:
        diagnosis = one.diagnosis
        colour = "dim" if diagnosis.benign else "red"
        tasks = str(one.tasks) if one.tasks > 1 else last_part(diagnosis.task_arn)[:8] or NOTHING
        table.add_row(
            tasks,
            escape(diagnosis.service or NOTHING),
            escape(diagnosis.revision or NOTHING),
            f"[{colour}]{diagnosis.category}[/]",
            diagnosis.confidence.value,
            escape(diagnosis.title),
        )
    return table


def _show(one: _Shown, out: Console) -> None:
    diagnosis = one.diagnosis
    out.print()
    out.print(
        f"[bold]{escape(diagnosis.title)}[/]  [dim]{diagnosis.category}, confidence "
        f"{diagnosis.confidence.value}, rests on {escape(diagnosis.rests_on)}[/]"
    )
    out.print(escape(diagnosis.cause))
    out.print("\n[bold]What to do[/]")
    out.print(_aligned((f"{number}.", line) for number, line in enumerate(diagnosis.advice, start=1)))
    out.print("\n[bold]Evidence[/]")
    lines = diagnosis.evidence[:EVIDENCE_LINES]
    out.print(_aligned((line.source, line.text) for line in lines))
    if len(diagnosis.evidence) > EVIDENCE_LINES:
        out.print(f"  [dim]and {len(diagnosis.evidence) - EVIDENCE_LINES} more lines: --json shows all[/]")
    if one.timeline:
        out.print("\n[bold]Timeline[/]")
        out.print(escape(one.timeline))
    about = ", ".join(f"{word} {value}" for word, value in _about(one) if value)
    if about:
        out.print(f"\n[dim]{escape(about)}[/]")


def _aligned(pairs: Iterable[tuple[str, str]]) -> Table:
    """A column of short words and one of texts, so that a text that is broken stays in its column."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for word, text in pairs:
        grid.add_row(f"  {escape(word)}", escape(text))
    return grid


def _about(one: _Shown) -> list[tuple[str, str]]:
    diagnosis = one.diagnosis
    return [
        ("task", diagnosis.task_arn),
        ("and", f"{one.tasks - 1} more of the same cause" if one.tasks > 1 else ""),
        ("service", diagnosis.service),
        ("revision", diagnosis.revision),
        ("container", diagnosis.container),
    ]
