"""Whatever goes wrong: the note is there exactly once, or the report is in the queue and gets there later."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.local.pagerduty.conftest import Reporter
from tests.unit.report.builders import a_diagnosis, an_input, an_outcome

from taskmedic.aws.ledger import Ledger
from taskmedic.domain.errors import PagerDutyUnavailable
from taskmedic.pagerduty.client import Client
from taskmedic.pagerduty.note import TOO_MANY, UNDER_WAY_SECONDS
from taskmedic_local.pagerduty_standin import PagerDutyStandIn

MARK = "taskmedic-run:pd-0f1e2d3c"
FAULTS = [
    "429",
    "429_without_reset",
    "500",
    "503",
    "408",
    "timeout_before",
    "timeout_after",
    "close_before",
    "close_after",
    "401",
    "403",
    "404",
    "note_limit",
]


@pytest.fixture
def incident(pagerduty: PagerDutyStandIn) -> str:
    return str(pagerduty.open_incident("search is slow")["id"])


def a_report(incident: str, **facts: Any) -> dict[str, Any]:
    found = an_outcome(data={"diagnoses": [a_diagnosis()], "count": 2})
    return an_input(*([found] if facts.get("phase", "final") == "final" else []), incident=incident, **facts)


def marked(pagerduty: PagerDutyStandIn, incident: str) -> list[str]:
    """The notes of our run."""
    notes = [note["content"] for note in pagerduty.incident(incident)["notes"]]
    return [note for note in notes if note.splitlines()[-1].startswith(MARK)]


def requests(pagerduty: PagerDutyStandIn) -> list[str]:
    return [f"{seen.method} {seen.path.split('/')[-1]}" for seen in pagerduty.requests]


def test_a_note_is_posted_once_and_edited_from_then_on(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    for phase in ("started", "progress", "progress", "final"):
        reporter.once(a_report(incident, phase=phase))

    (note,) = marked(pagerduty, incident)
    assert note.startswith("The container ran out of memory (service search, container app, 2 tasks)\n")
    assert [line.split()[0] for line in requests(pagerduty)] == ["GET", "POST", "PUT", "PUT", "PUT"]


@pytest.mark.parametrize("times", [1, 2, 100])
@pytest.mark.parametrize("kind", FAULTS)
def test_the_note_appears_exactly_once_or_the_report_is_in_the_queue(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, kind: str, times: int
) -> None:
    # Given PagerDuty's trouble with posting
    pagerduty.set_fault(kind, times=times, method="POST", seconds=0.5)

    # When the report is written as the state machine does it
    reporter(a_report(incident))

    # Then there is one note, or the report waits
    assert len(marked(pagerduty, incident)) + len(reporter.undelivered) == 1

    # And when PagerDuty is well again and a redrive empties the queue, there is one note
    pagerduty.faults.clear()
    reporter.redrive()
    assert reporter.undelivered == []
    assert len(marked(pagerduty, incident)) == 1
    # And the topic was told once
    assert len(reporter.published()) == 1


@pytest.mark.parametrize("kind", ["429", "500", "timeout_before", "close_after", "401", "404"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_trouble_with_looking_and_editing_makes_no_second_note(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, kind: str, method: str
) -> None:
    if method == "PUT":
        reporter.once(a_report(incident, phase="started"))
    pagerduty.set_fault(kind, times=3, method=method, seconds=0.5)

    reporter(a_report(incident))
    pagerduty.faults.clear()
    reporter.redrive()

    notes = marked(pagerduty, incident)
    edit_refused = method == "PUT" and kind in {"401", "404"}
    assert len(notes) == (2 if edit_refused else 1)
    assert notes[-1].startswith("The container ran out of memory")


def test_where_editing_is_refused_the_end_is_a_second_note_and_never_a_third(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    reporter.once(a_report(incident, phase="started"))
    pagerduty.set_fault("403", times=100, method="PUT")
    answer = reporter.once(a_report(incident, phase="progress"))
    assert answer["channels"][0]["status"] == "failed"
    assert len(marked(pagerduty, incident)) == 1

    reporter(a_report(incident))
    reporter(a_report(incident))

    first, second = marked(pagerduty, incident)
    assert first.splitlines()[-1] == MARK
    assert second.splitlines()[-1] == f"{MARK}:final"
    assert reporter.undelivered == []


def test_a_function_that_died_after_posting_does_not_post_again(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a call that ends between the post and the ledger
    remember_note = Ledger.remember_note

    def die(ledger: Ledger, subject: str, *note: str) -> None:
        if subject == incident:
            raise KeyboardInterrupt
        remember_note(ledger, subject, *note)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "remember_note", die)
        with pytest.raises(KeyboardInterrupt):
            reporter.once(a_report(incident))
    assert len(marked(pagerduty, incident)) == 1

    # When it is called again
    reporter(a_report(incident))

    # Then the first one's note is found by its mark, and no other was ever posted
    assert len(marked(pagerduty, incident)) == 1
    assert [line.split()[0] for line in requests(pagerduty)].count("POST") == 1


def test_a_note_that_appears_late_is_waited_for_and_not_posted_again(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    # Given a post that takes effect only after the run's end was reported for the first time
    pagerduty.set_fault("timeout_late", method="POST", seconds=0.5)
    started = reporter.once(a_report(incident, phase="started"))
    assert started["channels"][0]["status"] == "failed"

    # When the run goes on
    progress = reporter.once(a_report(incident, phase="progress"))
    with pytest.raises(PagerDutyUnavailable, match="may appear yet"):
        reporter.once(a_report(incident))
    assert marked(pagerduty, incident) == []
    pagerduty.let_late_happen()
    reporter(a_report(incident))

    # Then the one note has the end
    assert progress["channels"][0]["status"] == "skipped"
    (note,) = marked(pagerduty, incident)
    assert note.startswith("The container ran out of memory")


@pytest.mark.parametrize("may_delete", [True, False])
def test_a_note_that_appears_after_all_patience_is_taken_away_at_the_end(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, may_delete: bool
) -> None:
    # Given a post that takes effect when a second one was made, minutes later
    pagerduty.set_fault("timeout_late", method="POST", seconds=0.5)
    reporter.once(a_report(incident, phase="started"))
    reporter.late += 121
    reporter.once(a_report(incident, phase="progress"))
    pagerduty.let_late_happen()
    assert len(marked(pagerduty, incident)) == 2

    # When the run ends
    if not may_delete:
        pagerduty.set_fault("403", method="DELETE")
    reporter(a_report(incident))

    # Then one note has the report, and the other is gone or says where it is
    (note,) = marked(pagerduty, incident)
    assert note.startswith("The container ran out of memory")
    notes = [note["content"] for note in pagerduty.incident(incident)["notes"]]
    assert len(notes) == (1 if may_delete else 2)
    if not may_delete:
        assert notes[1] == TOO_MANY


@pytest.mark.parametrize("edit_refused", [False, True])
def test_a_note_that_appears_while_the_end_is_posted_does_not_stay(
    pagerduty: PagerDutyStandIn,
    reporter: Reporter,
    incident: str,
    monkeypatch: pytest.MonkeyPatch,
    edit_refused: bool,
) -> None:
    # Given a post that takes effect minutes later: after the end looked for it, before the end is posted
    if edit_refused:
        reporter.once(a_report(incident, phase="started"))
        pagerduty.set_fault("403", times=100, method="PUT")
    pagerduty.set_fault("timeout_late", method="POST", seconds=0.5)
    with suppress(PagerDutyUnavailable):
        reporter.once(a_report(incident, phase="final" if edit_refused else "started"))
    reporter.late += 121
    post_note = Client.post_note

    def post_after_it(client: Client, incident_id: str, content: str) -> str:
        pagerduty.let_late_happen()
        return post_note(client, incident_id, content)

    monkeypatch.setattr(Client, "post_note", post_after_it)

    # When the run ends
    answer = reporter.once(a_report(incident))

    # Then one note has the end, and the late one is gone
    assert answer["channels"][0]["status"] == "posted"
    *begun, note = marked(pagerduty, incident)
    assert note.startswith("The container ran out of memory")
    assert len(begun) == edit_refused


def test_a_note_that_a_person_pasted_whole_stays_as_it_is(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    # Given a run whose note was posted in doubt, and a person's copy of it
    pagerduty.set_fault("timeout_late", method="POST", seconds=0.5)
    reporter.once(a_report(incident, phase="started"))
    reporter.late += 121
    reporter.once(a_report(incident, phase="progress"))
    person = pagerduty.account.users["ines@example.com"]
    (ours,) = marked(pagerduty, incident)
    pagerduty.account.add_note(pagerduty.account.incidents[incident], ours, person)
    pagerduty.let_late_happen()

    # When the run ends
    reporter(a_report(incident))

    # Then the late one is gone, and the copy is as it was
    note, copy = [note["content"] for note in pagerduty.incident(incident)["notes"]]
    assert note.startswith("The container ran out of memory")
    assert copy == ours


def test_a_persons_copy_is_not_taken_for_the_note_that_appeared_late(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    # Given a note without an answer, a person's copy of it, and a list that begins with the newest
    pagerduty.set_fault("timeout_late", method="POST", seconds=0.5)
    reporter.once(a_report(incident, phase="started"))
    pagerduty.let_late_happen()
    (ours,) = marked(pagerduty, incident)
    kept = pagerduty.account.incidents[incident]
    copy = pagerduty.account.add_note(kept, ours, pagerduty.account.users["ines@example.com"])
    copy["created_at"] = "2999-01-01T00:00:00Z"
    kept.notes.reverse()

    # When the run ends
    reporter(a_report(incident))

    # Then the end is in our own note
    assert copy["content"] == ours
    assert kept.notes[1]["content"].startswith("The container ran out of memory")


def test_a_refused_post_is_not_waited_for(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    pagerduty.set_fault("429", times=4, method="POST", seconds=1)
    with pytest.raises(PagerDutyUnavailable, match="429"):
        reporter.once(a_report(incident))

    answer = reporter.once(a_report(incident))

    assert answer["channels"][0]["status"] == "posted"


def test_the_state_machine_tries_for_longer_than_a_note_may_be_under_way() -> None:
    machine = yaml.safe_load((Path(__file__).parents[3] / "statemachines/remediation.asl.yaml").read_text())
    retry = machine["States"]["Report"]["Retry"][0]
    longest = (
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
        for n in range(retry["MaxAttempts"])
    )

    assert retry["ErrorEquals"] == ["PagerDutyUnavailable"]
    assert sum(longest) / 2 > 5 * UNDER_WAY_SECONDS, (
        "with full jitter a wait is half the longest on the average"
    )


def test_two_calls_at_a_time_write_one_note(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    started = threading.Barrier(6)

    def call() -> None:
        started.wait()
        reporter(a_report(incident), tries=1)

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reporter.redrive()

    assert len(marked(pagerduty, incident)) == 1
    assert reporter.undelivered == []


def test_a_person_who_quotes_our_note_does_not_become_its_author(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    person = pagerduty.account.users["ines@example.com"]
    quoted = f"> {MARK}\n{MARK} is what the robot wrote"
    pagerduty.account.add_note(pagerduty.account.incidents[incident], quoted, person)

    reporter(a_report(incident))

    contents = [note["content"] for note in pagerduty.incident(incident)["notes"]]
    assert contents[0] == quoted
    assert len(contents) == 2


def test_another_run_on_the_same_incident_has_a_note_of_its_own(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    reporter(a_report(incident))
    again = a_report(incident)
    again["run"] = {**again["run"], "execution_name": "by-hand-7"}
    reporter(again)

    assert len(pagerduty.incident(incident)["notes"]) == 2


def test_trouble_at_the_start_does_not_hold_up_the_run(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    pagerduty.set_fault("500", times=100)

    answer = reporter.once(a_report(incident, phase="started"))

    assert [channel["status"] for channel in answer["channels"]] == ["failed"]
    assert "500" in answer["channels"][0]["detail"]


def test_a_message_that_is_no_report_stays_in_the_queue(reporter: Reporter) -> None:
    for body in ("no json", "[]", "{}", '{"run": null}'):
        answer = reporter.once({"Records": [{"messageId": "m-7", "body": body}]})
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-7"}]}
