"""How often a runbook may act by itself."""

from __future__ import annotations

from typing import Any

import pytest

from taskmedic.domain.attempts import AttemptLimit, Verdict, attempt

LIMIT = AttemptLimit(attempts=3, within_s=3600)
NOON = 1_800_000_000


def asked(*times: int, limit: AttemptLimit = LIMIT) -> list[Verdict]:
    """The verdicts on executions that ask so many seconds after noon."""
    record: dict[str, Any] = {}
    verdicts = []
    for number, seconds in enumerate(times):
        verdict, record = attempt(record, f"run-{number}", NOON + seconds, limit)
        verdicts.append(verdict)
    return verdicts


def test_so_many_attempts_are_free_the_next_refusal_is_told_and_those_after_it_are_not() -> None:
    assert asked(0, 1, 2, 3, 4, 5) == [
        *[Verdict.TAKEN] * 3,
        Verdict.REFUSED,
        *[Verdict.TOLD_BEFORE] * 2,
    ]


def test_an_attempt_is_forgotten_when_its_time_is_over() -> None:
    assert asked(0, 1800, 1801, 3600)[-1] is Verdict.TAKEN
    assert asked(0, 1800, 1801, 3599)[-1] is Verdict.REFUSED


def test_in_a_steady_loop_one_refusal_a_window_is_told() -> None:
    verdicts = asked(*range(0, 4 * 3600, 60))

    assert verdicts.count(Verdict.REFUSED) == 4
    assert verdicts.count(Verdict.TAKEN) == 12


@pytest.mark.parametrize("before", [0, 3])
def test_the_same_execution_gets_the_same_verdict_again(before: int) -> None:
    record: dict[str, Any] = {}
    for number in range(before):
        _, record = attempt(record, f"other-{number}", NOON, LIMIT)
    first, record = attempt(record, "me", NOON + 1, LIMIT)

    assert attempt(record, "me", NOON + 2, LIMIT) == (first, record)
