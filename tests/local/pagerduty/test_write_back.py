"""What a runbook's ``report`` asks for besides the note, and the other readers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.local.pagerduty.conftest import Reporter
from tests.unit.report.builders import a_diagnosis, a_plan, a_step, an_input, an_outcome

from taskmedic.domain.errors import PagerDutyRefused, SettingMissing
from taskmedic_local.pagerduty_standin import PagerDutyStandIn

REPLACE = a_step("replace", "stop_task", wait_for_service=True)
REPLACED = an_outcome("replace", "stop_task", summary="Task 0123 replaced, search is whole again")


@pytest.fixture
def incident(pagerduty: PagerDutyStandIn) -> str:
    return str(pagerduty.open_incident("search is slow")["id"])


def a_report(incident: str, *outcomes: dict[str, Any], phase: str = "final", **asked: Any) -> dict[str, Any]:
    done = list(outcomes) if phase == "final" else []
    return an_input(*done, incident=incident, phase=phase, plan=a_plan(REPLACE, **asked))


def channels(answer: dict[str, Any] | None) -> dict[str, tuple[str, str]]:
    assert answer is not None
    return {one["channel"]: (one["status"], one["detail"]) for one in answer["channels"]}


def status(pagerduty: PagerDutyStandIn, incident: str) -> str:
    return str(pagerduty.incident(incident)["status"])


def a_person_sets(pagerduty: PagerDutyStandIn, incident: str, status: str) -> None:
    person = pagerduty.account.users["ines@example.com"]
    pagerduty.account.set_status(pagerduty.account.incidents[incident], status, person)


def test_nothing_but_the_note_is_written_unless_it_is_asked_for(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    answer = reporter.once(a_report(incident, REPLACED))

    assert set(channels(answer)) == {"pagerduty_note", "sns"}
    assert status(pagerduty, incident) == "triggered"
    assert pagerduty.account.changes == []


def test_acknowledged_at_the_start_and_resolved_at_the_end(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    asked = {"acknowledge": True, "resolve": True}

    reporter.once(a_report(incident, phase="started", **asked))
    assert status(pagerduty, incident) == "acknowledged"

    answer = reporter.once(a_report(incident, REPLACED, **asked))
    assert channels(answer)["pagerduty_resolve"] == ("done", "")
    assert status(pagerduty, incident) == "resolved"


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_it_is_not_resolved_unless_health_was_verified(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, outcome: str
) -> None:
    answer = reporter.once(a_report(incident, {**REPLACED, "outcome": outcome}, resolve=True))

    assert channels(answer)["pagerduty_resolve"][0] == "skipped"
    assert status(pagerduty, incident) == "triggered"


def test_nothing_we_send_opens_a_resolved_incident_again(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    a_person_sets(pagerduty, incident, "resolved")
    asked = {"acknowledge": True, "resolve": True, "custom_fields": {"taskmedic_finding": "x"}}

    reporter.once(a_report(incident, phase="started", **asked))
    reporter.once(a_report(incident, REPLACED, **asked))

    assert status(pagerduty, incident) == "resolved"
    assert len(pagerduty.incident(incident)["notes"]) == 1
    assert "incident.reopened" not in {one.event_type for one in pagerduty.webhooks.deliveries}


def test_a_dry_run_writes_the_note_and_nothing_else(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    asked = {"acknowledge": True, "resolve": True, "change_event": True}
    for phase in ("started", "final"):
        planned = {**REPLACED, "outcome": "planned"}
        reporter.once({**a_report(incident, planned, phase=phase, **asked), "decision": "dry_run"})

    assert status(pagerduty, incident) == "triggered"
    (note,) = pagerduty.incident(incident)["notes"]
    assert "- replace: would run" in note["content"]


def test_custom_fields_take_facts_of_the_report_and_of_the_steps(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    fields = {
        "taskmedic_finding": "${report.category}: ${report.headline}",
        "taskmedic_outcome": "${report.outcome}, ${steps.replace.summary}",
    }
    found = {**REPLACED, "data": {"diagnoses": [a_diagnosis()]}}

    answer = reporter.once(a_report(incident, found, custom_fields=fields))

    assert channels(answer)["pagerduty_custom_fields"][0] == "done"
    assert pagerduty.incident(incident)["custom_fields"] == {
        "taskmedic_finding": "container.oom_killed: The container ran out of memory "
        "(service search, container app, 2 tasks)",
        "taskmedic_outcome": "succeeded, Task 0123 replaced, search is whole again",
    }


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"no_such_field": "x"}, "there is no custom field no_such_field"),
        ({"taskmedic_finding": "${report.mood}"}, "Known: ${report.headline}"),
        ({"taskmedic_finding": "${steps.other.summary}"}, "no step other"),
    ],
)
def test_a_field_that_cannot_be_set_costs_nothing_but_itself(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str, fields: dict[str, str], why: str
) -> None:
    answer = reporter.once(a_report(incident, REPLACED, custom_fields=fields, resolve=True))

    said = channels(answer)
    assert said["pagerduty_custom_fields"][0] == "failed"
    assert why in said["pagerduty_custom_fields"][1]
    assert said["pagerduty_note"] == ("posted", "")
    assert status(pagerduty, incident) == "resolved"


def test_what_was_changed_is_a_change_event_once(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    for _ in range(2):
        reporter.once(a_report(incident, REPLACED, change_event=True))

    (change,) = pagerduty.account.changes
    assert change["payload"]["summary"] == (
        "Taskmedic, container-diagnostics: Task 0123 replaced, search is whole again"
    )
    assert change["payload"]["custom_details"]["incident"] == incident
    assert change["links"][0]["href"].startswith("https://")


def test_without_a_change_there_is_no_change_event(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    looked = an_input(an_outcome(), incident=incident, plan=a_plan(change_event=True))

    assert channels(reporter.once(looked))["pagerduty_change_event"] == ("skipped", "nothing was changed")
    assert pagerduty.account.changes == []


def test_a_change_event_without_an_answer_is_not_sent_twice(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    pagerduty.set_fault("close_after", path="change")
    for _ in range(2):
        answer = reporter(a_report(incident, REPLACED, change_event=True))

    assert len(pagerduty.account.changes) == 1
    assert channels(answer)["pagerduty_change_event"] == ("skipped", "sent before")


def test_a_resolve_that_pagerduty_cannot_take_now_is_tried_again_without_a_second_note(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    pagerduty.set_fault("503", times=1, method="PUT", path=f"/incidents/{incident}$")

    reporter(a_report(incident, REPLACED, resolve=True))

    assert status(pagerduty, incident) == "resolved"
    assert len(pagerduty.incident(incident)["notes"]) == 1


def test_a_redrive_writes_the_note_and_resolves_nothing(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    """It comes hours or days later, and health was verified then."""
    reporter.undelivered.append(a_report(incident, REPLACED, resolve=True))

    reporter.redrive()

    assert reporter.undelivered == []
    assert len(pagerduty.incident(incident)["notes"]) == 1
    assert status(pagerduty, incident) == "triggered"


def test_the_note_can_be_switched_off(pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str) -> None:
    answer = reporter.once(a_report(incident, REPLACED, pagerduty_note=False, resolve=True))

    assert pagerduty.incident(incident)["notes"] == []
    assert set(channels(answer)) == {"pagerduty_resolve", "sns"}


# the other readers


def test_a_run_without_an_incident_is_told_to_the_topic(reporter: Reporter) -> None:
    answer = reporter.once(an_input(an_outcome(), incident=""))

    assert channels(answer)["pagerduty_note"] == ("skipped", "no incident belongs to this run")
    (message,) = reporter.published()
    assert json.loads(message["Message"])["headline"] == "errors went well"
    assert message["MessageAttributes"]["outcome"]["Value"] == "succeeded"


def test_a_start_is_not_told_to_the_topic(reporter: Reporter, incident: str) -> None:
    reporter.once(a_report(incident, phase="started"))
    reporter.once(a_report(incident, phase="progress"))

    assert reporter.published() == []


def test_a_skip_that_concerns_nobody_is_told_to_nobody(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    skipped = an_input(incident=incident, decision="skip", reason="seen before", plan=None)

    assert channels(reporter.once(skipped))["all"][0] == "skipped"
    assert reporter.published() == []
    assert pagerduty.incident(incident)["notes"] == []


def test_an_incident_nobody_can_place_gets_a_note_how_to_map_it(
    pagerduty: PagerDutyStandIn, reporter: Reporter, incident: str
) -> None:
    skipped = an_input(incident=incident, decision="skip", reason="option cluster is missing")
    skipped["trigger"] |= {"targets": [], "cluster": "", "looked_at": ["service map: no entry for PX (Shop)"]}

    reporter.once(skipped)

    (note,) = pagerduty.incident(incident)["notes"]
    assert note["content"].startswith("Taskmedic could not tell which ECS service")
    assert "- service map: no entry for PX (Shop)" in note["content"]


def test_the_topic_is_told_even_when_pagerduty_refuses(reporter: Reporter) -> None:
    with pytest.raises(PagerDutyRefused, match="404"):
        reporter.once(a_report("QUNKNOWN", REPLACED))

    assert len(reporter.published()) == 1


def test_without_a_usable_api_secret_the_report_waits_and_the_topic_is_told(
    reporter: Reporter, incident: str
) -> None:
    reporter.settings = replace(reporter.settings, pagerduty_api_secret_id="not-there")

    assert reporter(a_report(incident, REPLACED)) is None
    assert len(reporter.undelivered) == 1
    assert len(reporter.published()) == 1

    early = reporter.once(a_report(incident, phase="started"))
    assert channels(early)["pagerduty_note"][0] == "failed"


def test_a_slack_secret_without_a_url_is_a_failed_channel_and_no_failed_run(
    reporter: Reporter, incident: str
) -> None:
    reporter.with_slack({"webhook_url": "http://plain"})

    said = channels(reporter.once(a_report(incident, REPLACED)))

    assert said["slack"][0] == "failed"
    assert SettingMissing.__name__ not in said["slack"][1]
    assert "webhook_url" in said["slack"][1]
    assert said["pagerduty_note"][0] == "posted"
