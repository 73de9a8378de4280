"""What is said of a category. Texts are templates over facts; a fact that is not known reads as its plain
word.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

# How a fact is spoken of when the message does not give it.
PLAIN_WORDS: Mapping[str, str] = {
    "action": "the action named in the message",
    "command": "its entry point or command",
    "container": "the container",
    "dependency": "the container that another waits for",
    "env_file": "the file named in the task definition",
    "exit_code": "that is not 0",
    "exit_meaning": "the process ended by itself",
    "file_system": "the file system",
    "image": "the container's image",
    "instance": "the container instance",
    "json_key": "the key that the task definition asks for",
    "key": "the KMS key that encrypts it",
    "log_group": "the log group named in the task definition",
    "memory": "its memory limit",
    "path": "the mounted path",
    "port": "the host port",
    "registry": "the registry",
    "resource": "the resource named in the message",
    "role": "the task execution role",
    "said": "AWS says only that the task stopped.",
    "secret": "the secret or parameter named in the task definition",
    "service": "the service",
    "subnet": "the task's subnet",
    "target_group": "the target group",
    "trusted_role": "the task role or the execution role",
    "user": "the user named in the task definition",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Advice that is given only when the fact ``needs`` is known, and none of ``unless``."""

    needs: str
    text: str
    unless: tuple[str, ...] = ()


Advice = str | Line


@dataclass(frozen=True, slots=True)
class Category:
    """One label of the taxonomy.

    ``meaning`` is for the table in docs/diagnosis.md; ``title`` is one line, ``cause`` at most two sentences;
    ``advice`` is in the order in which it should be tried. ``benign``: nothing needs to be done.
    ``many_causes``: the label does not tell the cause, so tasks share it only when their texts agree.
    """

    label: str
    meaning: str
    title: str
    cause: str
    advice: tuple[Advice, ...]
    benign: bool = False
    many_causes: bool = False


class Telling:
    """Fills templates with what is known of one task."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._facts = facts

    def tell(self, template: str) -> str:
        """The text, with a capital at its beginning unless it begins with a name."""
        parts = []
        for literal, name, _, _ in string.Formatter().parse(template):
            parts += [literal, self._word(name) if name else ""]
        text = "".join(parts)
        begins_with_name = not parts[0] and self._begins_with_fact(template)
        return text if begins_with_name else text[:1].upper() + text[1:]

    def advise(self, advice: tuple[Advice, ...]) -> tuple[str, ...]:
        return tuple(
            self.tell(line if isinstance(line, str) else line.text)
            for line in advice
            if isinstance(line, str) or self._given(line)
        )

    def _given(self, line: Line) -> bool:
        wanted = not line.needs or self._facts.get(line.needs)
        return bool(wanted) and not any(self._facts.get(fact) for fact in line.unless)

    def _begins_with_fact(self, template: str) -> bool:
        return bool(self._facts.get(template[1:].partition("}")[0]))

    def _word(self, name: str) -> str:
        return self._facts.get(name) or PLAIN_WORDS[name]


def fields_of(category: Category) -> frozenset[str]:
    """The facts that a category's texts speak of."""
    texts = [category.title, category.cause]
    needs = []
    for line in category.advice:
        texts.append(line if isinstance(line, str) else line.text)
        if isinstance(line, Line):
            needs += [name for name in (line.needs, *line.unless) if name]
    named = {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}
    return frozenset(named | set(needs))
