"""What `${…}` becomes."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.errors import StepInvalid
from taskmedic.domain.runbooks.context import complete, fill

NODE = {
    "name": "1d0c/app",
    "attributes": {"ECS:Container-Name": "app", "ECS:Tag-team": "it's us"},
    "tags": ["a", "b"],
}
OUTCOMES = [
    {
        "name": "errors",
        "type": "stopped_tasks",
        "outcome": "succeeded",
        "summary": "2 tasks; $(reboot)",
        "data": {"count": 2, "diagnoses": [{"category": "container.oom_killed"}]},
    }
]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("${node.name}", "1d0c/app"),
        ("${node.tags}", "a,b"),
        ("${node.ECS:Container-Name}", "app"),
        ("${node.ECS:Tag-team}", "it's us"),
        ("${steps.errors.outcome}", "succeeded"),
        ("${steps.errors.data.count}", "2"),
        ("${steps.errors.data.diagnoses.0.category}", "container.oom_killed"),
        ("${steps.errors.data.diagnoses}", '[{"category": "container.oom_killed"}]'),
        ("${HOME} ${x%.*} $(id) $1", "${HOME} ${x%.*} $(id) $1"),
    ],
)
def test_a_name_becomes_its_value_and_the_shells_own_stay(text: str, becomes: str) -> None:
    assert complete(text, node=NODE, outcomes=OUTCOMES) == becomes


def test_values_are_quoted_as_one_shell_word() -> None:
    text = complete(
        "echo ${node.ECS:Tag-team} ${steps.errors.summary}", node=NODE, outcomes=OUTCOMES, quote=True
    )

    assert text == "echo 'it'\"'\"'s us' '2 tasks; $(reboot)'"


def test_in_a_spec_only_the_script_is_quoted() -> None:
    spec = {"script": "echo ${node.ECS:Tag-team}", "argv": ["echo", "${node.ECS:Tag-team}"], "timeout_s": 60}

    assert complete(spec, node=NODE, quote=True) == {
        "script": "echo 'it'\"'\"'s us'",
        "argv": ["echo", "it's us"],
        "timeout_s": 60,
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${node.ECS:EC2-Instance-ID}", "this node has no such attribute"),
        ("${steps.dump.summary}", "no step dump ran before this one; these did: errors"),
        ("${steps.errors.data.nothing}", "the outcome of step errors has no nothing"),
        ("${steps.errors.data.diagnoses.7.category}", "has no 7"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_of_the_step(text: str, why: str) -> None:
    with pytest.raises(StepInvalid, match=why):
        complete(text, node=NODE, outcomes=OUTCOMES)


def test_a_node_is_known_only_where_there_is_one() -> None:
    with pytest.raises(StepInvalid, match=r"\$\{node.name\} cannot be completed here"):
        complete("${node.name}", outcomes=OUTCOMES)


def test_a_value_of_the_first_pass_is_never_completed_by_the_second() -> None:
    """Else an option could read what it should not, or break out of its quotes."""
    first = fill({"script": "echo ${option.x}"}, {"option": lambda _: "${steps.errors.summary}"}, quote=True)

    assert complete(first, node=NODE, outcomes=OUTCOMES, quote=True) == {
        "script": "echo '${steps.errors.summary}'"
    }


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_value_survives_both_passes(value: str) -> None:
    first = fill("${option.x}{node.name} ${node.name}", {"option": lambda _: value})

    assert complete(first, node=NODE) == value + "{node.name} 1d0c/app"


@pytest.mark.parametrize(
    "value", ["a b", "$(id)", "`id`", "'; id; '", '"', "\\", "a\nb", "*", "~", "-n", "${HOME}", ""]
)
def test_the_shell_receives_exactly_the_value(value: str) -> None:
    script = complete(
        fill("printf %s ${option.x}", {"option": lambda _: value}, quote=True), node=NODE, quote=True
    )

    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)

    assert shell.stdout == value
