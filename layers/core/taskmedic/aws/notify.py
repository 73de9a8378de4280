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

# SNS takes 256 KiB in all (its API reference, Publish). Plain text and JSON are in one message.
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
    plain, document = text_of(report, limit_bytes=MAX_TEXT_BYTES), _document(report)
    message = {"default": plain, "sms": report.headline[:140], **dict.fromkeys(JSON_READERS, document)}
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
            Message=json.dumps(message, ensure_ascii=False),
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


def _document(report: Report) -> str:
    """The report as JSON, without the outputs if it would be too long."""
    document = report.to_json()
    text = json.dumps(document, ensure_ascii=False)
    if len(text.encode()) > MAX_JSON_BYTES:
        document["steps"] = [{**step, "outputs": []} for step in document["steps"]]
        text = json.dumps(document, ensure_ascii=False)
    return text
