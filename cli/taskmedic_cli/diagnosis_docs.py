"""The tables of docs/diagnosis.md, made from the catalogue and the rules.

    python -m taskmedic_cli.diagnosis_docs           write them
    python -m taskmedic_cli.diagnosis_docs --check   exit 1 when the page is not what they make

The page's own prose stays: what lies between the two markers is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from taskmedic.domain.diagnosis import CATEGORIES, RULES, Category
from taskmedic.domain.diagnosis.catalogue import Line, Telling

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnosis.md"
BEGIN, END = "<!-- made by taskmedic_cli.diagnosis_docs -->", "<!-- end -->"
WORDS_CHARS = 150
FAMILIES = {
    "image_pull": "The image could not be pulled",
    "secrets": "Secrets",
    "env_file": "Environment files",
    "logs": "Logging",
    "volume": "Volumes",
    "network": "Network",
    "iam": "Roles",
    "container": "Containers",
    "lb": "Load balancer",
    "dependency": "Dependencies between containers",
    "app": "The application",
    "capacity": "Capacity",
    "deployment": "Deployments",
    "user": "People",
    "host": "Hosts",
    "fargate": "Fargate",
    "platform": "The platform",
    "exec_agent": "ECS Exec",
    "unknown": "Not known",
}


def tables() -> str:
    """A table for each family, in the catalogue's order."""
    return "\n\n".join(_tables())


def fresh(page: str) -> str:
    """``page`` with its tables made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """0 when the page is written, or is fresh already."""
    page = PAGE.read_text("utf-8")
    if "--check" not in arguments:
        PAGE.write_text(fresh(page), "utf-8")
        return 0
    if fresh(page) == page:
        return 0
    print(f"{PAGE.name} is not fresh: run `python -m taskmedic_cli.diagnosis_docs`", file=sys.stderr)
    return 1


def _tables() -> Iterator[str]:
    for family, categories in groupby(CATEGORIES.values(), key=lambda one: one.label.split(".")[0]):
        rows = [_row(category) for category in categories]
        heading = "| category | meaning | typical words | advice |\n|---|---|---|---|"
        yield "\n".join([f"### {FAMILIES[family]}", "", heading, *rows])


def _row(category: Category) -> str:
    benign = "<br>*Benign.*" if category.benign else ""
    cells = (f"`{category.label}`", f"{category.meaning}{benign}", _words(category), _advice(category))
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _words(category: Category) -> str:
    """The shortest example of its rules, one that names the cause if there is one; exit codes have none."""
    rules = sorted(
        (rule.rank, len(rule.example), rule.example) for rule in RULES if rule.category == category.label
    )
    examples = [example for _, _, example in rules]
    if not examples:
        return (
            "exit code 0"
            if category.label.endswith("zero") and "non" not in category.label
            else "an exit code"
        )
    shown = examples[0]
    return f"`{shown if len(shown) <= WORDS_CHARS else shown[: WORDS_CHARS - 1] + '…'}`"


def _advice(category: Category) -> str:
    """What is advised where the message names nothing, else everything; with plain words for the names."""
    telling = Telling({})
    every = (telling.tell(line.text) for line in category.advice if isinstance(line, Line))
    return "<br>".join(telling.advise(category.advice) or every)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
