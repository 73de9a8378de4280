"""The HTTP API hands requests to functions and their answers back, as API Gateway does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import urllib3
from samtranslator.yaml_helper import yaml_parse
from werkzeug.test import Client

from taskmedic_local.http_api import MAX_BODY_BYTES, HttpApi
from taskmedic_local.lambdas import Result, TooManyRequests

TEMPLATE = Path(__file__).resolve().parents[3] / "template.yaml"


class Api:
    """An API with one route, whose function notes the event it gets."""

    def __init__(self, answer):
        self.events = []
        self._answer = answer
        self.client = Client(HttpApi({("POST", "/hook"): self._invoke}))

    def _invoke(self, payload):
        self.events.append(json.loads(payload))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def answering(value):
    return Api(Result(json.dumps(value).encode()))


def test_the_function_gets_an_event_of_format_2():
    api = answering({"statusCode": 202})

    api.client.post(
        "/hook?a=1&b=2&b=%203",
        data=b'{"x": 1}',
        headers={"X-Signature": "v1=ab", "Content-Type": "application/json"},
    )

    (event,) = api.events
    assert (event["version"], event["routeKey"], event["rawQueryString"]) == (
        "2.0",
        "POST /hook",
        "a=1&b=2&b=%203",
    )
    assert event["queryStringParameters"] == {"a": "1", "b": "2, 3"}
    assert event["headers"]["x-signature"] == "v1=ab"
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert event["requestContext"]["http"]["method"] == "POST"


@pytest.mark.parametrize(
    ("content_type", "body"), [("application/octet-stream", b"plain"), ("application/json", b"\xff\xfe")]
)
def test_a_body_that_is_no_text_comes_in_base64(content_type, body):
    api = answering({"statusCode": 202})

    api.client.post("/hook", data=body, content_type=content_type)

    (event,) = api.events
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_an_empty_body_is_left_out():
    api = answering({"statusCode": 202})

    api.client.post("/hook")

    assert "body" not in api.events[0]
    assert "queryStringParameters" not in api.events[0]


def test_the_functions_status_headers_and_body_come_back():
    api = answering(
        {"statusCode": 401, "headers": {"X-Why": "no", "Content-Type": "application/json"}, "body": "{}"}
    )

    answer = api.client.post("/hook")

    assert (answer.status_code, answer.headers["x-why"], answer.data) == (401, "no", b"{}")
    assert answer.headers["content-type"] == "application/json"


def test_an_answer_in_base64_is_decoded():
    api = answering(
        {"statusCode": 200, "body": base64.b64encode(b"\x00\x01").decode(), "isBase64Encoded": True}
    )

    assert api.client.post("/hook").data == b"\x00\x01"


def test_a_value_without_a_status_is_a_json_body():
    answer = answering({"a": 1}).client.post("/hook")

    assert (answer.status_code, answer.json) == (200, {"a": 1})


@pytest.mark.parametrize("status", ["many", 99999, None])
def test_a_status_that_is_none_is_an_internal_error(status):
    assert answering({"statusCode": status}).client.post("/hook").status_code == 500


def test_a_function_that_fails_is_an_internal_error_without_its_words():
    api = Api(Result(b'{"errorMessage": "secret"}', "Unhandled"))

    answer = api.client.post("/hook")

    assert (answer.status_code, answer.json) == (500, {"message": "Internal Server Error"})


def test_a_throttled_function_is_unavailable():
    assert Api(TooManyRequests()).client.post("/hook").status_code == 503


@pytest.mark.parametrize(("method", "path"), [("GET", "/hook"), ("POST", "/other")])
def test_what_has_no_route_is_not_found(method, path):
    api = answering({"statusCode": 202})

    assert api.client.open(path, method=method).status_code == 404
    assert api.events == []


def test_a_body_over_ten_megabytes_never_reaches_the_function():
    api = answering({"statusCode": 202})

    assert api.client.post("/hook", data=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    assert api.events == []


def test_the_webhook_of_the_template_answers(cloud):
    answer = urllib3.request("POST", cloud.info["webhook_url"], body=b"{}")

    assert answer.status == 401  # unsigned


def test_a_refused_webhook_is_counted_as_the_alarm_counts_it(cloud, aws, wait_for):
    alarm = yaml_parse(TEMPLATE.read_text())["Resources"]["WebhooksRefusedAlarm"]["Properties"]
    headers = {"X-PagerDuty-Signature": "v1=" + "0" * 64}

    urllib3.request("POST", cloud.info["webhook_url"], body=b"{}", headers=headers)

    [metric] = wait_for(lambda: metrics_of(aws("logs"), "ReceiveWebhook", "Webhooks_403"))
    [directive] = metric["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], alarm["MetricName"]) == (alarm["Namespace"], "Webhooks_403")
    assert [{"Name": name, "Value": metric[name]} for name in directive["Dimensions"][0]] == alarm[
        "Dimensions"
    ]


def metrics_of(logs, function, metric):
    """What the function wrote of ``metric``, in CloudWatch's embedded metric format."""
    groups = [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]]
    [group] = [name for name in groups if function in name]
    lines = [one["message"] for one in logs.filter_log_events(logGroupName=group)["events"]]
    return [json.loads(line) for line in lines if '"_aws"' in line and f'"{metric}"' in line]
