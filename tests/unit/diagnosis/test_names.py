"""A name that people chose never decides, wherever in a message it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.unit.diagnosis.builders import a_task

from taskmedic.domain.diagnosis import RULES, diagnose
from taskmedic.domain.diagnosis.names import without_names

SHAPES = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text("utf-8"))
# Every wording of the rules, as somebody might call an image or a service.
WORDS = sorted(
    {
        name
        for rule in RULES
        for group in (*rule.all_of, *rule.none_of)
        for squeezed in group.squeezed
        if 3 < len(name := re.sub(r"[^a-z0-9]", "", squeezed)) < 40
    }
)


@pytest.mark.parametrize(("category", "shape"), [(c, shape) for c in SHAPES for shape in SHAPES[c]])
def test_a_rules_own_words_as_a_name_change_nothing(category: str, shape: str) -> None:
    wrong = {
        word for word in WORDS if diagnose(a_task().stopped(shape.replace("{}", word))).category != category
    }

    assert not wrong


def test_there_are_many_words() -> None:
    assert len(WORDS) > 500


@pytest.mark.parametrize(
    "text",
    [
        "dial tcp 10.1.2.3:443: i/o timeout",
        "net/http: TLS handshake timeout",
        'The closest matching container-instance 0aa1 encountered error "AGENT".',
        "image not found",
        "no matching entries in /etc/passwd",
    ],
)
def test_what_nobody_chose_stays(text: str) -> None:
    assert without_names(text) == text


def test_the_values_of_an_answer_in_json_stay() -> None:
    assert (
        without_names('{"code":"UNAUTHORIZED","message":"denied"}') == '{"<>":"UNAUTHORIZED","<>":"denied"}'
    )


def test_facts_are_still_read_from_the_whole_text() -> None:
    diagnosis = diagnose(
        a_task().stopped("CannotPullContainerError: manifest for acme/circuitbreaker:9 not found")
    )

    assert diagnosis.title == "Image not found: acme/circuitbreaker:9"
