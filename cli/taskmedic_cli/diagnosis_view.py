"""Diagnoses for a person: a table of all, then each in detail with the advice first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from taskmedic.domain.arns import last_part
from taskmedic.domain.diagnosis import Diagnosis
from taskmedic_cli.common import console

EVIDENCE_LINES = 12


def show_diagnoses(diagnoses: Sequence[Diagnosis], out: Console | None = None) -> None:
    """The table, then the details. One diagnosis alone needs no table."""
    out = out or console()
    if len(diagnoses) > 1:
        out.print(_table(diagnoses))
    for diagnosis in diagnoses:
        _show(diagnosis, out)


def _table(diagnoses: Sequence[Diagnosis]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("TASK", "SERVICE", "CATEGORY", "CONFIDENCE", "WHAT"):
        table.add_column(heading, overflow="fold")
    for one in diagnoses:
        colour = "dim" if one.benign else "red"
        table.add_row(
            last_part(one.task_arn) or "-",
            one.service or "-",
            f"[{colour}]{one.category}[/]",
            one.confidence.value,
            escape(one.title),
        )
    return table


def _show(one: Diagnosis, out: Console) -> None:
    out.print()
    out.print(f"[bold]{escape(one.title)}[/]  [dim]{one.category}, confidence {one.confidence.value}[/]")
    out.print(escape(one.cause))
    out.print("\n[bold]What to do[/]")
    for number, line in enumerate(one.advice, start=1):
        out.print(f" {number}. {escape(line)}")
    out.print("\n[bold]Evidence[/]")
    for evidence in one.evidence[:EVIDENCE_LINES]:
        out.print(f"  [dim]{escape(evidence.source)}[/]  {escape(evidence.text)}")
    about = [f"{word} {value}" for word, value in _about(one) if value]
    if about:
        out.print(f"\n[dim]{escape(', '.join(about))}[/]")


def _about(one: Diagnosis) -> list[tuple[str, str]]:
    return [
        ("task", one.task_arn),
        ("service", one.service),
        ("revision", one.revision),
        ("container", one.container),
    ]
