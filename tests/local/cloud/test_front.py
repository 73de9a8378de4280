"""Requests find who answers them, and moto is asked one thing at a time."""

from __future__ import annotations

import io
import threading

import pytest

from taskmedic_local.faults import Faults
from taskmedic_local.front import ACCOUNT_KEY, OPERATION_KEY, REGION_KEY, SERVICE_KEY, Front, OneAtATime


def a_request(path="/", service="", target="", method="POST"):
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(b"")}
    if service:
        scope = f"AKIA/20261121/eu-west-1/{service}/aws4_request"
        environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host"
    if target:
        environ["HTTP_X_AMZ_TARGET"] = target
    return environ


def named(name):
    return lambda environ, _: [name, environ]


@pytest.fixture
def ask():
    """``ask(**request)``: who answered, and the environ it got."""
    front = Front(named("moto"), Faults())
    front.mount_path("/hook", named("hook"))
    front.mount_path("/hook/inner", named("inner"))
    front.mount_service("ecs", named("ecs"))
    front.mount_service("ssm", named("sessions"), ["ResumeSession"])
    return lambda **request: front(a_request(**request), lambda *_: None)


@pytest.mark.parametrize(
    ("request_", "who"),
    [
        ({"path": "/hook/x"}, "hook"),
        ({"path": "/hook/inner/x"}, "inner"),
        ({"service": "ecs", "target": "AmazonEC2ContainerServiceV20141113.ListTasks"}, "ecs"),
        ({"service": "ssm", "target": "AmazonSSM.ResumeSession"}, "sessions"),
        ({"service": "ssm", "target": "AmazonSSM.GetParameter"}, "moto"),
        ({"service": "s3", "method": "PUT"}, "moto"),
        ({"path": "/unsigned"}, "moto"),
    ],
)
def test_each_request_goes_to_whoever_answers_it(ask, request_, who):
    assert ask(**request_)[0] == who


def test_who_answers_knows_account_region_and_operation(ask):
    _, environ = ask(service="ecs", target="AmazonEC2ContainerServiceV20141113.ListTasks")

    assert environ[ACCOUNT_KEY] == "123456789012"
    assert (environ[REGION_KEY], environ[OPERATION_KEY]) == ("eu-west-1", "ListTasks")


class Meeting:
    """An application that waits a moment for a second caller, and notes whether one came."""

    def __init__(self):
        self.met = False
        self._both = threading.Barrier(2, timeout=0.3)

    def __call__(self, environ, start_response):
        try:
            self._both.wait()
            self.met = True
        except threading.BrokenBarrierError:
            pass
        return [b""]

    def two_callers(self, *environs):
        app = OneAtATime(self)
        threads = [threading.Thread(target=app, args=[environ, None]) for environ in environs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.met


def test_two_calls_of_one_service_wait_for_each_other():
    assert not Meeting().two_callers({SERVICE_KEY: "dynamodb"}, {SERVICE_KEY: "dynamodb"})


def test_calls_of_two_services_do_not_wait():
    assert Meeting().two_callers({SERVICE_KEY: "dynamodb"}, {SERVICE_KEY: "s3"})


def test_a_call_that_may_wait_for_a_message_keeps_nobody_waiting():
    receive = {SERVICE_KEY: "sqs", OPERATION_KEY: "ReceiveMessage"}

    assert Meeting().two_callers(receive, {SERVICE_KEY: "sqs", OPERATION_KEY: "SendMessage"})
