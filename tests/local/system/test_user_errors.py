"""What a user gets wrong, and the exact words they read."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import urllib3

REFUSED_STARTS = [
    pytest.param(
        {"runbook": "nope"},
        "RunbookNotFound",
        "there is no runbook nope (field runbook). There are: container-diagnostics, diagnose, "
        "java-thread-dump, list-nodes, replace-task, run-command, stop-task, stopped-task-errors.",
        id="unknown runbook",
    ),
    pytest.param(
        {"runbook": "list-nodes"},
        "OptionInvalid",
        "option cluster of runbook list-nodes is required (options.cluster). "
        "Cluster names or ARNs, comma-separated; * is every cluster.",
        id="missing option",
    ),
    pytest.param(
        {"runbook": "replace-task", "options": {"cluster": "prod", "task": "a b; rm"}},
        "OptionInvalid",
        "option task of runbook replace-task breaks its rule (options.task): "
        "'a b; rm' does not match the pattern [A-Za-z0-9:/_-]+. Task id or ARN.",
        id="option breaks its pattern",
    ),
    pytest.param(
        {"runbook": "list-nodes", "options": {"cluster": "prod", "x": "1"}},
        "OptionInvalid",
        "runbook list-nodes has no option x (options.x). It has: cluster, service, filter.",
        id="unknown option",
    ),
    pytest.param(
        {"hello": 1},
        "InvalidTrigger",
        "the input is no trigger (field runbook): it is missing. Give an ECS Task State Change event, "
        'what receive_webhook sends, or {"runbook": "NAME", "options": {}, "dry_run": false}.',
        id="no trigger at all",
    ),
]


@pytest.mark.parametrize(("given", "error", "cause"), REFUSED_STARTS)
def test_a_start_that_cannot_be_understood_fails_and_says_why(run, given, error, cause):
    ended = run(given)

    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", error, cause)


@pytest.mark.parametrize("runbook", ["list-nodes", "stopped-task-errors", "stop-task"])
def test_a_cluster_that_does_not_exist_is_named(run, runbook):
    options = {"cluster": "nope"} | ({"task": "0123"} if runbook == "stop-task" else {})

    output = json.loads(run({"runbook": runbook, "options": options})["output"])

    assert output["steps"][0]["outcome"] == "failed"
    assert output["steps"][0]["summary"] == (
        "ClusterNotFound: cluster nope does not exist: ECS knows no such cluster in this account and region. "
        "Check the name, the region and the account; `aws ecs list-clusters` shows what there is."
    )
    assert output["report"]["channels"]


def posted(cloud, body, signature=None):
    made = hmac.new(cloud.info["webhook_secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-PagerDuty-Signature": f"v1={made}" if signature is None else signature}
    answer = urllib3.request("POST", cloud.info["webhook_url"], body=body, headers=headers, retries=False)
    return answer.status, json.loads(answer.data)["reason"]


def test_a_wrong_signature_is_refused(cloud):
    assert posted(cloud, b'{"event": {}}', "v1=" + "0" * 64) == (403, "the signature is wrong")


def test_no_signature_is_refused(cloud):
    assert posted(cloud, b'{"event": {}}', "") == (401, "neither a signature nor a bearer secret was sent")


def test_a_body_of_300_kb_is_refused(cloud):
    reason = "over 262144 bytes; PagerDuty sends no body of that size"
    assert posted(cloud, b'{"event": {}}'.ljust(300_000)) == (413, reason)


def test_a_signed_body_that_is_no_json_is_taken_so_that_it_is_not_sent_again(cloud, aws):
    status, reason = posted(cloud, b"nope")

    assert (status, reason) == (202, "the body is no JSON (body): Expecting value: line 1 column 1 (char 0).")
    machine = cloud.info["state_machines"]["remediation"]
    assert aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []
