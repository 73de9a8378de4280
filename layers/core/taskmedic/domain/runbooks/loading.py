"""Runbooks from YAML: parsed, checked, and every mistake said with file, line and field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from taskmedic.domain.errors import RunbookInvalid
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.runbooks.references import Mistake, mistakes

MAX_BYTES = 64_000


def load_folder(folder: Path | str) -> dict[str, Runbook]:
    """Every runbook of the folder by name, in the order of their names.

    Raises:
        RunbookInvalid: a file breaks the schema, two have one name, or the folder has none.
    """
    found: dict[str, Runbook] = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        book = load_text(path.read_text(encoding="utf-8"), path.name)
        if book.name in found:
            raise RunbookInvalid(
                f"two runbooks have the name {book.name}", where=f"{found[book.name].file} and {path.name}"
            )
        found[book.name] = book
    if not found:
        raise RunbookInvalid("there are no runbooks", where=str(folder), remedy="Put *.yaml files there.")
    return dict(sorted(found.items()))


def load_text(text: str, file: str) -> Runbook:
    """The runbook in ``text``.

    Args:
        text: YAML, at most 64 kB.
        file: The file's name, for messages.

    Raises:
        RunbookInvalid: one line a mistake, each ``file:line: field: what is wrong``.
    """
    if len(text.encode()) > MAX_BYTES:
        raise RunbookInvalid(f"the runbook is longer than {MAX_BYTES} bytes", where=file)
    root = _composed(text, file)
    try:
        data = yaml.SafeLoader("").construct_document(root)
        book = Runbook.model_validate(
            data | {"file": file, "revision": hashlib.sha256(text.encode()).hexdigest()[:12]}
        )
    except ValidationError as error:
        raise _invalid(file, root, _from_pydantic(error)) from error
    except yaml.YAMLError as error:
        raise RunbookInvalid(f"{file}{_of_yaml(error)}") from error
    found = tuple(mistakes(book))
    if found:
        raise _invalid(file, root, found)
    return book


def _composed(text: str, file: str) -> yaml.MappingNode:
    """The document as YAML nodes, which know their lines."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise RunbookInvalid(f"{file}{_of_yaml(error)}") from error
    if not isinstance(root, yaml.MappingNode):
        raise RunbookInvalid(f"{file}:1: a runbook is a mapping that begins with `name:`")
    for line, key in _repeated_keys(root):
        raise RunbookInvalid(f"{file}:{line}: {key}: given twice")
    return root


def _of_yaml(error: yaml.YAMLError) -> str:
    """What is wrong with the YAML, with its line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f":{mark.line + 1}: column {mark.column + 1}: {error.problem}"
    return f": not YAML: {error}"


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """PyYAML keeps the last of equal keys without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                yield key.start_mark.line + 1, str(key.value)
            seen.add(str(key.value))
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _from_pydantic(error: ValidationError) -> Iterator[Mistake]:
    for one in error.errors(include_url=False):
        what = str(one["msg"]).removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            what = "unknown field"
        elif one["type"] == "missing":
            what = "missing"
        yield Mistake(path=tuple(one["loc"]), what=what)


def _invalid(file: str, root: yaml.Node, found: Iterator[Mistake] | tuple[Mistake, ...]) -> RunbookInvalid:
    lines = []
    for mistake in found:
        line, field = _place(root, mistake.path)
        lines.append(f"{file}:{line}: {field or 'runbook'}: {mistake.what}")
    return RunbookInvalid("\n".join(dict.fromkeys(lines)))


def _place(root: yaml.Node, path: tuple[Any, ...]) -> tuple[int, str]:
    """The line of the field at ``path``, or of the nearest thing around it, and the field's name."""
    node, line, field = root, root.start_mark.line + 1, ""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                # Not in the file: a missing field, or a part of pydantic's own, such as a union's branch.
                field = f"{field}.{part}" if part == path[-1] and field else field or str(part)
                continue
            line, node, field = found[0].start_mark.line + 1, found[1], f"{field}.{part}".lstrip(".")
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line, field = node.start_mark.line + 1, f"{field}[{part}]"
    return line, field
