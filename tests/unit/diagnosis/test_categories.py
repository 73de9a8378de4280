"""What AWS's words are taken for."""

from __future__ import annotations

import pytest
from tests.unit.diagnosis.builders import a_task
from tests.unit.diagnosis.wordings import WORDINGS

from taskmedic.domain.diagnosis import CATEGORIES, diagnose

ALL = [(category, text) for category, texts in WORDINGS.items() for text in texts]
FROM_EXIT_CODES = {"app.exit_nonzero", "app.exit_zero"}


def category_of(text: str) -> str:
    return diagnose(a_task().stopped(text)).category


def as_the_console_shows_it(text: str) -> str:
    name, colon, rest = text.partition(":")
    return f"STOPPED ({name.capitalize()}{colon}{rest})"


DECORATIONS = {
    "the console capitalises names": as_the_console_shows_it,
    "Windows line ends": lambda text: text.replace(": ", ":\r\n\t"),
    "a terminal wraps in the middle of a word": lambda text: "\n    ".join(
        text[at : at + 71] for at in range(0, len(text), 71)
    ),
    "curly quotes": lambda text: text.replace("'", "\u2019").replace('"', "\u201d"),
    "quoted in JSON twice": lambda text: text.replace('"', '\\\\\\"'),
    "a service event around it": lambda text: f"(service web) was unable to place a task. Reason: {text}.",
    "the task's reason before the container's": lambda text: f"Task failed to start - {text}",
}
# These change the meaning of texts that are the wrapper themselves, or that say something only alone.
ALONE = {"Context canceled"}  # too little to be looked for within a sentence
NOT_DECORATED = {"unknown.generic", "user.stopped", "host.agent_disconnected", "capacity.insufficient"}


@pytest.mark.parametrize(("category", "text"), ALL)
def test_a_text_in_the_manner_of_aws_is_taken_for_its_category(category: str, text: str) -> None:
    assert category_of(text) == category


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("category", [name for name in WORDINGS if name not in NOT_DECORATED])
def test_decorations_change_nothing(category: str, decoration: str) -> None:
    for text in WORDINGS[category]:
        if text not in ALONE:
            assert category_of(DECORATIONS[decoration](text)) == category, text


def test_every_category_has_a_wording_or_follows_from_exit_codes() -> None:
    assert set(WORDINGS) | FROM_EXIT_CODES == set(CATEGORIES)


@pytest.mark.parametrize("category", list(WORDINGS))
def test_a_reason_at_the_container_counts_as_one_at_the_task(category: str) -> None:
    for text in WORDINGS[category]:
        # Given: the task says nothing, its container everything
        task = a_task().stopped("Task failed to start").container("app", reason=text)

        assert diagnose(task).category == category, text


def test_a_name_that_people_chose_is_not_read_as_an_error() -> None:
    text = (
        "(service CannotPullContainerError-OutOfMemoryError-test) was unable to place a task because no "
        "container "
        "instance met all of its requirements. The closest matching (container-instance 77) has "
        "insufficient memory."
    )

    assert category_of(text) == "capacity.insufficient"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        (
            "CannotPullContainerError: failed to copy: write /data/blobs/ingest/0aa1: no space left on devi",
            "image_pull.disk_full",
        ),
        (
            "CannotPullContainerError: image Manifest does not contain descriptor matching plat...",
            "image_pull.platform_mismatch",
        ),
    ],
)
def test_a_word_that_was_cut_in_its_middle_still_says_what_it_says(text: str, category: str) -> None:
    diagnosis = diagnose(a_task().stopped(text))

    assert (diagnosis.category, diagnosis.confidence) == (category, "medium")


def test_a_short_text_was_not_cut() -> None:
    assert category_of("CannotPullContainerError: no space left on devi") == "image_pull.other"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("CannotPullContainerError: pull image manifest has been retried 5 time(s)", "image_pull.other"),
        ("ResourceInitializationError: unable to pull secrets or registry auth", "unknown.generic"),
        ("CannotStartContainerError: Error response from dae", "container.start_failed"),
        ("ResourceInitializationError: failed to invoke EFS utils comm", "volume.efs_mount"),
    ],
)
def test_a_text_that_was_cut_off_is_told_as_far_as_it_goes(text: str, category: str) -> None:
    diagnosis = diagnose(a_task().stopped(text))

    assert diagnosis.category == category
    assert diagnosis.confidence in {"low", "high"}
    assert (diagnosis.confidence == "high") == (category == "volume.efs_mount")
