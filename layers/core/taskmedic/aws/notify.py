"""Other readers of a report: an SNS topic, and Slack by its incoming webhook."""

from __future__ import annotations

import json
from typing import Any, Final

import urllib3
from urllib3.exceptions import HTTPError

from taskmedic.aws.errors import translated
from taskmedic.domain.errors import SlackRefused
from taskmedic.domain.report import Report
from taskmedic.domain.report_slack import slack_message
from taskmedic.domain.report_text import text_of

# SNS takes 256 KiB in all, with the attributes (its API reference, Publish). Plain text and JSON are in one
# message, and are halved where their quotation marks make it too long.
MAX_MESSAGE_BYTES: Final = 252 * 1024
MAX_TEXT_BYTES: Final = 32 * 1024
MAX_JSON_BYTES: Final = 48 * 1024
JSON_READERS: Final = ("https", "lambda", "sqs")
MAX_SUBJECT: Final = 100
SLACK_SECONDS: Final = 5.0


def publish(sns: Any, topic_arn: str, report: Report) -> None:
    """Publishes the report: plain text for mail, JSON for queues, functions and HTTPS endpoints.

    Attributes to filter by: ``decision``, ``outcome``, ``runbook``, ``cluster``, ``service``.

    Raises:
        AwsError: SNS refused.
    """
    message = _message(report, MAX_TEXT_BYTES, MAX_JSON_BYTES)
    if len(message.encode()) > MAX_MESSAGE_BYTES:
        message = _message(report, MAX_TEXT_BYTES // 2, MAX_JSON_BYTES // 2)
    facts = {
        "decision": report.decision,
        "outcome": report.outcome,
        "runbook": report.runbook,
        "cluster": report.cluster,
        "service": report.service,
    }
    with translated("cannot publish the report", topic_arn):
        sns.publish(
            TopicArn=topic_arn,
            Subject=_subject(report),
            MessageStructure="json",
            Message=message,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in facts.items() if value
            },
        )


def post_to_slack(pool: urllib3.PoolManager, webhook_url: str, report: Report) -> None:
    """Posts the report. The URL is a secret, and is in no error.

    Raises:
        SlackRefused: Slack refused or cannot be reached.
    """
    try:
        response = pool.request(
            "POST",
            webhook_url,
            body=json.dumps(slack_message(report)).encode(),
            headers={"Content-Type": "application/json"},
            timeout=SLACK_SECONDS,
            retries=False,
            redirect=False,
        )
    except HTTPError as error:
        raise SlackRefused("cannot post to Slack", why=f"no answer came ({type(error).__name__})") from None
    if response.status >= 300:
        why = f"{response.status} {response.data[:100].decode(errors='replace')}"
        raise SlackRefused(
            "cannot post to Slack", why=why, remedy="Check the webhook's URL in the Slack secret."
        )


def _subject(report: Report) -> str:
    """SNS takes ASCII without control characters, up to 100."""
    text = "".join(letter if " " <= letter <= "~" else "?" for letter in f"Taskmedic: {report.headline}")
    return text[:MAX_SUBJECT]


def _message(report: Report, text_bytes: int, json_bytes: int) -> str:
    plain, document = text_of(report, limit_bytes=text_bytes), _document(report, json_bytes)
    message = {"default": plain, "sms": report.headline[:140], **dict.fromkeys(JSON_READERS, document)}
    return json.dumps(message, ensure_ascii=False)


def _document(report: Report, limit_bytes: int) -> str:
    """The report as JSON, without what makes it too long: outputs, then evidence, then steps and targets."""
    whole = report.to_json()
    quiet = {**whole, "steps": [{**step, "outputs": []} for step in whole["steps"]]}
    brief = [{**step, "summary": step["summary"][:200], "evidence": []} for step in quiet["steps"]]
    bare = {**whole, "steps": [], "looked_at": [], "left_out": [], "rerun": []}
    for document in (whole, quiet, {**quiet, "steps": brief}, bare):
        text = json.dumps(document, ensure_ascii=False)
        if len(text.encode()) <= limit_bytes:
            break
    return text
