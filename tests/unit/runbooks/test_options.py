"""Options: what was given against what the runbook asks for."""

from __future__ import annotations

import pytest

from taskmedic.domain.errors import OptionInvalid
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.runbooks.options import resolve

BOOK = Runbook.model_validate(
    {
        "name": "a",
        "description": "A test's.",
        "options": {
            "cluster": {"required": True, "default": "${trigger.cluster}", "description": "Cluster name."},
            "pid": {"default": "1", "pattern": "[0-9]+"},
            "depth": {"default": "short", "values": ["short", "full"], "enforced": True},
            "hint": {"values": ["a", "b"]},
        },
        "steps": [{"name": "one", "stopped_tasks": {}}],
    }
)


def resolved(cluster: str = "prod", **given: str) -> dict[str, str]:
    return resolve(BOOK, given, {"cluster": cluster}.__getitem__)


def test_what_is_not_given_has_its_default_and_a_default_may_come_from_the_trigger() -> None:
    assert resolved() == {"cluster": "prod", "pid": "1", "depth": "short", "hint": ""}


def test_what_is_given_comes_before_the_default() -> None:
    assert resolved(cluster="prod", pid="42", depth="full")["pid"] == "42"


def test_values_that_are_only_suggested_may_be_others() -> None:
    assert resolved(hint="c")["hint"] == "c"


def test_a_dollar_in_a_name_of_the_trigger_stays_a_dollar() -> None:
    assert resolved(cluster="a${b}$")["cluster"] == "a${b}$"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"clustre": "x"},
            r"runbook a has no option clustre \(options.clustre\)\. It has: cluster, pid, depth, hint",
        ),
        (
            {"pid": "1; rm"},
            r"option pid of runbook a breaks its rule \(options.pid\): '1; rm' does not match",
        ),
        ({"pid": "1\n"}, "does not match the pattern"),
        ({"depth": "deep"}, r"\(options.depth\): 'deep' is none of short, full"),
        ({"hint": "x" * 16_001}, "it is longer than 16000 bytes"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(given: dict[str, str], error: str) -> None:
    with pytest.raises(OptionInvalid, match=error):
        resolved(**given)


def test_a_required_option_is_missed_by_its_name() -> None:
    with pytest.raises(
        OptionInvalid, match=r"option cluster of runbook a is required \(options.cluster\)\. Cluster name"
    ):
        resolved(cluster="")


@pytest.mark.parametrize("blank", ["", " ", ",", " , "])
def test_a_blank_value_is_none(blank: str) -> None:
    """As a list of nodes it would be empty, and an empty list narrows nothing."""
    assert resolved(cluster="prod", pid=blank)["pid"] == "1"
    with pytest.raises(OptionInvalid, match="option cluster of runbook a is required"):
        resolve(BOOK, {"cluster": blank}, {"cluster": ""}.__getitem__)
