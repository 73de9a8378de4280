"""A runbook and a trigger become a plan."""

from __future__ import annotations

from typing import Any

import pytest

from taskmedic.domain.errors import OptionInvalid
from taskmedic.domain.node_source import NodesSpec
from taskmedic.domain.runbooks.loading import load_text
from taskmedic.domain.runbooks.models import MAX_STEPS
from taskmedic.domain.runbooks.plan import plan_for
from taskmedic.domain.triggers import Target, Trigger

ACCOUNT, REGION = "123456789012", "us-east-1"


def target(service: str, **more: str) -> Target:
    return Target(**{"account": ACCOUNT, "region": REGION, "cluster": "prod", "service": service} | more)


def planned(text: str, *targets: Target, **options: str) -> dict[str, Any]:
    trigger = Trigger("pagerduty", "key", "", target=targets[0] if targets else Target(), targets=targets)
    return plan_for(load_text(text, "test.yaml"), trigger, options, own_account=ACCOUNT, own_region=REGION)


def runbook(steps: str, *, options: str = "{}", nodes: str = "{clusters: [prod]}") -> str:
    return f"name: test\ndescription: A test's.\noptions: {options}\nnodes: {nodes}\nsteps:\n{steps}"


def test_option_and_trigger_are_filled_in_and_node_and_steps_are_left_for_the_step() -> None:
    text = runbook(
        "  - name: one\n"
        "    stopped_tasks: {cluster: '${trigger.cluster}', service: '${option.service}', since: 5m}\n"
        "  - {name: two, command: {script: 'echo ${option.service} ${node.name} ${steps.one.summary}'}}\n",
        options="{service: {default: '${trigger.service}'}}",
    )

    one, two = planned(text, target("checkout"))["steps"]

    assert one["spec"]["cluster"] == "prod"
    assert one["spec"]["service"] == "checkout"
    assert one["spec"]["since_s"] == 300
    assert two["spec"]["script"] == "echo checkout ${node.name} ${steps.one.summary}"


def test_values_are_quoted_in_a_script_and_nowhere_else() -> None:
    text = runbook(
        "  - {name: one, command: {script: 'jstack ${option.pid}'}}\n"
        "  - {name: two, command: {argv: [jstack, '${option.pid}']}}\n",
        options="{pid: {required: true}}",
    )

    one, two = planned(text, target("checkout"), pid="1; rm -rf /")["steps"]

    assert one["spec"]["script"] == "jstack '1; rm -rf /'"
    assert two["spec"]["argv"] == ["jstack", "1; rm -rf /"]


def test_the_whole_script_may_be_an_option() -> None:
    text = runbook(
        "  - {name: one, command: {script: '${unquotedoption.command}'}}\n",
        options="{command: {required: true}}",
    )

    assert (
        planned(text, target("checkout"), command="uptime; df")["steps"][0]["spec"]["script"] == "uptime; df"
    )


def test_several_targets_are_several_sources_and_several_looks() -> None:
    text = runbook(
        "  - {name: errors, stopped_tasks: {cluster: '${trigger.cluster}', service: '${trigger.service}'}}\n"
        "  - {name: top, command: {script: top -b -n1}}\n",
        nodes="{clusters: ['${trigger.cluster}'], services: ['${trigger.service}']}",
    )

    plan = planned(text, target("checkout"), target("search"), target("checkout"))

    assert [source["services"] for source in plan["nodes"]["sources"]] == [["checkout"], ["search"]]
    assert [(step["name"], step["spec"].get("service")) for step in plan["steps"]] == [
        ("errors", "checkout"),
        ("errors-2", "search"),
        ("top", None),
    ]


def test_many_targets_do_not_make_more_steps_than_an_execution_can_carry() -> None:
    text = runbook("  - {name: errors, stopped_tasks: {service: '${trigger.service}'}}\n")

    plan = planned(text, *[target(f"service-{number}") for number in range(20)])

    assert len(plan["steps"]) == MAX_STEPS
    assert len(plan["left_out"]) == 20 - MAX_STEPS
    assert plan["left_out"][-1] == (
        f"service service-19, cluster prod, region {REGION}, account {ACCOUNT}: "
        f"errors looks at {MAX_STEPS} targets at most"
    )


def test_a_target_for_which_an_option_is_missing_is_left_out_when_another_has_it() -> None:
    text = runbook(
        "  - {name: errors, stopped_tasks: {service: '${option.service}'}}\n",
        options="{service: {required: true, default: '${trigger.service}'}}",
    )

    plan = planned(text, target(""), target("checkout"))

    assert [step["spec"]["service"] for step in plan["steps"]] == ["checkout"]
    assert [one["service"] for one in plan["targets"]] == ["checkout"]
    (left_out,) = plan["left_out"]
    assert left_out.startswith(f"cluster prod, region {REGION}, account {ACCOUNT}: ")
    assert "service" in left_out.split(": ", 1)[1]


def test_a_target_in_an_account_out_of_reach_does_not_cancel_the_others() -> None:
    text = runbook(
        "  - {name: top, command: {script: top}}\n"
        "  - {name: errors, stopped_tasks: {service: '${trigger.service}'}}\n",
        nodes="{clusters: ['${trigger.cluster}'], services: ['${trigger.service}']}",
    )
    elsewhere = target("search", account="999999999999")

    plan = planned(text, elsewhere, target("checkout"))

    assert [source["services"] for source in plan["nodes"]["sources"]] == [["checkout"]]
    assert [step["name"] for step in plan["steps"]] == ["top", "errors"]
    (left_out,) = plan["left_out"]
    assert left_out.startswith("service search, cluster prod, ")
    assert f"the target is in account 999999999999, and this is {ACCOUNT}" in left_out


def test_targets_that_were_too_many_before_the_plan_are_said_in_it() -> None:
    book = load_text(runbook("  - {name: top, command: {script: top}}\n"), "test.yaml")
    trigger = Trigger("pagerduty", "key", "", targets=(target("checkout"),), left_out=("x: too many",))

    plan = plan_for(book, trigger, {}, own_account=ACCOUNT, own_region=REGION)

    assert plan["left_out"] == ["x: too many"]


def test_how_to_run_it_again_is_known_for_each_target() -> None:
    text = runbook(
        "  - {name: top, command: {script: top}}\n",
        options="{service: {default: '${trigger.service}'}, depth: {default: '3'}}",
    )

    plan = planned(text, target("checkout"), target("search"))

    assert plan["options"] == {"service": "checkout", "depth": "3"}
    assert plan["other_options"] == [{"service": "search"}]


def test_nodes_of_another_region_are_read_there() -> None:
    text = runbook("  - {name: top, command: {script: top}}\n", nodes="{clusters: ['${trigger.cluster}']}")

    here = planned(text, target("checkout"))
    there = planned(text, target("checkout", region="eu-west-1"))

    assert "region" not in here["nodes"]["sources"][0]
    assert there["nodes"]["sources"][0]["region"] == "eu-west-1"


@pytest.mark.parametrize("place", ["nodes", "stop_task"])
def test_an_empty_name_never_widens_what_is_acted_on(place: str) -> None:
    """An empty service in a node source means every service of the cluster."""
    if place == "nodes":
        text = runbook(
            "  - {name: top, command: {script: top}}\n",
            nodes="{clusters: [prod], services: ['${trigger.service}']}",
        )
    else:
        text = runbook(
            "  - {name: stop, stop_task: {reason: hung, cluster: prod, task: '${trigger.service}'}}\n"
        )

    with pytest.raises(OptionInvalid, match="the trigger names no service"):
        planned(text, target(""))


def test_a_filter_with_an_option_in_it_is_checked_once_it_is_filled() -> None:
    text = runbook(
        "  - {name: top, command: {script: top}}\n",
        options="{filter: {default: ''}}",
        nodes="{clusters: [prod], filter: '${option.filter}'}",
    )

    assert NodesSpec.from_json(planned(text, target("checkout"))["nodes"])
    with pytest.raises(OptionInvalid, match="the nodes of runbook test cannot be understood"):
        planned(text, target("checkout"), filter="ECS:Container-Image:")


def test_a_duration_may_be_an_option() -> None:
    text = runbook(
        "  - {name: errors, stopped_tasks: {since: '${option.since}'}}\n", options="{since: {default: 15m}}"
    )

    assert planned(text, target("checkout"))["steps"][0]["spec"]["since_s"] == 900
    with pytest.raises(OptionInvalid, match="since of step errors is no duration"):
        planned(text, target("checkout"), since="soon")


def test_a_plan_too_long_to_travel_is_refused() -> None:
    text = runbook(
        f"  - {{name: a, command: {{script: 'echo{' ${option.x}' * 5}'}}}}\n",
        options="{x: {required: true}}",
    )

    with pytest.raises(OptionInvalid, match="the options of runbook test are too long"):
        planned(text, target("checkout"), x="y" * 15_000)


def test_the_plan_says_which_text_of_the_runbook_it_was_made_from() -> None:
    text = runbook("  - {name: errors, stopped_tasks: {}}\n")

    plan = planned(text, target("checkout"))

    assert plan["runbook"] == "test"
    assert plan["revision"] == load_text(text, "other.yaml").revision
    assert plan["revision"] != load_text(text + "# changed\n", "test.yaml").revision


BARE = "  - {name: errors, stopped_tasks: {}}\n"


def looked_at(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["spec"]["cluster"], step["spec"]["service"]) for step in plan["steps"]]


def test_a_bare_look_at_stopped_tasks_is_about_the_targets_of_an_incident() -> None:
    plan = planned(runbook(BARE), target("checkout"), target("search"))

    assert looked_at(plan) == [("prod", "checkout"), ("prod", "search")]


def test_without_a_target_it_is_about_the_nodes_when_they_are_of_one_service() -> None:
    one = planned(runbook(BARE, nodes="{clusters: [prod], services: [checkout]}"))
    several = planned(runbook(BARE, nodes="{clusters: [prod], services: [checkout, search]}"))

    assert looked_at(one) == [("prod", "checkout")]
    assert looked_at(several) == [("", "")]


def test_of_a_stopped_task_it_is_about_that_task() -> None:
    """An empty spec tells the step to take the event's own task."""
    about = target("checkout", task="arn:…:task/prod/1")
    trigger = Trigger("task_stopped", "key", "", target=about, targets=(about,), task_detail={"taskArn": "…"})

    plan = plan_for(
        load_text(runbook(BARE), "test.yaml"), trigger, {}, own_account=ACCOUNT, own_region=REGION
    )

    assert looked_at(plan) == [("", "")]


@pytest.mark.parametrize(
    ("nodes", "stop", "field"),
    [
        ("{clusters: [prod], services: ['${option.service}']}", "{reason: hung}", "nodes.services"),
        ("{clusters: [prod], tasks: ['${option.service}']}", "{reason: hung}", "nodes.tasks"),
        ("{clusters: [prod], filter: '${option.service}'}", "{reason: hung}", "nodes.filter"),
        (
            "{clusters: [prod]}",
            "{cluster: prod, task: '${option.service}', reason: hung}",
            "${option.service}",
        ),
    ],
)
@pytest.mark.parametrize("given", ["", " ", ","])
def test_an_empty_option_never_widens_what_is_stopped(nodes: str, stop: str, field: str, given: str) -> None:
    text = runbook(f"  - {{name: one, stop_task: {stop}}}\n", options="{service: {}}", nodes=nodes)

    with pytest.raises(OptionInvalid) as refused:
        planned(text, service=given)

    assert refused.value.where == field
    assert planned(text, service="a-name")["steps"][0]["type"] == "stop_task"


def test_an_empty_option_may_leave_out_a_filter_where_nothing_is_stopped() -> None:
    text = runbook(
        "  - {name: one, find_nodes: {}}\n",
        options="{service: {}}",
        nodes="{clusters: [prod], services: ['${option.service}']}",
    )

    assert planned(text)["nodes"]["sources"] == [{"clusters": ["prod"], "services": [""]}]


OTHER = "222222222222"
ROLE, ELSEWHERE = f"arn:aws:iam::{OTHER}:role/taskmedic", "arn:aws:iam::333333333333:role/taskmedic"
LOOK = "  - {name: errors, stopped_tasks: {cluster: prod}}\n"
THEIRS = target("checkout", account=OTHER, region="eu-west-1")


def accesses(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    specs = [step["spec"] for step in plan["steps"] if step["type"] == "stopped_tasks"]
    return [(spec["region"], spec["assume_role_arn"], spec["external_id"]) for spec in specs]


def of_event(text: str, about: Target) -> dict[str, Any]:
    trigger = Trigger("task_stopped", "key", "", target=about, targets=(about,), task_detail={"taskArn": "…"})
    return plan_for(load_text(text, "test.yaml"), trigger, {}, own_account=ACCOUNT, own_region=REGION)


@pytest.mark.parametrize("steps", [LOOK, BARE])
def test_stopped_tasks_of_another_account_are_read_by_the_role_of_the_nodes_there(steps: str) -> None:
    text = runbook(steps, nodes=f"{{clusters: [prod], assume_role_arn: '{ROLE}', external_id: shop}}")

    there = [("eu-west-1", ROLE, "shop")]
    assert accesses(of_event(text, THEIRS)) == there
    assert accesses(planned(text, THEIRS)) == there


def test_each_target_is_read_in_its_own_account() -> None:
    by_trigger = "{{clusters: ['${{trigger.cluster}}'], assume_role_arn: '{0}'}}"
    nodes = f"{{sources: [{by_trigger.format(ROLE)}, {by_trigger.format(ELSEWHERE)}]}}"
    third = target("checkout", account="333333333333", region="eu-west-1")

    plan = planned(runbook(BARE, nodes=nodes), THEIRS, third)

    assert accesses(plan) == [("eu-west-1", ROLE, ""), ("eu-west-1", ELSEWHERE, "")]
    assert [source["assume_role_arn"] for source in plan["nodes"]["sources"]] == [ROLE, ELSEWHERE]


def test_names_of_the_trigger_are_not_looked_up_in_a_third_account() -> None:
    text = runbook(
        "  - {name: stop, stop_task: {reason: hung}}\n",
        options="{cluster: {default: '${trigger.cluster}'}}",
        nodes=f"{{clusters: ['${{option.cluster}}'], assume_role_arn: '{ELSEWHERE}'}}",
    )

    for about in (THEIRS, target("checkout")):
        with pytest.raises(OptionInvalid, match=f"the target is in account {about.account}") as refused:
            of_event(text, about)
        assert refused.value.why == "the nodes of runbook test are not read there"


def test_by_hand_stopped_tasks_are_read_by_the_role_of_the_source_that_reads_the_cluster() -> None:
    theirs = f"{{clusters: [prod], region: eu-west-1, assume_role_arn: '{ROLE}'}}"
    nodes = f"{{sources: [{theirs}, {{clusters: [web]}}]}}"

    both = LOOK + "  - {name: web, stopped_tasks: {cluster: web}}\n"
    assert accesses(planned(runbook(both, nodes=nodes))) == [("eu-west-1", ROLE, ""), ("", "", "")]


def test_a_step_with_a_role_of_its_own_needs_no_nodes() -> None:
    look = f"{{cluster: prod, region: eu-west-1, assume_role_arn: '{ROLE}', external_id: x}}"
    text = f"name: test\ndescription: A test's.\nsteps:\n  - {{name: errors, stopped_tasks: {look}}}\n"

    there = [("eu-west-1", ROLE, "x")]
    assert accesses(planned(text)) == there
    assert accesses(planned(text, THEIRS)) == there


@pytest.mark.parametrize(
    ("look", "says"),
    [
        ("{cluster: prod}", "neither the step nor a node source names a role there"),
        ("{cluster: other}", "neither the step nor a node source names a role there"),
        ("{}", "neither the step nor a node source names a role there"),
        (f"{{assume_role_arn: '{ELSEWHERE}'}}", "is in account 333333333333"),
        (f"{{cluster: prod, assume_role_arn: '{ELSEWHERE}'}}", "is in account 333333333333"),
    ],
)
def test_what_is_in_another_account_is_never_looked_up_in_ours(look: str, says: str) -> None:
    text = f"name: test\ndescription: A test's.\nsteps:\n  - {{name: errors, stopped_tasks: {look}}}\n"

    for plan in (planned, of_event):
        with pytest.raises(OptionInvalid, match=f"the target is in account {OTHER}") as refused:
            plan(text, THEIRS)
        assert says in str(refused.value)


@pytest.mark.parametrize(
    "look",
    [
        f"{{cluster: 'arn:aws:ecs:eu-west-1:{OTHER}:cluster/prod'}}",
        f"{{tasks: ['arn:aws:ecs:eu-west-1:{OTHER}:task/prod/0123']}}",
    ],
)
def test_an_arn_says_its_account_and_region(look: str) -> None:
    steps = f"  - {{name: errors, stopped_tasks: {look}}}\n"
    with_role = runbook(steps, nodes=f"{{clusters: [web], assume_role_arn: '{ROLE}'}}")

    assert accesses(planned(with_role)) == [("eu-west-1", ROLE, "")]
    with pytest.raises(OptionInvalid, match=f"the target is in account {OTHER}"):
        planned(runbook(steps))


def test_which_of_two_accounts_is_meant_is_not_guessed() -> None:
    nodes = f"{{sources: [{{clusters: [prod]}}, {{clusters: [prod], assume_role_arn: '{ROLE}'}}]}}"

    with pytest.raises(
        OptionInvalid, match=f"cluster prod may be in several accounts.*by {ROLE} and by our own role"
    ):
        planned(runbook(LOOK, nodes=nodes))


def test_an_event_of_our_own_account_is_never_read_elsewhere() -> None:
    text = runbook(LOOK, nodes=f"{{clusters: [prod], assume_role_arn: '{ROLE}'}}")

    assert accesses(of_event(text, target("checkout"))) == [(REGION, "", "")]


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ("task: '${trigger.task}'", "the step names no role there"),
        ("task: '0123', cluster: prod", "the step names no role there"),
        (f"task: '${{trigger.task}}', assume_role_arn: '{ELSEWHERE}'", "is in account 333333333333"),
    ],
)
def test_a_task_of_another_account_is_not_stopped_as_if_it_were_ours(stop: str, says: str) -> None:
    nodes = f"{{clusters: [prod], assume_role_arn: '{ROLE}'}}"
    about = target("checkout", account=OTHER, task=f"arn:aws:ecs:{REGION}:{OTHER}:task/prod/0123")
    step = "  - {{name: stop, stop_task: {{reason: hung, {0}}}}}\n"

    with pytest.raises(OptionInvalid, match=says):
        of_event(runbook(step.format(stop), nodes=nodes), about)
    right = f"task: '${{trigger.task}}', assume_role_arn: '{ROLE}'"
    assert of_event(runbook(step.format(right), nodes=nodes), about)["steps"][0]["spec"]["task"] == about.task
