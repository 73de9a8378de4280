"""SSM parameters that people change without a deployment: the kill switch and the service map."""

from __future__ import annotations

import json
from typing import Any

from taskmedic.aws.errors import translated
from taskmedic.domain.errors import SettingMissing
from taskmedic.domain.policy import Switch


def read_parameter(ssm: Any, name: str) -> str:
    """The parameter's text, read anew each time, so that a change holds from the next trigger on."""
    with translated("cannot read the parameter", name):
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])


def read_switch(ssm: Any, name: str) -> Switch:
    """The kill switch, ``{"enabled": true, "runbooks": {"NAME": false}}``.

    Raises:
        SettingMissing: it is not of this form. Then nothing is done at all: the switch might be off.
    """
    text = read_parameter(ssm, name)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _unreadable(name, f"it is no JSON: {error}") from error
    if not isinstance(value, dict) or value.keys() - {"enabled", "runbooks"}:
        raise _unreadable(name, "it is an object of `enabled` and `runbooks`")
    enabled, runbooks = value.get("enabled", True), value.get("runbooks", {})
    if not isinstance(enabled, bool):
        raise _unreadable(name, "`enabled` is true or false")
    if not isinstance(runbooks, dict) or not all(isinstance(on, bool) for on in runbooks.values()):
        raise _unreadable(name, "`runbooks` gives true or false for each name")
    return Switch(enabled, runbooks)


def _unreadable(name: str, why: str) -> SettingMissing:
    return SettingMissing(
        "the kill switch cannot be understood",
        where=f"SSM parameter {name}",
        why=why,
        remedy='Store {"enabled": true, "runbooks": {}} there.',
    )
