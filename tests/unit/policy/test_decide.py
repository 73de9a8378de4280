"""Who acts on a trigger, and with which reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskmedic.domain.errors import OptionInvalid, RunbookNotFound
from taskmedic.domain.policy import (
    Action,
    Decision,
    Facts,
    NotChosen,
    Spent,
    Switch,
    beyond_limit,
    decide,
    limited,
    needs_category,
)
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.triggers import Asked, Incident, Target, Trigger

HERE = Facts(account="123456789012", region="us-east-1")
NOTHING_ASKED, ALL_ON = Asked(), Switch()
CHECKOUT = Target(
    account="123456789012",
    region="us-east-1",
    cluster="prod",
    service="checkout",
    task="arn:aws:ecs:…:task/prod/1",
)
LOOKS = {"name": "errors", "stopped_tasks": {}}
ACTS = {"name": "dump", "command": {"script": "jstack 1"}}
NODES = {"clusters": ["prod"], "services": ["checkout"]}


def book(
    name: str, *rules: dict[str, Any], steps: tuple[dict[str, Any], ...] = (LOOKS,), **more: Any
) -> Runbook:
    return Runbook.model_validate(
        {"name": name, "description": "A test's.", "triggers": list(rules), "steps": list(steps)} | more
    )


def stopped(target: Target = CHECKOUT) -> Trigger:
    return Trigger("task_stopped", "key", "", target=target, targets=(target,), task_detail={"version": 3})


def incident(target: Target | None = CHECKOUT, **more: str) -> Trigger:
    about = Incident(
        **{
            "id": "Q1",
            "title": "Latency of checkout",
            "event_type": "incident.triggered",
            "status": "triggered",
        }
        | more
    )
    return Trigger(
        "pagerduty", "key", "", target=target or Target(), targets=(target,) if target else (), incident=about
    )


def manual() -> Trigger:
    return Trigger("manual", "run-1", "", target=Target("123456789012", "us-east-1"))


def decided(
    trigger: Trigger,
    *books: Runbook,
    asked: Asked = NOTHING_ASKED,
    facts: Facts = HERE,
    switch: Switch = ALL_ON,
) -> Decision:
    return decide(trigger, asked, facts, {one.name: one for one in books}, switch)


DIAGNOSE = book("diagnose", {"task_stopped": {}}, priority=900)


def test_a_stopped_task_runs_the_runbook_that_answers_it() -> None:
    decision = decided(stopped(), DIAGNOSE)

    assert decision.action is Action.RUN
    assert decision.runbook == "diagnose"
    assert decision.reason == "runbook diagnose answers the stopped task of service checkout in cluster prod"
    assert decision.plan is not None
    assert [step["name"] for step in decision.plan["steps"]] == ["errors"]


@pytest.mark.parametrize("fact", ["repeated", "own_stop", "ignored"])
def test_what_was_seen_before_or_is_our_own_or_no_incident_starts_nothing(fact: str) -> None:
    facts = Facts(account="1", region="r", **{fact: "the reason"})

    assert decided(stopped(), DIAGNOSE, facts=facts) == Decision(Action.SKIP, "the reason")


def test_the_kill_switch_stops_everything_even_what_a_person_asks_for() -> None:
    decision = decided(manual(), DIAGNOSE, asked=Asked("diagnose"), switch=Switch(enabled=False))

    assert decision.action is Action.SKIP
    assert decision.reason == "everything is switched off by the kill switch"


def test_a_runbook_that_is_switched_off_is_passed_over_and_the_next_one_runs() -> None:
    first = book("first", {"task_stopped": {}}, priority=1)

    decision = decided(stopped(), first, DIAGNOSE, switch=Switch(runbooks={"first": False}))

    assert decision.runbook == "diagnose"
    assert decision.not_chosen == (NotChosen("first", "runbook first is switched off by the kill switch"),)


def test_when_the_only_runbook_is_switched_off_nothing_runs_and_the_reason_says_so() -> None:
    decision = decided(stopped(), DIAGNOSE, switch=Switch(runbooks={"diagnose": False}))

    assert (decision.action, decision.plan) == (Action.SKIP, None)
    assert decision.reason == "runbook diagnose is switched off by the kill switch"


def test_the_lowest_priority_runs_then_the_first_name_and_the_others_are_recorded() -> None:
    books = [
        book("b", {"task_stopped": {}}, priority=50),
        book("a", {"task_stopped": {}}, priority=50),
        DIAGNOSE,
        book("c", {"task_stopped": {}}, priority=49),
    ]

    decision = decided(stopped(), *books)

    assert decision.runbook == "c"
    assert [(other.runbook, other.reason) for other in decision.not_chosen] == [
        ("a", "c comes first"),
        ("b", "c comes first"),
        ("diagnose", "c comes first"),
    ]


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ({}, True),
        ({"cluster": "prod*"}, True),
        ({"cluster": ["staging", "prod"]}, True),
        ({"cluster": "staging"}, False),
        ({"service": "check*"}, True),
        ({"service": ["search"]}, False),
        ({"service": ""}, False),
        ({"category": ["container.*"]}, True),
        ({"category": ["app.*"]}, False),
    ],
)
def test_a_rule_for_stopped_tasks_matches_by_names_with_stars(rule: dict[str, Any], answers: bool) -> None:
    facts = Facts(account="123456789012", region="us-east-1", category="container.oom_killed")

    decision = decided(stopped(), book("one", {"task_stopped": rule}), facts=facts)

    assert (decision.runbook == "one") is answers


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ({}, True),
        ({"event": ["incident.triggered", "incident.reopened"]}, True),
        ({"event": "incident.*"}, True),
        ({"event": "incident.resolved"}, False),
        ({"service": "PABC123"}, True),
        ({"service": "Checkout*"}, True),
        ({"service": "Search"}, False),
        ({"title": "(?i)latency"}, True),
        ({"title": "^latency"}, False),
        ({"urgency": ["high"]}, True),
        ({"urgency": ["low"]}, False),
    ],
)
def test_a_rule_for_incidents_matches_event_service_title_and_urgency(
    rule: dict[str, Any], answers: bool
) -> None:
    trigger = incident(service_id="PABC123", service_name="Checkout API", urgency="high")

    decision = decided(trigger, book("one", {"pagerduty": rule}))

    assert (decision.runbook == "one") is answers


def test_a_trigger_nobody_answers_is_skipped_without_a_report() -> None:
    decision = decided(incident(event_type="incident.reopened"), book("one", {"pagerduty": {}}))

    assert (decision.action, decision.plan) == (Action.SKIP, None)
    assert decision.reason == "no runbook answers incident.reopened of incident Q1"


def test_a_runbook_without_triggers_answers_none() -> None:
    assert decided(stopped(), book("by-hand")).action is Action.SKIP


def test_an_incident_resolved_already_is_not_acted_on_but_may_be_diagnosed() -> None:
    acting = book("acting", {"pagerduty": {}}, steps=(ACTS,), nodes=NODES, priority=1)
    looking = book("looking", {"pagerduty": {}})

    decision = decided(incident(status="resolved"), acting, looking)

    assert decision.runbook == "looking"
    assert decision.not_chosen == (
        NotChosen("acting", "the incident is resolved already, and runbook acting would act"),
    )


def test_an_incident_without_a_target_is_told_why_nothing_was_done() -> None:
    """The plan has no step, so that only the report is reached, which says what was looked at."""
    needs = book(
        "needs",
        {"pagerduty": {}},
        options={"cluster": {"required": True, "default": "${trigger.cluster}"}},
        steps=({"name": "errors", "stopped_tasks": {"cluster": "${option.cluster}"}},),
    )

    decision = decided(incident(None), needs)

    assert decision.action is Action.SKIP
    assert decision.runbook == "needs"
    assert decision.reason == "nothing says which cluster and service incident Q1 is about"
    assert decision.plan is not None
    assert decision.plan["steps"] == []


def test_the_next_runbook_runs_where_the_first_lacks_what_it_needs() -> None:
    """An alarm on a whole cluster names no service."""
    of_service = {"required": True, "default": "${trigger.service}"}
    acting = book(
        "acting",
        {"pagerduty": {}},
        options={"service": of_service},
        steps=(ACTS,),
        nodes={"clusters": ["prod"], "services": ["${option.service}"]},
        priority=1,
    )
    cluster_only = Target(account="123456789012", region="us-east-1", cluster="prod")

    decision = decided(incident(cluster_only), acting, book("looking", {"pagerduty": {}}))

    assert decision.runbook == "looking"
    assert decision.not_chosen[0].runbook == "acting"
    assert "option service" in decision.not_chosen[0].reason


def test_a_manual_start_runs_what_it_asks_for() -> None:
    decision = decided(manual(), DIAGNOSE, book("list"), asked=Asked("list"))

    assert (decision.action, decision.runbook) == (Action.RUN, "list")
    assert decision.reason == "runbook list was asked for"


def test_a_dry_run_is_decided_like_a_run() -> None:
    assert decided(manual(), DIAGNOSE, asked=Asked("diagnose", dry_run=True)).action is Action.DRY_RUN


def test_an_unknown_runbook_is_refused_with_those_that_exist() -> None:
    with pytest.raises(RunbookNotFound, match=r"there is no runbook nope .* There are: diagnose\."):
        decided(manual(), DIAGNOSE, asked=Asked("nope"))


def test_options_that_do_not_fit_are_refused_where_a_person_asked() -> None:
    with pytest.raises(OptionInvalid, match="has no option clustre"):
        decided(manual(), DIAGNOSE, asked=Asked("diagnose", {"clustre": "prod"}))


def test_options_that_do_not_fit_are_told_to_the_incident_when_there_is_one() -> None:
    decision = decided(incident(), DIAGNOSE, asked=Asked("diagnose", {"clustre": "prod"}))

    assert decision.action is Action.SKIP
    assert decision.plan is not None
    assert "has no option clustre" in decision.reason


@pytest.mark.parametrize("switch", [ALL_ON, Switch(runbooks={"act": False})])
def test_who_presses_a_button_on_an_incident_is_told_why_the_runbook_must_not_run(switch: Switch) -> None:
    act = book("act", steps=(ACTS,), nodes=NODES)
    resolved = incident(status="resolved")

    decision = decided(resolved, act, asked=Asked("act"), switch=switch)

    assert decision.action is Action.SKIP
    assert decision.reason
    assert decision.plan is not None
    assert decision.plan["steps"] == []
    assert decided(manual(), act, asked=Asked("act"), switch=Switch(runbooks={"act": False})).plan is None


def test_a_target_in_another_account_is_out_of_reach_without_a_role() -> None:
    """The same names may mean another service in our own account."""
    elsewhere = Target(account="999999999999", region="us-east-1", cluster="prod", service="checkout")

    decision = decided(stopped(elsewhere), DIAGNOSE)

    assert decision.action is Action.SKIP
    assert "the target is in account 999999999999, and this is 123456789012" in decision.reason


def test_a_target_in_another_account_is_reached_by_the_role_of_the_nodes() -> None:
    elsewhere = Target(account="999999999999", region="us-east-1", cluster="prod", service="checkout")
    nodes = NODES | {"assume_role_arn": "arn:aws:iam::${trigger.account}:role/taskmedic-act"}

    decision = decided(stopped(elsewhere), book("one", {"task_stopped": {}}, steps=(ACTS,), nodes=nodes))

    assert decision.plan is not None
    assert (
        decision.plan["nodes"]["sources"][0]["assume_role_arn"]
        == "arn:aws:iam::999999999999:role/taskmedic-act"
    )


def test_the_category_is_needed_only_when_a_rule_looks_at_it() -> None:
    assert not needs_category({"diagnose": DIAGNOSE})
    assert needs_category({"oom": book("oom", {"task_stopped": {"category": "container.oom_killed"}})})


REPLACES = book(
    "replace",
    {
        "task_stopped": {},
    },
    {"pagerduty": {}},
    steps=(ACTS,),
    nodes=NODES,
)


@pytest.mark.parametrize(
    ("trigger", "asked", "one", "counts"),
    [
        (stopped(), NOTHING_ASKED, REPLACES, True),
        (incident(), NOTHING_ASKED, REPLACES, True),
        (incident(), Asked("replace"), REPLACES, False),  # a button
        (manual(), Asked("replace"), REPLACES, False),
        (incident(), Asked(dry_run=True), REPLACES, False),
        (stopped(), NOTHING_ASKED, DIAGNOSE, False),
    ],
)
def test_only_what_acts_by_itself_is_limited(
    trigger: Trigger, asked: Asked, one: Runbook, counts: bool
) -> None:
    decision = decided(trigger, one, asked=asked)

    assert (limited(decision, asked, {one.name: one}) is one) is counts


def spent(told: bool) -> Facts:
    return replace(HERE, spent=Spent("replace", beyond_limit(REPLACES, "prod/checkout"), told))


BEYOND = "replace has acted 3 times on prod/checkout within 1 h: a person should look"


@pytest.mark.parametrize("told", [False, True])
def test_beyond_its_limit_a_run_becomes_a_skip_that_is_told_of_once(told: bool) -> None:
    skip = decided(incident(), REPLACES, facts=spent(told))

    assert (skip.action, skip.runbook, skip.reason) == (Action.SKIP, "replace", BEYOND)
    assert (skip.plan is None) is told
    assert told or skip.plan["steps"] == []  # type: ignore[index]


@pytest.mark.parametrize("told", [False, True])
def test_beyond_its_limit_a_runbook_leaves_the_trigger_to_one_that_looks_and_to_none_that_acts(
    told: bool,
) -> None:
    reboots = book("reboot", {"task_stopped": {}}, steps=(ACTS,), nodes=NODES, priority=200)

    decision = decided(stopped(), REPLACES, reboots, DIAGNOSE, facts=spent(told))

    assert (decision.action, decision.runbook) == (Action.RUN, "diagnose")
    assert (BEYOND in decision.reason) is not told
    assert decision.plan is not None
    assert decision.plan["left_out"] == ([] if told else [BEYOND])  # where the report says it
    assert decision.not_chosen == (
        NotChosen("replace", BEYOND),
        NotChosen("reboot", "replace is beyond its limit, and runbook reboot would act"),
    )
