"""A report as text, for Slack and for SNS."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.builders import a_diagnosis, a_plan, a_result, a_step, an_input, an_outcome
from urllib3.exceptions import ReadTimeoutError

from taskmedic.aws.notify import post_to_slack, publish
from taskmedic.domain.errors import AwsRefused, SlackRefused
from taskmedic.domain.report import Report
from taskmedic.domain.report_input import report_of
from taskmedic.domain.report_slack import slack_message
from taskmedic.domain.report_text import text_of

NOTE = 65_535


def a_report(*results: dict[str, Any], **facts: Any) -> Report:
    plan = a_plan(
        a_step("errors", "stopped_tasks"), a_step("dump", "command"), a_step("replace", "stop_task")
    )
    outcomes = [
        an_outcome(data={"diagnoses": [a_diagnosis()]}, summary="2 tasks of search stopped in the last hour"),
        an_outcome(
            "dump",
            "command",
            outcome="failed",
            summary="1 of 2 nodes exited 0",
            data={"results": list(results)},
            evidence=[{"title": "Outputs", "bucket": "evidence", "key": "runs/x.json"}],
        ),
    ]
    return report_of(an_input(*outcomes, plan=plan, **facts))


def test_the_note_reads_from_the_finding_to_how_to_run_it_again() -> None:
    text = text_of(a_report(a_result()), limit_bytes=NOTE, last_line="mark")

    assert text == (
        "The container ran out of memory (service search, container app, 2 tasks)\n"
        "\n"
        "Cause: Container app reached its limit of 512 MiB and the kernel killed it.\n"
        "\n"
        "What helps:\n"
        "- Raise the memory of the task definition.\n"
        "- Look for a leak.\n"
        "\n"
        "Done:\n"
        "- errors: 2 tasks of search stopped in the last hour\n"
        "\n"
        "Not done:\n"
        "- dump: failed, 1 of 2 nodes exited 0\n"
        "- replace: not run, an earlier step failed\n"
        "\n"
        "errors, The container ran out of memory:\n"
        "  containers[app].exitCode: 137\n"
        "\n"
        "dump, 0123/app (exit 0):\n"
        "  PID COMMAND\n"
        "  1 java\n"
        "\n"
        "Execution: https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1"
        "#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:remediation:pd-0f1e2d3c\n"
        "Outputs: https://eu-west-1.console.aws.amazon.com/s3/object/evidence"
        "?region=eu-west-1&prefix=runs/x.json\n"
        "\n"
        "Taskmedic, runbook container-diagnostics (1a2b3c4d5e6f), started by incident Q1 "
        "at 2026-11-21 03:12 UTC.\n"
        "Again: taskmedic runbook run container-diagnostics --option cluster=prod --option service=search\n"
        "mark"
    )


def test_at_the_start_it_says_what_is_to_come() -> None:
    text = text_of(report_of(an_input(phase="started")), limit_bytes=NOTE)

    assert text.startswith("Taskmedic is at work with runbook container-diagnostics\n")
    assert "Still to come:\n- errors\n" in text
    assert "Not done" not in text


def test_an_error_beside_a_finding_is_not_lost_and_a_failed_steps_error_not_said_twice() -> None:
    error = {"Error": "NodeNotFound", "Cause": "no container matches"}
    assert "- no container matches" in text_of(a_report(error=error), limit_bytes=NOTE)

    error = {"Error": "StepFailed", "Cause": "1 of 2 nodes exited 0"}
    assert text_of(a_report(error=error), limit_bytes=NOTE).count("1 of 2 nodes exited 0") == 1


def test_without_a_target_it_says_what_was_looked_at_and_how_to_map_it() -> None:
    skipped = an_input(decision="skip", reason="option cluster is missing")
    skipped["trigger"] |= {"targets": [], "cluster": "", "looked_at": ["alert QA: no ECS cluster"]}

    text = text_of(report_of(skipped), limit_bytes=NOTE)

    assert "Looked at:\n- alert QA: no ECS cluster\n" in text
    assert '{"<PagerDuty service id>": {"cluster": "<cluster>", "service": "<service>"}}' in text
    assert "Not done" not in text
    assert "Again:" not in text


@pytest.mark.parametrize("limit", [2_000, 5_000, 20_000, NOTE])
def test_it_fits_by_cutting_outputs_first(limit: int) -> None:
    results = [a_result(f"{n:04}/app", head="ü" * 150 + "\n" + f"line {n}\n" * 40) for n in range(60)]

    text = text_of(a_report(*results), limit_bytes=limit, last_line="taskmedic-run:x")

    assert len(text.encode()) <= limit
    assert text.startswith("The container ran out of memory")
    assert "- dump: failed, 1 of 2 nodes exited 0\n" in text
    assert "Again: taskmedic runbook run" in text
    assert text.endswith("\ntaskmedic-run:x")
    assert "outputs are not shown here; the evidence has them." in text


@pytest.mark.parametrize(
    "facts",
    [
        {"decision": "skip", "reason": "x" * 70_000},
        {"plan": a_plan() | {"options": {"command": "#" * 55_000}}},
        {"outcomes": [an_outcome(f"s{n}", summary="é" * 1000) for n in range(200)]},
    ],
)
def test_however_much_there_is_to_say_how_to_run_it_again_is_kept(facts: dict[str, Any]) -> None:
    text = text_of(report_of(an_input(**facts)), limit_bytes=NOTE, last_line="mark")

    assert len(text.encode()) <= NOTE
    assert "\nAgain: taskmedic runbook run container-diagnostics" in text
    assert text.endswith("\nmark")


def test_targets_that_were_left_out_are_named_and_each_has_its_line_to_run() -> None:
    plan = a_plan() | {
        "left_out": [f"service s{n} in cluster prod: out of reach" for n in range(12)],
        "other_options": [{"service": f"o{n}"} for n in range(7)],
    }

    text = text_of(report_of(an_input(plan=plan)), limit_bytes=NOTE)

    assert "Left out:\n- service s0 in cluster prod: out of reach\n" in text
    assert "- service s9 in cluster prod: out of reach\n- and 2 more\n" in text
    assert text.count("Again: taskmedic runbook run") == 5
    assert text.endswith("\nAgain: likewise for 3 more targets.")


def test_a_long_output_is_cut_to_its_first_lines() -> None:
    text = text_of(a_report(a_result(head="\n".join(f"line {n}" for n in range(100)))), limit_bytes=NOTE)

    assert "  line 24\n  ... 75 more lines\n" in text


@given(
    head=st.text(max_size=3000),
    summary=st.text(max_size=2000),
    limit=st.integers(60, 4000),
    count=st.integers(0, 5),
)
def test_whatever_it_has_to_say_it_fits_and_ends_with_its_mark(
    head: str, summary: str, limit: int, count: int
) -> None:
    outcomes = [
        an_outcome(f"s{n}", "command", summary=summary, data={"results": [a_result(head=head)]})
        for n in range(count)
    ]
    text = text_of(report_of(an_input(*outcomes)), limit_bytes=limit, last_line="taskmedic-run:x")

    assert len(text.encode(errors="replace")) <= limit
    assert text.splitlines()[-1] == "taskmedic-run:x"


# Slack


def test_a_cause_that_aws_does_not_name_says_how_sure_it_is_and_what_it_rests_on() -> None:
    # Given: a kill that may have been for memory
    diagnosis = a_diagnosis(cause="It was killed.", confidence="medium", rests_on="containers[app].exitCode")
    report = report_of(an_input(an_outcome(data={"diagnoses": [diagnosis]})))

    text = text_of(report, limit_bytes=NOTE, last_line="mark")

    assert "Cause: It was killed. (Confidence medium: it rests on containers[app].exitCode.)\n" in text


def test_slack_gets_blocks_within_its_limits_and_nothing_it_would_interpret() -> None:
    diagnosis = a_diagnosis(title="<!channel> & " + "x" * 400, cause="y" * 9000)
    report = report_of(an_input(an_outcome(data={"diagnoses": [diagnosis]}, summary="<@U1>")))

    message = slack_message(report)

    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        text = block["text"]["text"] if "text" in block else block["elements"][0]["text"]
        assert len(text) <= (150 if block["type"] == "header" else 3000)
    assert "<@U1>" not in json.dumps(message)
    assert "<!channel>" not in message["text"]
    assert message["text"].startswith("&lt;!channel&gt; &amp; xxx")


class SlackPool:
    def __init__(self, answer: urllib3.HTTPResponse | Exception) -> None:
        self.answer = answer
        self.body: Any = None

    def request(self, method: str, url: str, body: bytes, **_: Any) -> urllib3.HTTPResponse:
        self.body = json.loads(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def slack_answers(status: int) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(io.BytesIO(b"no_service"), {}, status, preload_content=True)


def test_slacks_refusal_does_not_tell_the_secret_url() -> None:
    url = "https://hooks.slack.com/services/T0/B0/s3cret"
    for answer in (slack_answers(404), ReadTimeoutError(None, url, "timed out")):  # type: ignore[arg-type]
        with pytest.raises(SlackRefused) as raised:
            post_to_slack(SlackPool(answer), url, a_report())  # type: ignore[arg-type]
        assert "s3cret" not in str(raised.value)

    pool = SlackPool(slack_answers(200))
    post_to_slack(pool, url, a_report())  # type: ignore[arg-type]
    assert pool.body["text"].startswith("The container ran out of memory")


# SNS


class FakeSns:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.sent: dict[str, Any] = {}

    def publish(self, **request: Any) -> None:
        if self.failure:
            raise self.failure
        self.sent = request


def test_sns_gets_text_for_mail_and_json_for_machines() -> None:
    sns = FakeSns()
    publish(sns, "arn:topic", a_report(a_result()))

    message = json.loads(sns.sent["Message"])
    assert sns.sent["MessageStructure"] == "json"
    assert message["default"].startswith("The container ran out of memory (service search")
    assert len(message["sms"]) <= 140
    for protocol in ("sqs", "lambda", "https"):
        assert json.loads(message[protocol])["outcome"] == "failed"
    attributes = {name: value["StringValue"] for name, value in sns.sent["MessageAttributes"].items()}
    assert attributes == {
        "decision": "run",
        "outcome": "failed",
        "runbook": "container-diagnostics",
        "cluster": "prod",
        "service": "search",
    }


@pytest.mark.parametrize("count", [1, 10, 11, 12, 20, 200])
def test_sns_takes_no_empty_attribute_no_long_subject_and_256_kilobytes(count: int) -> None:
    results = [a_result(f"{n}/app", head='"é' * 1000) for n in range(count)]
    outcome = an_outcome("dump", "command", summary="Größe\n" * 90, data={"results": results})
    report = report_of(an_input(outcome, incident="", plan=a_plan() | {"runbook": ""}))

    sns = FakeSns()
    publish(sns, "arn:topic", report)

    assert len(sns.sent["Message"].encode()) < 256 * 1024
    assert len(sns.sent["Subject"]) <= 100
    assert sns.sent["Subject"].isascii()
    assert sns.sent["Subject"].isprintable()
    assert all(value["StringValue"] for value in sns.sent["MessageAttributes"].values())


def test_sns_gets_at_most_256_kilobytes_whatever_is_long() -> None:
    evidence = [{"title": '"E"', "bucket": "b", "key": '"' * 300}] * 10
    outcomes = [an_outcome(f"s{n}", summary='"q" ' * 400, evidence=evidence) for n in range(200)]
    plan = a_plan() | {
        "options": {"command": 'echo "x"\n' * 6000},
        "other_options": [{"command": '"' * 9000}] * 24,
        "left_out": ['"' * 2000] * 175,
    }
    diagnosis = a_diagnosis(cause='"' * 9000, advice=['"' * 9000] * 4)
    outcomes += [an_outcome("errors", data={"diagnoses": [diagnosis]})]

    sns = FakeSns()
    publish(sns, "arn:topic", report_of(an_input(*outcomes, plan=plan, reason='"' * 70_000)))

    assert len(sns.sent["Message"].encode()) < 255 * 1024
    message = json.loads(sns.sent["Message"])
    assert json.loads(message["sqs"])["finding"]["category"] == "container.oom_killed"
    assert len(message["default"]) > 1000


def test_sns_gets_at_most_256_kilobytes_where_quotation_marks_are_escaped_twice() -> None:
    outcome = an_outcome("dump", "command", data={"results": [a_result(head='"' * 23_000)]})

    sns = FakeSns()
    publish(sns, "arn:topic", report_of(an_input(outcome)))

    assert len(sns.sent["Message"].encode()) < 255 * 1024
    assert json.loads(json.loads(sns.sent["Message"])["sqs"])["steps"][0]["name"] == "errors"


def test_sns_refusing_is_our_error() -> None:
    failure = ClientError({"Error": {"Code": "NotFound", "Message": "no such topic"}}, "Publish")
    with pytest.raises(AwsRefused, match="no such topic"):
        publish(FakeSns(failure), "arn:topic", a_report())
