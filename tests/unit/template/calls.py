"""Which AWS operations the code of a step can reach, read from its source.

Reachability goes by name: from a step's ``run`` to every function, method and class whose name stands in what
was reached, within the modules that the step imports. That is more than what runs and never less, as long as
nothing is called by a name put together at run time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name
from tests.unit.template.expanded import ROOT

CORE = ROOT / "layers/core"
SERVICES = re.findall(r"^SERVICES := (.*)$", (CORE / "Makefile").read_text(), re.MULTILINE)[0].split()
# IAM's prefix where it is not boto3's name, and actions that are not named after the operation.
PREFIXES = {"elbv2": "elasticloadbalancing", "stepfunctions": "states"}
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
}

Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def operations() -> dict[str, tuple[str, ...]]:
    """IAM actions by the name of the boto3 method."""
    session = botocore.session.get_session()
    found: dict[str, tuple[str, ...]] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            action = f"{PREFIXES.get(service, service)}:{operation}"
            name = xform_name(operation)
            found[name] = (*found.get(name, ()), ACTIONS.get(action, action))
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _modules_of(start: Path) -> frozenset[Path]:
    """The module and every module of ours that it imports, directly or not."""
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "taskmedic":
                base = CORE / str(node.module).replace(".", "/")
                candidates = [base.with_suffix(".py"), base / "__init__.py"]
                candidates += [base / f"{alias.name}.py" for alias in node.names]
                waiting += [candidate for candidate in candidates if candidate.exists()]
    return frozenset(seen)


def _definitions(modules: frozenset[Path]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for path in modules:
        for node in ast.walk(_tree(path)):
            if isinstance(node, Node):
                found.setdefault(node.name, []).append(node)
    return found


def _own_nodes(node: Node) -> Iterator[ast.AST]:
    """What stands in a function. Of a class: everything but its methods, save those Python itself calls."""
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.ClassDef) and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("__"):
                yield from ast.walk(child)
        else:
            yield from ast.walk(child)


@dataclass
class Reached:
    """What the code of a step can reach: names, text constants, and what may be methods of a boto3 client."""

    names: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)


@cache
def reached(step: str) -> Reached:
    """What the code of ``steps/<step>.py`` can reach from ``run``."""
    start = CORE / f"taskmedic/steps/{step}.py"
    definitions = _definitions(_modules_of(start))
    found = Reached()
    waiting = [node for node in _tree(start).body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for inner in _own_nodes(node):
            for name in _names(inner, found):
                if name not in found.names:
                    found.names.add(name)
                    waiting += definitions.get(name, [])
    return found


def _names(node: ast.AST, found: Reached) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(operation))]):
            found.methods.add(operation)
        case ast.Call(func=ast.Attribute(attr=name), args=[]):  # boto3 takes keywords only
            found.methods.add(name)
        case ast.Call(args=arguments):
            found.methods |= {passed.attr for passed in arguments if isinstance(passed, ast.Attribute)}
        case ast.Constant(value=str(text)):
            found.constants.add(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name


def actions_of(step: str, granted: set[str]) -> set[str]:
    """The IAM actions of every AWS operation that the step can reach, of services whose client it makes.

    Two services may have an operation of one name; then one of them must be granted.
    """
    it = reached(step)
    clients = {PREFIXES.get(service, service) for service in SERVICES if service in it.constants}
    found: set[str] = set()
    for name in it.methods & operations().keys():
        actions = {action for action in operations()[name] if action.partition(":")[0] in clients}
        found |= actions & granted or actions
    return found - (set() if _assumes_roles(step) else {"sts:AssumeRole"})


def _assumes_roles(step: str) -> bool:
    """Every step has `Clients`, which can assume roles; those that never give it an `Access` do not."""
    others = _modules_of(CORE / f"taskmedic/steps/{step}.py") - {CORE / "taskmedic/aws/clients.py"}
    names = reached(step).names
    return any(
        isinstance(inner, ast.Name) and inner.id == "Access"
        for name, nodes in _definitions(frozenset(others)).items()
        if name in names
        for node in nodes
        for inner in ast.walk(node)
    )
