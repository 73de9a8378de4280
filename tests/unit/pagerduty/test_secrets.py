"""Secrets are read seldom, and again when they are old."""

from __future__ import annotations

from tests.unit.pagerduty.builders import FakeSecrets

from taskmedic.aws.secrets import Secrets


def test_a_secret_is_kept_for_minutes_and_read_again_when_a_younger_one_is_asked_for() -> None:
    now = 1000.0
    stored = FakeSecrets(api={"token": "one"})
    secrets = Secrets(stored, clock=lambda: now)
    assert secrets.json("api") == {"token": "one"}

    stored.secrets["api"] = {"token": "two"}
    now += 60
    assert secrets.json("api") == {"token": "one"}
    assert secrets.json("api", max_age_s=30) == {"token": "two"}
    assert stored.reads == 2

    now += 301
    secrets.json("api")
    assert stored.reads == 3
