"""`taskmedic send`, `runbook` and `stop` against the local cloud, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskmedic.aws.clients import Access, Clients
from taskmedic.domain.errors import ActionFailed, ClusterNotFound, InputError, TaskNotFound
from taskmedic_cli.main import cli

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "events"


@pytest.fixture
def taskmedic(cloud, monkeypatch):
    """``taskmedic("stop", …)``: the command's result; an error of ours is raised as it is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    monkeypatch.chdir(ROOT)

    def call(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def shown(result):
    return json.loads(result.stdout)


def test_an_event_is_sent_to_the_bus_and_its_execution_followed(taskmedic):
    result = taskmedic("send", EVENTS / "ecs/out-of-memory.json", "--wait", "--json")

    assert result.exit_code == 0
    assert shown(result)["status"] == "SUCCEEDED"
    assert shown(result)["output"]["runbook"] == "diagnose"


def test_a_pagerduty_body_is_signed_and_sent_to_the_webhook(taskmedic, cloud, tmp_path):
    incident = cloud.pagerduty.open_incident("checkout is slow", webhook=False)
    event = {
        "id": "1",
        "event_type": "incident.triggered",
        "data": {"id": incident["id"], "type": "incident"},
    }
    path = tmp_path / "incident.json"
    path.write_text(json.dumps({"event": event}))

    result = taskmedic("send", path, "--json")

    assert result.exit_code == 0
    assert ":execution:remediation:pd-" in shown(result)["execution_arn"]


def test_an_event_sent_again_is_a_repeat_and_sent_as_new_it_is_none(taskmedic):
    def decision(*words):
        return shown(taskmedic("send", EVENTS / "ecs/exit-code.json", "--wait", "--json", *words))["output"]

    assert [decision()["decision"], decision()["decision"]] == ["run", "skip"]
    assert decision("--new")["decision"] == "run"


def test_what_signs_nothing_is_sent_with_the_bearer_secret_once_there_is_one(taskmedic, cloud, aws, wait_for):
    samples = sorted((EVENTS / "pagerduty").glob("action-*.json"))
    with pytest.raises(InputError, match="no secret is stored in bearer_secrets"):
        taskmedic("send", samples[0])
    value = {"signing_secrets": [cloud.webhook_secret], "bearer_secrets": ["of-this-test-alone"]}
    aws("secretsmanager").put_secret_value(
        SecretId=cloud.deployment.outputs["WebhookSecretArn"], SecretString=json.dumps(value)
    )
    receivers = [one for one in cloud.lambdas._workers if "ReceiveWebhook" in cloud.lambdas.function_of(one)]
    for one in receivers:  # they may know the secret as it was
        cloud.lambdas.kill_caller(one)
    wait_for(lambda: not cloud.lambdas._workers.keys() & set(receivers))

    started = [shown(taskmedic("send", path, "--json"))["execution_arn"] for path in samples]

    assert len(samples) == 3
    assert all(":execution:remediation:pd-" in arn for arn in started)


def test_a_manual_start_is_started(taskmedic):
    result = taskmedic("send", EVENTS / "manual/list-nodes.json", "--wait")

    assert result.exit_code == 0
    assert "step      nodes (find_nodes): succeeded. 6 containers found" in result.output


def test_an_event_that_the_rule_keeps_out_is_said_to_start_nothing(taskmedic, monkeypatch):
    monkeypatch.setattr("taskmedic_cli.commands.send.ANSWER_WITHIN_S", 0.3)

    with pytest.raises(ActionFailed, match="no execution was started for the event"):
        taskmedic("send", EVENTS / "ecs/stopped-by-user.json")


def test_what_is_no_trigger_is_refused_before_it_is_sent(taskmedic, tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"hello": 1}')

    with pytest.raises(InputError, match="none of the three triggers"):
        taskmedic("send", path)


def test_a_failed_execution_is_exit_code_1(taskmedic, tmp_path):
    path = tmp_path / "manual.json"
    path.write_text('{"runbook": "nope"}')

    result = taskmedic("send", path, "--wait")

    assert result.exit_code == 1
    assert "RunbookNotFound: there is no runbook nope" in result.output


def test_a_runbook_is_run_with_its_options(taskmedic):
    options = [
        "--option",
        "cluster=prod",
        "--option",
        "service=search",
        "--option",
        "command=echo from the runbook",
    ]

    result = taskmedic("runbook", "run", "run-command", *options, "--wait", "--json")

    assert result.exit_code == 0
    heads = [each["head"] for each in shown(result)["output"]["steps"][0]["data"]["results"]]
    assert heads == ["from the runbook\n"] * 2


def test_a_dry_run_does_nothing(taskmedic, aws):
    task = aws("ecs").list_tasks(cluster="prod", serviceName="search")["taskArns"][0]
    options = ["--option", "cluster=prod", "--option", f"task={task}"]

    result = taskmedic("runbook", "run", "stop-task", *options, "--dry-run", "--wait", "--json")

    assert shown(result)["output"]["decision"] == "dry_run"
    assert [step["outcome"] for step in shown(result)["output"]["steps"]] == ["planned"]
    assert aws("ecs").describe_tasks(cluster="prod", tasks=[task])["tasks"][0]["lastStatus"] == "RUNNING"


def test_a_runbook_whose_step_failed_is_exit_code_1(taskmedic):
    options = ["--option", "cluster=prod", "--option", "service=search", "--option", "command=exit 7"]

    assert taskmedic("runbook", "run", "run-command", *options, "--wait").exit_code == 1


def test_every_stock_runbook_is_listed_shown_and_valid(taskmedic):
    listed = shown(taskmedic("runbook", "list", "--json"))

    assert len(listed) == 8
    for book in listed:
        assert taskmedic("runbook", "show", book["name"]).output.startswith(f"name: {book['name']}\n")
    assert taskmedic("runbook", "validate").exit_code == 0


def test_a_wrong_runbook_is_named_by_file_line_and_field(taskmedic, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndescription: x\nsteps:\n  - name: a\n    comand: {script: ls}\n")

    result = taskmedic("runbook", "validate", path)

    assert result.exit_code == 2
    assert "mine.yaml:5" in result.output
    assert "comand" in result.output


def test_stop_waits_until_ecs_says_stopped(taskmedic, aws):
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]

    result = taskmedic("stop", "--cluster", "prod", "--task", task, "--reason", "hung", "--json")

    assert shown(result) == {
        "task_arn": task,
        "outcome": "stopped",
        "last_status": "STOPPED",
        "stop_code": "UserInitiated",
    }
    again = taskmedic("stop", "--cluster", "prod", "--task", task, "--json")
    assert shown(again)["outcome"] == "already_stopped"


def test_stop_in_another_account_goes_by_its_role_and_external_id(taskmedic, aws, monkeypatch):
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    role = "arn:aws:iam::222222222222:role/taskmedic"
    asked = []
    get = Clients.get

    def recorded(self, service, access=None, *, retry=True):
        asked.append((service, access))
        return get(self, service, access, retry=retry)

    monkeypatch.setattr(Clients, "get", recorded)
    there = ["--assume-role-arn", role, "--external-id", "x-1"]

    with pytest.raises(ClusterNotFound, match="prod"):  # that account has none
        taskmedic("stop", "--cluster", "prod", "--task", task, *there)

    assert ("ecs", Access("us-east-1", role, "x-1")) in asked  # the region of the task's ARN
    [left] = aws("ecs").describe_tasks(cluster="prod", tasks=[task])["tasks"]
    assert left["lastStatus"] == "RUNNING"


def test_a_stop_by_hand_starts_no_remediation(taskmedic, aws, cloud, run):
    task = aws("ecs").list_tasks(cluster="prod", serviceName="checkout")["taskArns"][0]
    taskmedic("stop", "--cluster", "prod", "--task", task)
    [stopped] = aws("ecs").describe_tasks(cluster="prod", tasks=[task])["tasks"]
    event = json.loads((EVENTS / "ecs/own-stop.json").read_text())
    event["detail"] |= {"taskArn": task, "stoppedReason": stopped["stoppedReason"]}

    output = json.loads(run(event)["output"])

    assert output["decision"] == "skip"


def test_a_task_that_does_not_exist_is_not_stopped_but_named(taskmedic):
    with pytest.raises(TaskNotFound, match=r"task 0{32} does not exist"):
        taskmedic("stop", "--cluster", "prod", "--task", "0" * 32)
