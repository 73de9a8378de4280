"""A megabyte of anything is read in linear time: four times the text takes about four times as long, not
sixteen.
"""

from __future__ import annotations

import time

import pytest
from tests.unit.diagnosis.builders import a_task

from taskmedic.domain.diagnosis import diagnose

MEGABYTE = 1_000_000
HOSTILE = {
    "one letter": "a",
    "the beginning of many phrases": "CannotPullContainerErro ",
    "names in brackets": "(service a",
    "brackets": "(" * 10,
    "arns": "arn:aws:secretsmanager:",
    "quotes and backslashes": "\\\"'",
    "urls with a user": "://a:",
    "tokens": "eyJ",
    "keys": "-----BEGIN PRIVATE KEY-----",
    "assignments": "password=",
    "names of secrets": "secret_token_key",
    "white space": " \t",
    "exec": 'exec: "',
    "base64": "A1b/",
    "paths": "/a.b",
    "paths with tags": "a/b:",
    "web addresses": "https://a/",
    "words before names": "image secret container service ",
    "square brackets": "[a",
    "escape sequences": "\x1b]0;",
    "ids": "0a-",
    "digests": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/",
}


def seconds_of(text: str) -> float:
    began = time.process_time()
    diagnose(a_task().stopped(text).container("app", reason=text))
    return time.process_time() - began


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    unit = HOSTILE[piece]
    quarter, whole = (
        seconds_of((unit * (length // len(unit) + 1))[:length]) for length in (MEGABYTE // 4, MEGABYTE)
    )

    # Quadratic would be 16; the slack is for a busy machine and for what is too short to measure.
    assert whole < 9 * quarter + 0.2
