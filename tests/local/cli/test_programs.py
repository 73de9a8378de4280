"""`taskmedic local` and `taskmedic demo` as programs of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import boto3
import psutil
import pytest
import urllib3

TASKMEDIC = [sys.executable, "-m", "taskmedic_cli"]


def ended(*words, env):
    return subprocess.run(
        [*TASKMEDIC, *words], check=False, capture_output=True, text=True, env=env, timeout=150
    )


@pytest.fixture
def env(tmp_path):
    """Its temporary files in a folder of its own, so that what is left behind can be seen."""
    return os.environ | {"TMPDIR": str(tmp_path)}


def test_local_says_where_it_is_and_leaves_no_process_and_no_file(env, tmp_path):
    program = subprocess.Popen([*TASKMEDIC, "local"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    info = json.loads(program.stdout.readline())
    assert set(info) == {
        "endpoint", "region", "webhook_url", "webhook_secret", "pagerduty_url", "state_machines"
    }  # fmt: skip
    assert info["endpoint"].startswith("http://127.0.0.1:")
    assert urllib3.request("GET", info["pagerduty_url"], retries=False).status == 200
    children = psutil.Process(program.pid).children(recursive=True)
    assert children
    states = boto3.client("stepfunctions", endpoint_url=info["endpoint"])
    for _ in range(5):  # what is under way breaks off without a word
        machine = info["state_machines"]["remediation"]
        states.start_execution(
            stateMachineArn=machine, input='{"runbook": "list-nodes", "options": {"cluster": "prod"}}'
        )

    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)

    assert (program.returncode, out, err) == (0, b"", b"")
    assert [child for child in children if child.is_running()] == []
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_so(env, cloud):
    port = cloud.endpoint.rsplit(":", 1)[1]
    done = ended("local", "--port", port, env=env)

    assert done.returncode == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_plays_its_five_scenes_and_each_ends_as_it_should(env, tmp_path):
    done = ended("demo", "--json", env=env)

    scenes = json.loads(done.stdout)
    assert [(scene["scene"], scene["ok"]) for scene in scenes] == [(key, True) for key in "abcde"]
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_as_plain_text_tells_each_scene(env):
    done = ended("demo", env=env)

    assert done.returncode == 0
    assert "\x1b[" not in done.stdout
    for words in (
        "(a)",
        "container.oom_killed",
        "(b)",
        "note on the incident",
        "(c)",
        "(d)",
        "(e)",
        "InvalidTrigger",
    ):
        assert words in done.stdout
