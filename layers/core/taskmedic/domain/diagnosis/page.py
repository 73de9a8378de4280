"""A diagnosis as a page of text: what is kept in S3 for a person to read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from taskmedic.domain.diagnosis.grouping import Group
from taskmedic.domain.timeline import Moment, render

WIDTH = 100
TASKS_SHOWN = 20


def page(group: Group, moments: Sequence[Moment]) -> str:
    """The whole page; every text in it is already masked."""
    one = group.diagnosis
    head = [
        one.title,
        "=" * min(len(one.title), WIDTH),
        f"{one.category}, {'benign' if one.benign else 'a fault'}",
        f"confidence {one.confidence.value}, rests on {one.rests_on}",
        *_facts(group),
        "",
        _filled(one.cause),
    ]
    advice = [_filled(line, f"{number:2}. ") for number, line in enumerate(one.advice, start=1)]
    tasks = [f"  {record.task_arn}" for record in group.records[:TASKS_SHOWN]]
    if len(group.records) > TASKS_SHOWN:
        tasks.append(f"  and {len(group.records) - TASKS_SHOWN} more")
    sections = [
        "\n".join(head),
        _section("What to do", advice),
        _section("Evidence", [f"  {line}" for line in one.evidence]),
        _section("Timeline of the newest task", render(moments, group.newest.stopped_at).splitlines()),
        _section(f"Tasks ({len(group.records)})", tasks),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _filled(text: str, mark: str = "") -> str:
    """Broken at spaces only: an ARN stays whole, so that it can be copied."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(group: Group) -> list[str]:
    one, newest = group.diagnosis, group.newest
    stopped = newest.stopped_at.isoformat(timespec="seconds") if newest.stopped_at else ""
    facts = {
        "cluster": newest.cluster,
        "service": one.service,
        "revision": one.revision,
        "container": one.container,
        "stopped": stopped,
    }
    return [", ".join(f"{name} {value}" for name, value in facts.items() if value)]


def _section(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([heading, "-" * len(heading), *lines]) if lines else ""
