"""An incident, through the whole local cloud: webhook, execution, note; and the ways around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from taskmedic_local.cloud import LocalCloud

Wait = Callable[..., Any]
Aws = Callable[[str], Any]

ALARM = {
    "AlarmName": "search-5xx-rate",
    "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:search-5xx-rate",
    "Trigger": {
        "Namespace": "AWS/ECS",
        "Dimensions": [{"name": "ClusterName", "value": "prod"}, {"name": "ServiceName", "value": "search"}],
    },
}


class Incidents:
    """Opens incidents and sees what becomes of them."""

    def __init__(self, cloud: LocalCloud, aws: Aws, wait_for: Wait) -> None:
        self._cloud, self._aws, self._wait_for = cloud, aws, wait_for
        self.pagerduty = cloud.pagerduty
        self.machine = cloud.info["state_machines"]["remediation"]

    def open(self, details: Any = None, **facts: Any) -> str:
        alerts = [{"summary": "search-5xx-rate", "details": details}] if details else []
        return str(self.pagerduty.open_incident("search is slow", alerts=alerts, **facts)["id"])

    def settled(self, count: int) -> list[dict[str, Any]]:
        """Every execution, when there are ``count``, all have ended and no webhook is under way."""
        assert self.pagerduty.webhooks.settled(20)
        states = self._aws("stepfunctions")

        def ended() -> list[dict[str, Any]]:
            found = states.list_executions(stateMachineArn=self.machine)["executions"]
            done = len(found) >= count and all(one["status"] != "RUNNING" for one in found)
            return found if done else []

        self._wait_for(ended, 60)
        assert self.pagerduty.webhooks.settled(20)
        found = self._wait_for(ended, 60)
        return [states.describe_execution(executionArn=one["executionArn"]) for one in found]

    def notes(self, incident: str) -> list[str]:
        return [note["content"] for note in self.pagerduty.incident(incident)["notes"]]


@pytest.fixture
def incidents(cloud: LocalCloud, aws: Aws, wait_for: Wait) -> Incidents:
    return Incidents(cloud, aws, wait_for)


def output(execution: dict[str, Any]) -> dict[str, Any]:
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    answer: dict[str, Any] = json.loads(execution["output"])
    return answer


def test_an_incident_is_one_execution_and_one_note_that_grows(incidents: Incidents) -> None:
    incident = incidents.open(ALARM)

    (execution,) = incidents.settled(1)

    assert output(execution)["decision"] == "run"
    assert output(execution)["trigger"]["targets"][0]["service"] == "search"
    (note,) = incidents.notes(incident)
    assert "Done:\n" in note
    assert "diagnostics, " in note
    assert note.splitlines()[-1] == f"taskmedic-run:{execution['name']}"
    writes = [seen.method for seen in incidents.pagerduty.requests if seen.method != "GET"]
    assert writes == ["POST", *["PUT"] * (len(writes) - 1)]
    assert len(writes) >= 2


def test_our_own_writes_come_back_and_start_nothing(incidents: Incidents) -> None:
    incident = incidents.open(ALARM)
    incidents.settled(1)
    account = incidents.pagerduty.account
    us = account.users["taskmedic@example.com"]

    account.set_fields(account.incidents[incident], {"taskmedic_outcome": "x"}, us)
    account.set_status(account.incidents[incident], "acknowledged", us)

    executions = incidents.settled(2)
    decisions = sorted((output(one)["decision"], output(one)["reason"]) for one in executions)
    assert [decision for decision, _ in decisions] == ["run", "skip"]
    assert decisions[1][1] == "our own PagerDuty user did it (incident.acknowledged)"
    assert len(incidents.notes(incident)) == 1
    deliveries = incidents.pagerduty.webhooks.deliveries
    assert {one.event_type for one in deliveries} == {
        "incident.triggered",
        "incident.annotated",
        "incident.custom_field_values.updated",
        "incident.acknowledged",
    }
    assert {answer for one in deliveries for answer in one.answers} == {"202"}


def test_an_incident_that_is_resolved_by_then_is_not_acted_upon(incidents: Incidents) -> None:
    account = incidents.pagerduty.account
    url, incidents.pagerduty.webhooks.url = incidents.pagerduty.webhooks.url, ""
    incident = incidents.open(ALARM)
    person = account.users["ines@example.com"]
    account.set_status(account.incidents[incident], "resolved", person)
    incidents.pagerduty.webhooks.url = url

    # The webhook of its beginning comes late.
    late = account.webhook_incident(account.incidents[incident]) | {"status": "triggered"}
    account.emit("incident.triggered", late, incident)

    (execution,) = incidents.settled(1)
    steps = {step["type"] for step in output(execution)["steps"]}
    assert steps <= {"stopped_tasks", "find_nodes"}
    assert incidents.pagerduty.incident(incident)["status"] == "resolved"


def test_a_button_on_a_resolved_incident_is_answered_there(incidents: Incidents, aws: Aws) -> None:
    # Given an incident that was resolved before anybody saw it
    account, incidents.pagerduty.webhooks.url = incidents.pagerduty.account, ""
    incident = incidents.open(ALARM)
    account.set_status(account.incidents[incident], "resolved", account.users["ines@example.com"])

    # When a person asks for a runbook that acts
    request = {"runbook": "container-diagnostics", "incident_id": incident}
    start = {"source": "pagerduty.action", "delivery_id": "button-1", "request": request}
    aws("stepfunctions").start_execution(
        stateMachineArn=incidents.machine, name="button-1", input=json.dumps(start)
    )

    # Then nothing is done, and the incident says why
    (execution,) = incidents.settled(1)
    assert output(execution)["decision"] == "skip"
    (note,) = incidents.notes(incident)
    assert note.startswith("Nothing was done: the incident is resolved already, and runbook container-dia")
    assert incidents.pagerduty.incident(incident)["status"] == "resolved"


def test_of_two_services_the_one_out_of_reach_is_named_and_the_other_worked_on(incidents: Incidents) -> None:
    elsewhere = {**ALARM, "AlarmArn": "arn:aws:cloudwatch:us-east-1:999999999999:alarm:search-5xx-rate"}
    alerts = [{"summary": "elsewhere", "details": elsewhere}, {"summary": "here", "details": ALARM}]
    incident = str(incidents.pagerduty.open_incident("search is slow", alerts=alerts)["id"])

    (execution,) = incidents.settled(1)

    assert output(execution)["decision"] == "run"
    (note,) = incidents.notes(incident)
    assert "Left out:\n- service search, cluster prod, region us-east-1, account 999999999999: " in note
    assert {step["outcome"] for step in output(execution)["steps"]} == {"succeeded"}


def test_an_incident_nobody_can_place_is_told_how_to_map_it(incidents: Incidents, aws: Aws) -> None:
    incident = incidents.open({"tags": "service:payments"}, service_id="PPAY", service_name="Payments")

    (execution,) = incidents.settled(1)

    assert output(execution)["decision"] == "skip"
    (note,) = incidents.notes(incident)
    assert note.startswith("Taskmedic could not tell which ECS service this incident is about\n")
    assert 'tags "service:payments"' in note
    assert "- service map: no entry for PagerDuty service PPAY (Payments)" in note


def test_an_incident_is_not_lost_while_pagerduty_does_not_answer(incidents: Incidents) -> None:
    # Given a PagerDuty that is down for all tries of one call of the function
    incidents.pagerduty.set_fault("503", times=4, path=r"/incidents/[^/]+$")
    incident = incidents.open(ALARM)

    # Then the state machine asks again, and goes on from there
    (execution,) = incidents.settled(1)
    assert output(execution)["decision"] == "run"
    assert len(incidents.notes(incident)) == 1


def test_a_report_that_pagerduty_refuses_waits_in_a_queue_until_a_redrive(
    incidents: Incidents, aws: Aws, wait_for: Wait
) -> None:
    # Given a PagerDuty that refuses our token for notes
    incidents.pagerduty.set_fault("401", times=1000, path="/notes")
    incident = incidents.open(ALARM)

    # When the run is over
    (execution,) = incidents.settled(1)

    # Then it succeeded, and its report is in the queue
    assert output(execution)["report"]["channels"][0]["channel"] == "queue"
    assert incidents.notes(incident) == []
    sqs = aws("sqs")
    urls = {url.rsplit("/", 1)[-1]: url for url in sqs.list_queues()["QueueUrls"]}
    undelivered = next(url for name, url in urls.items() if "UndeliveredReports" in name)
    redrive = next(url for name, url in urls.items() if "ReportRedrive" in name)
    (message,) = sqs.receive_message(QueueUrl=undelivered)["Messages"]

    # And when PagerDuty is well again and the message is moved to the redrive queue, the note is there
    incidents.pagerduty.faults.clear()
    sqs.send_message(QueueUrl=redrive, MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=undelivered, ReceiptHandle=message["ReceiptHandle"])
    (note,) = wait_for(lambda: incidents.notes(incident), 30)
    assert note.splitlines()[-1] == f"taskmedic-run:{execution['name']}"


def test_a_request_by_bearer_secret_starts_what_it_names_once_its_secret_is_stored(
    incidents: Incidents, cloud: LocalCloud, aws: Aws, wait_for: Wait
) -> None:
    body = {"runbook": "stopped-task-errors", "options": {"cluster": "prod", "service": "search"}}

    def posted() -> tuple[int, dict[str, Any]]:
        answer = urllib3.request(
            "POST",
            cloud.info["webhook_url"],
            json=body,
            headers={"Authorization": "Bearer a-long-random-text", "Idempotency-Key": "one"},
            retries=False,
        )
        return answer.status, answer.json()

    # Given no bearer secret, this way in is off
    assert posted()[0] == 403

    # When one is stored, and the processes that know the old ones have ended
    (stack,) = aws("cloudformation").describe_stacks(StackName="taskmedic")["Stacks"]
    secret = next(out["OutputValue"] for out in stack["Outputs"] if out["OutputKey"] == "WebhookSecretArn")
    value = {"signing_secrets": [cloud.webhook_secret], "bearer_secrets": ["a-long-random-text"]}
    aws("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(value))
    receivers = [one for one in cloud.lambdas._workers if "ReceiveWebhook" in cloud.lambdas.function_of(one)]
    for one in receivers:
        cloud.lambdas.kill_caller(one)
    wait_for(lambda: not cloud.lambdas._workers.keys() & set(receivers))
    answers = [posted(), posted()]

    # Then it is taken, and a repeat is no second run
    assert [status for status, _ in answers] == [202, 202]
    (execution,) = incidents.settled(1)
    assert {answer["execution"] for _, answer in answers} == {execution["name"]}
    assert output(execution)["runbook"] == "stopped-task-errors"


def test_a_forged_webhook_starts_nothing(incidents: Incidents, cloud: LocalCloud) -> None:
    incidents.pagerduty.webhooks.secrets[:] = ["somebody else's"]
    incidents.open(ALARM)
    assert incidents.pagerduty.webhooks.settled(20)

    assert [one.answers for one in incidents.pagerduty.webhooks.deliveries] == [["403"]]
    incidents.pagerduty.webhooks.secrets[:] = ["somebody else's", cloud.webhook_secret]
    incidents.open(ALARM)
    assert len(incidents.settled(1)) == 1
