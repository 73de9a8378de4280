"""What a user of the local cloud finds."""

from __future__ import annotations


def test_a_runbook_started_by_hand_succeeds(run):
    ended = run({"runbook": "list-nodes", "options": {"cluster": "prod"}})

    assert ended["status"] == "SUCCEEDED", ended.get("cause")
