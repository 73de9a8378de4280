"""What a report says, and which finding it puts first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.report.builders import a_diagnosis, a_plan, a_result, a_step, an_input, an_outcome

from taskmedic.domain.report_input import report_of


def errors(*diagnoses: dict[str, Any]) -> dict[str, Any]:
    return an_outcome(data={"diagnoses": list(diagnoses), "count": len(diagnoses)})


FAILED = {
    "Error": "ClusterNotFound",
    "Cause": json.dumps({"errorMessage": "no such cluster", "stackTrace": ["x"]}),
}


@pytest.mark.parametrize(
    ("given", "headline", "outcome"),
    [
        (
            an_input(errors(a_diagnosis())),
            "The container ran out of memory (service search, container app, 2 tasks)",
            "succeeded",
        ),
        (
            an_input(errors(a_diagnosis(title="Replaced by a deployment.", benign=True, container=""))),
            "No fault found. Replaced by a deployment (service search, 2 tasks)",
            "succeeded",
        ),
        (an_input(errors()), "errors went well", "succeeded"),
        (
            an_input(an_outcome("dump", "command", outcome="failed", summary="1 of 2 nodes exited 0")),
            "Step dump failed: 1 of 2 nodes exited 0",
            "failed",
        ),
        (an_input(error=FAILED), "Runbook container-diagnostics did not finish: no such cluster", "failed"),
        (an_input(phase="started"), "Taskmedic is at work with runbook container-diagnostics", "running"),
        (
            an_input(an_outcome(outcome="planned"), decision="dry_run"),
            "Dry run of container-diagnostics: nothing was changed",
            "planned",
        ),
        (
            an_input(decision="skip", reason="option pid is missing"),
            "Nothing was done: option pid is missing",
            "skipped",
        ),
    ],
)
def test_the_headline_is_the_finding_in_plain_words(
    given: dict[str, Any], headline: str, outcome: str
) -> None:
    report = report_of(given)

    assert (report.headline, report.outcome) == (headline, outcome)


def test_a_fault_comes_before_what_is_normal_and_the_frequent_before_the_rare() -> None:
    scaled_in = a_diagnosis(title="Scaled in", benign=True, tasks=["a"] * 9)
    rare = a_diagnosis(title="Rare", tasks=["a"])
    frequent = a_diagnosis(title="Frequent", tasks=["a", "b"])

    finding = report_of(an_input(errors(scaled_in, rare, frequent))).finding

    assert finding is not None
    assert finding.title == "Frequent"


def test_an_incident_nobody_can_place_is_said_first() -> None:
    given = an_input(decision="skip", reason="option cluster is missing")
    given["trigger"] |= {"targets": [], "cluster": "", "service": "", "looked_at": ["alert QA: nothing"]}

    report = report_of(given)

    assert report.headline == "Taskmedic could not tell which ECS service this incident is about"
    assert report.looked_at == ("alert QA: nothing",)


def test_steps_without_an_outcome_are_pending() -> None:
    plan = a_plan(a_step("errors", "stopped_tasks"), a_step("replace", "stop_task"))

    report = report_of(an_input(errors(), plan=plan))

    assert [(step.name, step.outcome) for step in report.steps] == [
        ("errors", "succeeded"),
        ("replace", "pending"),
    ]
    assert [step.name for step in report.done] == ["errors"]
    assert [step.name for step in report.not_done] == ["replace"]


WHOLE = a_step("replace", "stop_task", wait_for_service=True)
STOPPED = an_outcome("replace", "stop_task")


@pytest.mark.parametrize(
    ("steps", "outcomes", "verified"),
    [
        ([WHOLE], [STOPPED], True),
        ([a_step("replace", "stop_task", wait_for_service=False)], [STOPPED], False),
        ([WHOLE, a_step("check", "command")], [STOPPED, an_outcome("check", "command")], True),
        ([a_step("check", "command"), WHOLE], [STOPPED], False),
        ([WHOLE], [an_outcome("replace", "stop_task", outcome="failed")], False),
        ([a_step("errors", "stopped_tasks")], [an_outcome()], False),
        ([], [], False),
    ],
)
def test_health_is_verified_when_all_went_well_and_the_last_step_looked(
    steps: list[Any], outcomes: list[Any], verified: bool
) -> None:
    plan = {**a_plan(), "steps": steps}
    assert report_of(an_input(*outcomes, plan=plan)).verified is verified


def test_outputs_keep_head_and_tail_and_say_why_a_node_failed() -> None:
    results = [
        a_result("0123/app", exit_code=3, head="first\n", tail="\nlast", truncated=True),
        a_result("4567/app", outcome="timed_out", exit_code=None, head="", reason="no end", remedy="Wait."),
        a_result("89ab/app", head=""),
    ]

    (step,) = report_of(an_input(an_outcome("dump", "command", data={"results": results}), plan=None)).steps

    first, second = step.outputs
    assert (first.title, first.text, first.complete) == ("0123/app (exit 3)", "first\n...\nlast", False)
    assert (second.title, second.text) == ("4567/app (timed_out)", "no end\nWait.")


def test_head_and_tail_between_which_nothing_is_missing_are_one_text() -> None:
    results = [a_result(head="first\nsec", tail="ond\n")]

    (step,) = report_of(an_input(an_outcome("dump", "command", data={"results": results}), plan=None)).steps

    assert (step.outputs[0].text, step.outputs[0].complete) == ("first\nsecond", True)


def test_secrets_in_outputs_summaries_and_errors_are_hidden() -> None:
    results = [a_result(head="DB_PASSWORD=hunter2\n")]
    given = an_input(
        an_outcome("env", "command", summary="token=abcdef123456", data={"results": results}),
        errors(a_diagnosis(evidence=["password: hunter2"], cause="secret=hunter2 was wrong")),
        error={"Error": "X", "Cause": "password=hunter2"},
    )

    said = json.dumps(report_of(given).to_json())

    assert "hunter2" not in said
    assert "abcdef123456" not in said


def test_links_lead_to_the_console_of_the_partition() -> None:
    evidence = [{"title": "Stopped tasks", "bucket": "b", "key": "runs/pd 1/x.json", "uri": "s3://b/x"}]
    report = report_of(an_input(an_outcome(evidence=evidence)))
    (execution,) = report.links
    (stopped,) = report.steps[0].evidence

    assert execution.url.startswith("https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#")
    assert execution.url.endswith(":execution:remediation:pd-0f1e2d3c")
    assert stopped.url.endswith("/s3/object/b?region=eu-west-1&prefix=runs/pd%201/x.json")

    given = an_input()
    given["run"] = {**given["run"], "execution_arn": "arn:aws-cn:states:cn-north-1:1:execution:remediation:x"}
    assert "console.amazonaws.cn" in report_of(given).links[0].url


def test_how_to_run_it_again_is_a_line_for_a_shell() -> None:
    plan = a_plan() | {"options": {"cluster": "prod", "command": "echo 'hi there'; id"}}

    (rerun,) = report_of(an_input(plan=plan)).rerun

    assert rerun == (
        "taskmedic runbook run container-diagnostics --option cluster=prod "
        "--option 'command=echo '\"'\"'hi there'\"'\"'; id'"
    )


def test_each_target_has_its_own_line_for_a_shell() -> None:
    plan = a_plan() | {"options": {"service": "search"}, "other_options": [{"service": "checkout"}]}

    assert report_of(an_input(plan=plan)).rerun == (
        "taskmedic runbook run container-diagnostics --option service=search",
        "taskmedic runbook run container-diagnostics --option service=checkout",
    )


def test_the_line_for_a_shell_hides_secrets_and_never_the_names_of_ecs() -> None:
    options = {"cluster": "sk-proj-tracker-eu-west-1", "command": "login --password hunter2"}

    (rerun,) = report_of(an_input(plan=a_plan() | {"options": options})).rerun

    assert "--option cluster=sk-proj-tracker-eu-west-1 " in rerun
    assert "hunter2" not in rerun


def test_a_long_option_is_shortened_and_many_of_them_left_out() -> None:
    (one,) = report_of(an_input(plan=a_plan() | {"options": {"command": "#" * 50_000}})).rerun
    (many,) = report_of(
        an_input(plan=a_plan() | {"options": {f"o{n}": "'" * 50_000 for n in range(50)}})
    ).rerun

    assert one.endswith("####... (cut)'")
    assert len(one) < 300
    assert many == "taskmedic runbook run container-diagnostics (with options too long to show)"


def test_secrets_in_options_reasons_and_alerts_are_hidden() -> None:
    secret = "s3cr3tvalue99"
    options = {
        "url": f"postgres://u:{secret}@db/x",
        "db_password": secret,
        "command": f"DB_PASSWORD={secret} x",
    }
    given = an_input(
        decision="skip",
        reason=f"option password={secret} is not allowed",
        plan=a_plan() | {"options": options, "left_out": [f"x: password={secret}"]},
    )
    given["trigger"] |= {"targets": [], "looked_at": [f'alert QA (it has tags; tags "password={secret}")']}

    said = json.dumps(report_of(given).to_json())

    assert secret not in said
    assert "postgres://u:****@db/x" in said


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\x1b[31mERROR\x1b[0m bad", "ERROR bad"),
        ("\x1b]0;title\x07ready \x1b]8;;http://x\x1b\\link", "ready link"),
        ("bell\x07 nul\x00 back\x08 del\x7f c1\x85 \x9b1mbold", "bell nul back del c1 bold"),
        ("10%\r50%\r100%\ndone\r\nnext", "100%\ndone\nnext"),
        ("a\tb\nc", "a\tb\nc"),
        ("half \ud83d of it, \U0001f600 whole", "half \ufffd of it, \U0001f600 whole"),
    ],
)
def test_what_a_terminal_would_act_on_is_not_in_the_report(written: str, read: str) -> None:
    outcome = an_outcome("dump", "command", data={"results": [a_result(head=written)]}, summary=written)

    (step,) = report_of(an_input(outcome, plan=None)).steps

    assert step.outputs[0].text == read
    assert step.summary == read


def test_no_half_character_anywhere_keeps_a_report_from_being_sent() -> None:
    half = "\ud83d"
    given = an_input(
        an_outcome("dump", "command", summary=half, data={"results": [a_result(node=half, head=half)]}),
        errors(a_diagnosis(title=half, cause=half, evidence=[half])),
        reason=half,
        plan=a_plan() | {"options": {"command": half}},
        error={"Error": half, "Cause": half},
    )

    json.dumps(report_of(given).to_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize("cause", ["", "plain", "{", "[]", '{"errorMessage": ""}', '{"x": 1}'])
def test_an_error_of_any_form_is_words(cause: str) -> None:
    report = report_of(an_input(error={"Error": "States.Timeout", "Cause": cause}))

    assert report.error == (cause or "States.Timeout")


def test_a_bare_input_is_a_report() -> None:
    report = report_of({"run": {}, "trigger": None, "plan": None, "outcomes": None, "error": None})

    assert report.outcome == "skipped"
    assert report.started_by == "hand"
    json.dumps(report.to_json())


def test_as_json_it_has_headline_and_outcome() -> None:
    document = report_of(an_input(errors(a_diagnosis()))).to_json()

    assert document["headline"].startswith("The container ran out of memory")
    assert document["outcome"] == "succeeded"
    assert document["finding"]["category"] == "container.oom_killed"
