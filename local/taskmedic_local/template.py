"""template.yaml as it can be deployed here: expanded by AWS's own translator, cut to what moto can create."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template
from samtranslator.yaml_helper import yaml_parse

from taskmedic.domain.errors import ActionFailed
from taskmedic_local.functions import ACCOUNT, REGION

# Code is not uploaded: workers run it where it lies. The translator wants an address in S3 all the same.
_PLACEHOLDER_URI = "s3://local/code.zip"
_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")

MACHINE = "AWS::StepFunctions::StateMachine"
SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a resource type
EVENT_SOURCE_MAPPING = "AWS::Lambda::EventSourceMapping"
# moto would deliver by itself, to functions it cannot run.
_DONE_HERE = frozenset({EVENT_SOURCE_MAPPING})


class TemplateInvalid(ActionFailed):
    """template.yaml cannot be read or expanded; the text says where."""


@dataclass(frozen=True)
class Route:
    """A method and path of the HTTP API, and the function (logical id) behind it."""

    method: str
    path: str
    function: str


@dataclass(frozen=True)
class Application:
    """What is to be deployed.

    ``template`` is plain CloudFormation; the rest is what it does not say in a form of use here: folders of
    functions and of their layers by logical id, and the properties of mappings from queues to functions.
    """

    template: dict[str, Any]
    task_roots: Mapping[str, Path]
    layers: Mapping[str, tuple[Path, ...]]
    routes: tuple[Route, ...]
    event_source_mappings: tuple[dict[str, Any], ...]


def load_application(path: Path, parameters: Mapping[str, str]) -> Application:
    """Reads and expands the SAM template at ``path``.

    Raises:
        TemplateInvalid: it does not exist, is no YAML, or breaks SAM's rules.
    """
    try:
        sam = yaml_parse(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TemplateInvalid(f"cannot read {path}: {error}") from error
    root = path.parent
    resources: dict[str, dict[str, Any]] = sam["Resources"]
    functions = {
        name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function"
    }
    defaults = sam.get("Globals", {}).get("Function", {})
    task_roots = {
        name: root / (p.get("CodeUri") or defaults.get("CodeUri", ".")) for name, p in functions.items()
    }
    layer_folders = {
        name: root / r["Properties"]["ContentUri"]
        for name, r in resources.items()
        if r["Type"] == "AWS::Serverless::LayerVersion"
    }
    layers = {
        name: tuple(layer_folders[ref["Ref"]] for ref in [*defaults.get("Layers", []), *p.get("Layers", [])])
        for name, p in functions.items()
    }
    routes = tuple(_routes(functions))
    expanded = _expand(sam, root, parameters)
    mappings = tuple(
        r["Properties"] for r in expanded["Resources"].values() if r["Type"] == EVENT_SOURCE_MAPPING
    )
    return Application(expanded, task_roots, layers, routes, mappings)


def _routes(functions: Mapping[str, dict[str, Any]]) -> list[Route]:
    return [
        Route(event["Properties"]["Method"].upper(), event["Properties"]["Path"], name)
        for name, properties in functions.items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]


def _expand(sam: dict[str, Any], root: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
    for resource in sam["Resources"].values():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                properties["CodeUri"] = _PLACEHOLDER_URI
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = _PLACEHOLDER_URI
            case "AWS::Serverless::StateMachine" if "DefinitionUri" in properties:
                properties["Definition"] = _definition(root / properties.pop("DefinitionUri"))
    values = {"AWS::Region": REGION, "AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, **parameters}
    to_py27_compatible_template(sam, values)
    # Names of AWS's managed policies are not looked up: nothing here evaluates IAM policies.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    try:
        expanded = translator.translate(sam, parameter_values=values)
    except InvalidDocumentException as error:
        raise TemplateInvalid("; ".join(cause.message for cause in error.causes)) from error
    plain: dict[str, Any] = undo_mark_unicode_str_in_template(expanded)
    return plain


def _definition(path: Path) -> dict[str, Any]:
    try:
        definition: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TemplateInvalid(f"cannot read {path}: {error}") from error
    return definition


def for_moto(
    template: Mapping[str, Any], known: Container[str], replaced: Mapping[str, str]
) -> dict[str, Any]:
    """``template`` without what moto cannot create.

    Args:
        known: The resource types that moto's CloudFormation creates.
        replaced: What a reference to a resource that is created otherwise stands for. One to a resource that
            is left out stands for ``local-<logical id>``.
    """
    resources: dict[str, dict[str, Any]] = template["Resources"]
    left_out = [name for name, r in resources.items() if r["Type"] not in known or r["Type"] in _DONE_HERE]
    stand_ins = {name: replaced.get(name, f"local-{name}") for name in left_out}
    machines = {name for name, r in resources.items() if r["Type"] == MACHINE}
    kept = {name: _prepared(r, stand_ins) for name, r in resources.items() if name not in stand_ins}
    rewritten: dict[str, Any] = _rewrite({**template, "Resources": kept}, stand_ins, machines)
    return rewritten


def _prepared(resource: dict[str, Any], left_out: Container[str]) -> dict[str, Any]:
    resource = {**resource, "Properties": dict(resource.get("Properties", {}))}
    properties = resource["Properties"]
    match resource["Type"]:
        case "AWS::StepFunctions::StateMachine":
            substitutions = properties.pop("DefinitionSubstitutions", {})
            properties["DefinitionString"] = _substituted(properties["DefinitionString"], substitutions)
        case "AWS::Lambda::Function":
            properties["Code"] = {"ZipFile": "# runs where it lies\n"}
        case "AWS::Lambda::LayerVersion":
            properties["Content"] = {"ZipFile": _empty_zip()}
    if "DependsOn" in resource:
        names = resource["DependsOn"] if isinstance(resource["DependsOn"], list) else [resource["DependsOn"]]
        resource["DependsOn"] = [name for name in names if name not in left_out]
    return resource


def _empty_zip() -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("empty", "")
    return base64.b64encode(buffer.getvalue()).decode()


def _substituted(definition: Any, substitutions: Mapping[str, Any]) -> dict[str, Any]:
    """``${Name}`` replaced as CloudFormation does with ``DefinitionSubstitutions``; moto does not do it."""
    if isinstance(definition, dict):  # SAM writes {"Fn::Join": ["\n", [lines]]}
        separator, lines = definition["Fn::Join"]
        definition = separator.join(lines)
    parts = _SUBSTITUTION.split(json.dumps(json.loads(definition)))
    if unknown := set(parts[1::2]) - set(substitutions):
        raise TemplateInvalid(
            f"a state machine's definition uses ${{{unknown.pop()}}}, which nothing substitutes"
        )
    return {"Fn::Join": ["", [substitutions[part] if at % 2 else part for at, part in enumerate(parts)]]}


def _rewrite(node: Any, stand_ins: Mapping[str, str], machines: set[str]) -> Any:
    """References that moto cannot resolve, in forms that it can."""
    match node:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]} if name in stand_ins:
            rewritten: Any = stand_ins[name]
        case {"Fn::GetAtt": [str(name), "Arn"]} if name in machines:
            rewritten = {"Ref": name}  # a state machine's Ref is its ARN
        case {"Fn::Sub": str(text)}:
            rewritten = {"Fn::Sub": _rewrite_text(text, stand_ins, machines)}
        case {"Fn::Sub": [str(text), values]}:
            own = _rewrite(values, stand_ins, machines)
            rewritten = {"Fn::Sub": [_rewrite_text(text, stand_ins, machines), own]}
        case dict():
            rewritten = {key: _rewrite(value, stand_ins, machines) for key, value in node.items()}
        case list():
            rewritten = [_rewrite(item, stand_ins, machines) for item in node]
        case _:
            rewritten = node
    return rewritten


def _rewrite_text(text: str, stand_ins: Mapping[str, str], machines: set[str]) -> str:
    for name, value in stand_ins.items():
        text = re.sub(rf"\$\{{{name}(\.\w+)?\}}", value, text)
    for name in machines:
        text = text.replace(f"${{{name}.Arn}}", f"${{{name}}}")
    return text
