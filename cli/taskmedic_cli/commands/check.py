"""``taskmedic check``: can ECS Exec reach these containers, and if not, why and what to change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape

from taskmedic.aws.preflight import gather_facts
from taskmedic.domain.preflight import findings, ready, report
from taskmedic.domain.preflight_facts import Finding
from taskmedic_cli.common import console, print_json, source_options
from taskmedic_cli.targets import target_nodes

SIGNS = {
    "ok": "[green]ok[/]",
    "warn": "[yellow]warn[/]",
    "fail": "[red]fail[/]",
    "unknown": "[blue]unknown[/]",
}


@click.command()
@source_options
@click.option("--verbose", "-v", is_flag=True, help="Show the checks that are in order, too.")
@click.option("--json", "as_json", is_flag=True)
def check(as_json: bool, verbose: bool, **flags: Any) -> None:
    """Tells whether commands can be run in these containers, and if not, what to change.

    Looks only; changes nothing. Exit code 1 when a container is not ready.
    """
    clients, nodes = target_nodes(flags)
    checked = [(node.name, findings(facts)) for node, facts in gather_facts(clients, nodes)]
    if as_json:
        print_json([report(name, found) for name, found in checked])
    else:
        _print(checked, verbose=verbose)
    if not all(ready(found) for _, found in checked):
        sys.exit(1)


def _print(checked: Sequence[tuple[str, list[Finding]]], *, verbose: bool) -> None:
    page = console()
    for name, found in checked:
        page.print(f"[bold]{escape(name)}[/]  {'ready' if ready(found) else '[red]not ready[/]'}")
        for finding in found:
            if finding.status == "ok" and not verbose:
                continue
            sign = SIGNS[finding.status]
            page.print(f"  {sign}  {finding.check}: {escape(finding.detail)}", soft_wrap=True)
            if finding.fix:
                page.print(f"        → {escape(finding.fix)}", soft_wrap=True)
    count = sum(ready(found) for _, found in checked)
    page.print(f"{count} of {len(checked)} containers ready")
