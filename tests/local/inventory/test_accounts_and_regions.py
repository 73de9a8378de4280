"""Runbooks over other accounts and regions, through the state machine, on a local cloud of its own.

A local cloud of its own, because the runbooks are not shipped: they are deployed from a copy of the
application's folder to which they are added.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pytest

from taskmedic_local.cloud import TEMPLATE

ROOT = TEMPLATE.parent
OWN, SHOP, PAY, BOOKS = "123456789012", "222222222222", "333333333333", "555555555555"
REGIONS = {SHOP: "eu-west-1", PAY: "ap-southeast-2", BOOKS: "eu-central-1"}
NO_ROLE = "arn:aws:iam::444444444444:user/reader"

BOTH = f"""
name: both-accounts
description: Looks into the containers of two accounts, then replaces them.
nodes:
  sources:
    - clusters: shop
      region: eu-west-1
      assume_role_arn: "arn:aws:iam::{SHOP}:role/taskmedic"
      external_id: shop
    - {{clusters: shop, region: ap-southeast-2, assume_role_arn: "arn:aws:iam::{PAY}:role/taskmedic"}}
    - {{clusters: shop, region: us-east-1, assume_role_arn: "{NO_ROLE}"}}
  filter: "ECS:Container-Name: app"
dispatch: {{threads: 2, keep_going: true}}
steps:
  - name: look
    command: {{script: "echo in ${{node.account}} ${{node.region}}", timeout: 20s}}
  - name: replace
    stop_task: {{reason: "seen enough", max_tasks: 2, wait: 60s}}
"""

WHY = f"""
name: why-there
description: Says why tasks of another account stopped.
priority: 1
triggers:
  - task_stopped: {{cluster: shop}}
nodes:
  clusters: shop
  region: eu-central-1
  assume_role_arn: "arn:aws:iam::{BOOKS}:role/taskmedic"
  external_id: shop
  allow_empty: true
steps:
  - {{name: bare, stopped_tasks: {{}}}}
  - {{name: named, stopped_tasks: {{cluster: shop}}}}
"""

SERVE = """
import json, sys
from pathlib import Path
from taskmedic_local.cloud import LocalCloud
with LocalCloud(template=Path(sys.argv[1])) as cloud:
    print(json.dumps(cloud.info), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application's folder with two more runbooks."""
    folder = tmp_path_factory.mktemp("application")
    for name in ("template.yaml", "functions", "statemachines"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "layers").mkdir()
    (folder / "layers/core").symlink_to(ROOT / "layers/core")
    shutil.copytree(ROOT / "layers/runbooks", folder / "layers/runbooks")
    (folder / "layers/runbooks/runbooks/both-accounts.yaml").write_text(BOTH)
    (folder / "layers/runbooks/runbooks/why-there.yaml").write_text(WHY)
    return folder / "template.yaml"


@pytest.fixture(scope="module")
def info(application: Path) -> Iterator[dict[str, Any]]:
    """A local cloud of that application, in a process of its own; it ends when its input does."""
    command = [sys.executable, "-c", SERVE, str(application)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())
        assert process.stdin
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == 0


Client = Callable[..., Any]


@pytest.fixture(scope="module")
def client(info: dict[str, Any]) -> Client:
    """``client("ecs", account)``: as an administrator of that account would have it, in its region."""
    own = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")

    def make(service: str, account: str = "") -> Any:
        session = own
        if account not in {"", OWN}:
            keys = own.client("sts", endpoint_url=info["endpoint"]).assume_role(
                RoleArn=f"arn:aws:iam::{account}:role/admin", RoleSessionName="setup"
            )["Credentials"]
            session = boto3.Session(
                keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGIONS[account]
            )
        return session.client(service, endpoint_url=info["endpoint"])  # type: ignore[call-overload]

    return make


def trusted_by(service: str) -> str:
    return policy({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def a_running_task(client: Client, account: str) -> str:
    """Cluster ``shop`` with one task that takes commands; its ARN."""
    iam, ecs = client("iam", account), client("ecs", account)
    iam.create_role(RoleName="task", AssumeRolePolicyDocument=trusted_by("ecs-tasks.amazonaws.com"))
    allowed = policy({"Action": "ssmmessages:*", "Resource": "*"})
    iam.put_role_policy(RoleName="task", PolicyName="exec", PolicyDocument=allowed)
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="shop",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        taskRoleArn=f"arn:aws:iam::{account}:role/task",
        containerDefinitions=[{"name": "app", "image": "public.ecr.aws/shop/app:1"}],
    )
    subnet = client("ec2", account).describe_subnets()["Subnets"][0]["SubnetId"]
    started = ecs.run_task(
        cluster="shop",
        taskDefinition="shop",
        launchType="FARGATE",
        enableExecuteCommand=True,
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )
    return str(started["tasks"][0]["taskArn"])


def executed(
    info: dict[str, Any], client: Client, wait_for: Callable[..., Any], given: dict[str, Any]
) -> dict[str, Any]:
    """The output of an execution of the state machine."""
    states = client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=info["state_machines"]["remediation"], input=json.dumps(given)
    )["executionArn"]
    wait_for(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 60)
    return dict(json.loads(states.describe_execution(executionArn=arn)["output"]))


def described(client: Client, account: str, task: str) -> dict[str, Any]:
    (found,) = client("ecs", account).describe_tasks(cluster="shop", tasks=[task])["tasks"]
    return dict(found)


def takes_commands(task: dict[str, Any]) -> bool:
    agents = task["containers"][0].get("managedAgents", [])
    return task["lastStatus"] == "RUNNING" and [agent["lastStatus"] for agent in agents] == ["RUNNING"]


def assumed_by(info: dict[str, Any], function: str) -> int:
    """How often functions of such a name have called sts:AssumeRole."""
    with urlopen(f"{info['endpoint']}/_local/calls") as answer:
        counts = json.load(answer)
    return sum(
        c["count"] for c in counts if c["operation"] == "AssumeRole" and function in c["function"].lower()
    )


def test_one_runbook_reads_both_runs_a_command_and_a_stop_in_each_and_reports_the_role_that_fails(
    info: dict[str, Any], client: Client, wait_for: Callable[..., Any]
) -> None:
    # Given a task in each of two accounts and regions
    tasks = {account: a_running_task(client, account) for account in (SHOP, PAY)}
    for account, task in tasks.items():
        wait_for(lambda account=account, task=task: takes_commands(described(client, account, task)))
    before = assumed_by(info, "find")
    # When the runbook is run
    output = executed(info, client, wait_for, {"runbook": "both-accounts"})
    # Then the command ran in each account
    look, replace = output["steps"]
    said = sorted(result["head"].strip() for result in look["data"]["results"])
    assert said == [f"in {SHOP} eu-west-1", f"in {PAY} ap-southeast-2"]
    # and each task was stopped, in its account and by nobody else
    assert (look["outcome"], replace["outcome"]) == ("succeeded", "succeeded")
    for account, task in tasks.items():
        stopped = described(client, account, task)
        assert stopped["lastStatus"] == "STOPPED"
        assert "seen enough" in stopped["stoppedReason"]
    # and the role that could not be assumed is reported
    assert f"not read: the role cannot be assumed ({NO_ROLE})" in look["summary"]
    # and each of the others was assumed once to find the nodes
    assert assumed_by(info, "find") - before == 2


def test_stopped_tasks_of_another_account_are_read_there_and_not_in_ours(
    info: dict[str, Any], client: Client, wait_for: Callable[..., Any]
) -> None:
    # Given a task stopped in cluster `shop` of another account, and one in our own cluster of that name
    tasks = {account: a_running_task(client, account) for account in (OWN, BOOKS)}
    for account, task in tasks.items():
        # The words of our own stops, so that the event of this one starts nothing
        client("ecs", account).stop_task(cluster="shop", task=task, reason="Taskmedic: for this test")
        wait_for(lambda a=account, t=task: described(client, a, t)["lastStatus"] == "STOPPED")
    theirs = described(client, BOOKS, tasks[BOOKS])
    event = {
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "account": BOOKS,
        "region": REGIONS[BOOKS],
        "detail": {**theirs, "version": 7, "stoppedReason": "Scaling activity initiated by a deployment"},
    }
    # When a runbook is run for the other account, by that task's event and by hand
    for given in (json.loads(json.dumps(event, default=str)), {"runbook": "why-there"}):
        output = executed(info, client, wait_for, given)
        # Then each step tells of the other account's task and not of ours
        assert output["runbook"] == "why-there"
        for step in output["steps"]:
            assert step["outcome"] == "succeeded", step["summary"]
            told = [task for diagnosis in step["data"]["diagnoses"] for task in diagnosis["tasks"]]
            assert told == [tasks[BOOKS]]
