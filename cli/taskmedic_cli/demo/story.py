"""How the demo is told: headings, a live timeline, panels, and a tick or a cross for each thing expected.

On a terminal with colours and a spinner for the state at work; elsewhere as plain lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.status import Status
from rich.text import Text

from taskmedic_cli.executions import StateVisit

# States that do work or wait; the others only choose or assign.
TOLD = frozenset({"Task", "Map", "Wait"})
OUTPUT_LINES = 12


@dataclass
class Scene:
    """One scene: what was expected, whether it held, and what there is to show for it."""

    key: str
    title: str
    expected: list[tuple[str, bool]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return bool(self.expected) and all(held for _, held in self.expected)

    def to_json(self) -> dict[str, Any]:
        checks = [{"expected": text, "held": held} for text, held in self.expected]
        return {"scene": self.key, "title": self.title, "ok": self.ok, "checks": checks, **self.facts}


class Story:
    """Tells scenes on a console."""

    def __init__(self, console: Console) -> None:
        self._out = console

    def heading(self, scene: Scene, opening: str) -> None:
        self._out.print()
        title = f"({scene.key}) {escape(scene.title)}"
        self._out.print(
            Rule(f"[bold]{title}[/]", align="left", style="cyan") if self._out.is_terminal else f"== {title}"
        )
        self._out.print(escape(opening), soft_wrap=True)
        self._out.print()

    def say(self, text: str) -> None:
        self._out.print(escape(text), soft_wrap=True)

    def at_work(self, text: str) -> AbstractContextManager[Status | None]:
        """A spinner beside ``text`` on a terminal; nothing elsewhere."""
        if not self._out.is_terminal:
            return nullcontext()
        return self._out.status(Text(text), spinner="dots")

    def state(self, visit: StateVisit) -> None:
        """One line of the timeline, once the state has been left."""
        if visit.kind not in TOLD or visit.seconds is None:
            return
        line = Text(f"  {visit.seconds:6.2f} s  ", style="dim")
        line.append(visit.name, style="red" if visit.failed else "bold")
        if visit.failed:
            line.append(f"  {visit.failed}", style="red")
        self._out.print(line)

    def decision(self, output: Mapping[str, Any]) -> None:
        self._out.print(
            f"  decision: [bold]{escape(output['decision'])}[/]: {escape(output['reason'])}", soft_wrap=True
        )

    def diagnosis(self, diagnosis: Mapping[str, Any]) -> None:
        """Advice comes first: it is what is read at 3 a.m."""
        lines = [
            (diagnosis["title"], "bold"),
            (diagnosis["cause"], ""),
            ("What to do", "bold green"),
            *((f"{n}. {advice}", "") for n, advice in enumerate(diagnosis["advice"], 1)),
            ("Evidence", "bold yellow"),
            *((f"- {line}", "") for line in diagnosis["evidence"]),
        ]
        sure = f"confidence {diagnosis['confidence']}, rests on {diagnosis['rests_on']}"
        self._panel(lines, f"{diagnosis['category']}, {sure}", "yellow")

    def output(self, result: Mapping[str, Any]) -> None:
        """The head of one container's output."""
        lines = str(result.get("head") or "").strip("\n").splitlines()
        shown = lines[:OUTPUT_LINES]
        if len(lines) > len(shown):
            shown.append(f"… {len(lines) - len(shown)} more lines")
        code = result.get("exit_code")
        ended = f"{result['outcome']}" + (f" {code}" if code is not None else "")
        self._panel([(line, "") for line in shown or ["(no output)"]], f"{result['node']}: {ended}", "blue")

    def note(self, content: str) -> None:
        lines = [(line, "") for line in content.splitlines()]
        self._panel(lines, "note on the incident, as PagerDuty shows it", "green", width=86)

    def checks(self, scene: Scene) -> None:
        self._out.print()
        for text, held in scene.expected:
            mark = "[green]✔[/]" if held else "[bold red]✘[/]"
            self._out.print(f"  {mark} {escape(text)}")

    def end(self, scenes: Sequence[Scene], seconds: float) -> None:
        bad = [scene for scene in scenes if not scene.ok]
        self._out.print()
        if bad:
            names = ", ".join(f"({scene.key})" for scene in bad)
            self._out.print(
                f"[bold red]{len(bad)} of {len(scenes)} scenes ended otherwise than they should: {names}[/]"
            )
        else:
            self._out.print(
                f"[bold green]All {len(scenes)} scenes ended as they should[/], in {seconds:.1f} s."
            )

    def _panel(
        self, lines: Sequence[tuple[str, str]], title: str, style: str, width: int | None = None
    ) -> None:
        """Lines, each with its style, under a title: in a frame on a terminal, indented elsewhere."""
        if not self._out.is_terminal:
            text = "\n".join(f"    {line}".rstrip() for line, _ in lines)
            self._out.print(f"  [{title}]\n{text}", markup=False, soft_wrap=True)
            return
        body = Text("\n").join(Text(line, style=line_style) for line, line_style in lines)
        self._out.print(
            Panel(
                body, title=Text(title), title_align="left", border_style=style, width=width, padding=(0, 1)
            )
        )
