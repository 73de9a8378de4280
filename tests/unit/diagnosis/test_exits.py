"""Exit codes: which container stopped first, and what its code says."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.diagnosis.builders import TaskBuilder, a_task

from taskmedic.domain.diagnosis import Confidence, Diagnosis, DiagnosisContext, diagnose


def exited(*containers: tuple[str, int], context: DiagnosisContext | None = None, **times: Any) -> Diagnosis:
    task: TaskBuilder = a_task().stopped("Essential container in task exited", "EssentialContainerExited")
    for name, code in containers:
        task = task.container(name, code)
    return diagnose(task.at(**times), context)


@pytest.mark.parametrize(
    ("containers", "category", "first"),
    [
        ([("app", 1)], "app.exit_nonzero", "app"),
        ([("app", 0)], "app.exit_zero", "app"),
        ([("app", 143)], "app.exit_nonzero", "app"),
        ([("app", 137)], "app.exit_nonzero", "app"),
        # ECS stops the rest: 143, 137 and 0 beside a real code are its own clean-up
        ([("proxy", 143), ("app", 2), ("log", 0)], "app.exit_nonzero", "app"),
        ([("proxy", 137), ("app", 139)], "app.exit_nonzero", "app"),
        ([("proxy", 143), ("app", 0)], "app.exit_zero", "app"),
        ([("app", 0), ("proxy", 137)], "app.exit_zero", "app"),
        ([("proxy", 143), ("app", 137)], "app.exit_nonzero", "app"),
    ],
)
def test_the_container_that_stopped_first_decides(
    containers: list[tuple[str, int]], category: str, first: str
) -> None:
    diagnosis = exited(*containers)

    assert (diagnosis.category, diagnosis.container) == (category, first)


def test_killed_within_seconds_was_not_ecs_waiting_for_the_stop_timeout() -> None:
    # Given: all was over two seconds after the stop began, so nobody sent SIGKILL after SIGTERM
    times = {"stoppingAt": "2026-03-04T05:06:00Z", "executionStoppedAt": "2026-03-04T05:06:02Z"}

    assert exited(("proxy", 0), ("app", 137), **times).container == "app"


def test_killed_after_the_stop_timeout_is_clean_up() -> None:
    times = {"stoppingAt": "2026-03-04T05:06:00Z", "executionStoppedAt": "2026-03-04T05:06:31Z"}

    assert exited(("app", 0), ("proxy", 137), **times).category == "app.exit_zero"


@pytest.mark.parametrize(
    ("stop_timeout", "lasted_s", "first"),
    [(5, 6, "proxy"), (5, 4, "app"), (None, 28, "app"), (None, 31, "proxy"), (120, 40, "app")],
)
def test_the_stop_timeout_of_the_container_decides_what_was_clean_up(
    stop_timeout: int | None, lasted_s: int, first: str
) -> None:
    definition = {"containerDefinitions": [{"name": "app", "stopTimeout": stop_timeout}, {"name": "proxy"}]}
    times = {"stoppingAt": 1_772_600_760, "executionStoppedAt": 1_772_600_760 + lasted_s}

    diagnosis = exited(
        ("app", 137), ("proxy", 0), context=DiagnosisContext(task_definition=definition), **times
    )

    assert diagnosis.container == first


def test_the_first_essential_container_ends_before_the_stop_begins() -> None:
    # Given: as ECS writes it when an essential container exits: executionStoppedAt, stoppingAt, stoppedAt
    times = {"executionStoppedAt": 1_772_600_760.1, "stoppingAt": 1_772_600_760.8, "stoppedAt": 1_772_600_764}

    assert exited(("proxy", 0), ("app", 137), **times).container == "app"


def test_a_job_beside_which_something_was_killed_is_never_benign() -> None:
    # Given: no times, so nobody knows whether app was killed first or by ECS in the end
    diagnosis = exited(("app", 137), ("side", 0))

    assert not diagnosis.benign
    assert diagnosis.confidence is not Confidence.HIGH
    assert any("was killed (137)" in line for line in diagnosis.advice)
    assert exited(("app", 0), ("side", 143)).benign


def test_a_helper_that_failed_is_not_why_an_essential_container_ended() -> None:
    # Given: the task definition says that only app is essential
    definition = {"containerDefinitions": [{"name": "helper", "essential": False}, {"name": "app"}]}

    diagnosis = exited(("helper", 1), ("app", 0), context=DiagnosisContext(task_definition=definition))

    assert (diagnosis.category, diagnosis.container) == ("app.exit_zero", "app")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (1, "general error"),
        (2, "wrong argument"),
        (126, "could not be executed"),
        (127, "not found"),
        (132, "SIGILL"),
        (134, "SIGABRT"),
        (137, "AWS does not say that it was memory"),
        (139, "segmentation fault"),
        (143, "SIGTERM"),
        (150, "signal 22"),
        (255, "wrapper"),
        (42, "the application gives it"),
        (-1073741819, "access violation"),
        (3221225477, "access violation"),
    ],
)
def test_a_code_is_told_in_words(code: int, says: str) -> None:
    diagnosis = exited(("app", code))

    assert says in diagnosis.cause
    assert str(code) in diagnosis.title


def test_137_alone_is_not_certain() -> None:
    assert exited(("app", 137)).confidence is Confidence.MEDIUM
    assert exited(("app", 1)).confidence is Confidence.HIGH


def test_code_0_is_right_for_a_job_and_wrong_for_a_service() -> None:
    task = a_task().stopped("Essential container in task exited").container("app", 0)

    assert diagnose(task).benign
    assert not diagnose(task.of_service("orders")).benign
    assert any("must not end" in line for line in diagnose(task.of_service("orders")).advice)
    assert not diagnose({**task, "startedBy": "ecs-svc/123"}).benign


def test_the_last_error_of_the_log_is_in_the_cause() -> None:
    lines = (
        "starting",
        "Traceback (most recent call last):",
        '  File "a.py", line 1',
        "KeyError: 'DB_URL'",
        "bye",
    )

    diagnosis = exited(("app", 1), context=DiagnosisContext(log_tail={"app": lines}))

    assert diagnosis.cause.endswith("Its log ends with: KeyError: 'DB_URL'")
    assert any(line.source == "log of app" and line.text == "bye" for line in diagnosis.evidence)


@pytest.mark.parametrize(
    ("reason", "category"),
    [
        ("Essential container in task exited (exit code 3)", "app.exit_nonzero"),
        ("Container app exited with code 0", "app.exit_zero"),
        ("Essential container in task exited", "unknown.generic"),
    ],
)
def test_a_code_that_only_the_text_gives(reason: str, category: str) -> None:
    diagnosis = diagnose(a_task().stopped(reason))

    assert diagnosis.category == category
    assert diagnosis.confidence is not Confidence.HIGH
