"""template.yaml as SAM expands it, offline."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[3]


@cache
def _source() -> dict[str, Any]:
    source: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return source


def source() -> dict[str, Any]:
    """The template as it is written."""
    return copy.deepcopy(_source())


@cache
def expanded() -> dict[str, Any]:
    """The CloudFormation that would be deployed, with the state machine's definition in it."""
    sam = source()
    for resource in sam["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://bucket/code.zip"
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = "s3://bucket/layer.zip"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            definition = (ROOT / properties.pop("DefinitionUri")).read_text()
            properties["Definition"] = yaml.safe_load(definition)
    values = {"AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::AccountId": "123456789012"}
    to_py27_compatible_template(sam, values)
    session = boto3.Session(region_name="us-east-1")
    translator = Translator({}, Parser(), boto_session=session)
    plain: dict[str, Any] = undo_mark_unicode_str_in_template(
        translator.translate(sam, parameter_values=values)
    )
    return plain


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The expanded resources of a type, by logical id."""
    return {name: one for name, one in expanded()["Resources"].items() if one["Type"] == kind}


def statements(function: str) -> list[dict[str, Any]]:
    """The policy statements that a function declares, conditional ones too; not its logs and traces."""
    policies = source()["Resources"][function]["Properties"]["Policies"]
    written = [statement for policy in policies for statement in policy["Statement"]]
    return [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in written]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
