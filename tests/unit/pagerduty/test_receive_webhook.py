"""What a request to the webhook's URL is answered, and what it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from tests.unit.pagerduty.builders import (
    MACHINE,
    SECRET,
    FakeClients,
    FakeSecrets,
    FakeStates,
    a_request,
    an_event,
    refused,
    signature,
)

from taskmedic.settings import ReceiveWebhookSettings
from taskmedic.steps import receive_webhook
from taskmedic.steps.receive_webhook import execution_name, run

SETTINGS = ReceiveWebhookSettings(state_machine_arn=MACHINE, pagerduty_webhook_secret_id="webhook")
SECRETS = {"signing_secrets": ["old", SECRET], "bearer_secrets": []}
EVENTS = Path(__file__).parents[3] / "events" / "pagerduty"


class Receiver:
    """The step with its AWS around it."""

    def __init__(self, secret: Any = None) -> None:
        self.secrets = FakeSecrets(webhook=SECRETS if secret is None else secret)
        self.states = FakeStates()
        self.clients = FakeClients(secretsmanager=self.secrets, stepfunctions=self.states)

    def __call__(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = run(request, SETTINGS, self.clients)  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def receive() -> Receiver:
    return Receiver()


def test_a_signed_event_starts_one_execution_with_the_event_unchanged(receive: Receiver) -> None:
    status, body = receive(a_request(an_event(), webhook_id="w-1"))

    assert (status, body["decision"]) == (202, "started")
    assert receive.states.started == {
        execution_name("w-1"): {
            "source": "pagerduty.webhook",
            "delivery_id": "w-1",
            "subscription_id": "PSUBSCR",
            "event": an_event()["event"],
        }
    }


def test_the_name_is_one_that_step_functions_takes() -> None:
    for delivery_id in ("a3d6149f-7577", "*/ \ud800<>", "x" * 500):
        assert execution_name(delivery_id).replace("-", "").isalnum()
        assert len(execution_name(delivery_id)) <= 80


def test_the_same_delivery_again_starts_nothing_and_is_accepted(receive: Receiver) -> None:
    receive(a_request(an_event(), webhook_id="w-1"))

    status, body = receive(a_request(an_event(), webhook_id="w-1"))

    assert (status, body["decision"]) == (202, "duplicate")
    assert len(receive.states.started) == 1


def test_without_a_webhook_id_the_event_id_names_the_execution(receive: Receiver) -> None:
    receive(a_request(an_event(), webhook_id=""))

    assert list(receive.states.started) == [execution_name("01EVENT")]


def test_a_base64_body_is_verified_as_the_bytes_it_stands_for(receive: Receiver) -> None:
    body = json.dumps(an_event(title="Größe über 100 %"), ensure_ascii=False).encode()

    assert receive(a_request(body, base64_encoded=True))[0] == 202
    assert receive(a_request(body, base64_encoded=False))[0] == 202


def test_headers_in_any_case_and_two_signature_headers(receive: Receiver) -> None:
    # API Gateway joins a header that came twice with a comma.
    request = a_request(an_event(), signed=f"v1={'0' * 64},{signature(json.dumps(an_event()).encode())}")
    request["headers"] = {name.upper(): value for name, value in request["headers"].items()}

    assert receive(request)[0] == 202


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("pagey.ping", {"type": "ping", "message": "Hello"}),
        ("service.updated", {"type": "service"}),
        ("incident.annotated", {"type": "incident_note", "content": "by a person", "incident": {"id": "Q1"}}),
        ("incident.status_update_published", {"type": "incident_status_update", "incident": {"id": "Q1"}}),
        ("incident.custom_field_values.updated", {"type": "incident_field_values", "incident": {"id": "Q1"}}),
        ("incident.workflow.started", {"type": "incident_workflow_instance", "incident": {"id": "Q1"}}),
        ("incident.something_new", {}),
        ("", {}),
    ],
)
def test_what_starts_nothing_is_accepted_all_the_same(
    receive: Receiver, event_type: str, data: dict[str, Any]
) -> None:
    status, body = receive(a_request(an_event(event_type, **data)))

    assert (status, body["decision"]) == (202, "ignored")
    assert receive.states.started == {}


@pytest.mark.parametrize(
    "event_type", ["incident.triggered", "incident.reopened", "incident.escalated", "incident.resolved"]
)
def test_what_happens_to_an_incident_may_start_a_runbook(receive: Receiver, event_type: str) -> None:
    assert receive(a_request(an_event(event_type)))[1]["decision"] == "started"


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b"{}", b'{"event": 1}', b'"x"', b"[" * 100_000, b"\xff\xfe"]
)
def test_an_authentic_body_that_is_no_event_is_accepted_since_three_4xx_would_disable_us(
    receive: Receiver, body: bytes
) -> None:
    status, answer = receive(a_request(body, base64_encoded=True))

    assert (status, answer["decision"]) == (202, "ignored")
    assert answer["reason"]


@pytest.mark.parametrize("strange", [[], "", 7, None, {"id": 7, "type": "incident"}])
def test_data_of_a_strange_form_is_ignored(receive: Receiver, strange: Any) -> None:
    event = an_event()
    event["event"]["data"] = strange

    assert receive(a_request(event))[1]["decision"] == "ignored"


def test_a_wrong_signature_is_refused_before_the_body_is_looked_at(receive: Receiver) -> None:
    status, body = receive(a_request(b"[" * 100_000, signed=f"v1={'0' * 64}"))

    assert status == 403
    assert body == {"decision": "refused", "reason": "the signature is wrong"}
    assert receive.states.started == {}


def test_no_signature_at_all_is_401_without_reading_a_secret(receive: Receiver) -> None:
    assert receive(a_request(an_event(), signed=""))[0] == 401
    assert receive.secrets.reads == 0


def test_a_body_that_pagerduty_would_not_send_is_413(receive: Receiver) -> None:
    status, body = receive(a_request(b"x" * 300_000))

    assert status == 413
    assert "262144 bytes" in body["reason"]


@pytest.mark.parametrize("letter", ["x", "é", "\N{CJK UNIFIED IDEOGRAPH-4E00}"])
def test_256_kilobytes_are_taken_and_cut_to_what_an_execution_takes(receive: Receiver, letter: str) -> None:
    event = an_event(title="long " * 40, padding="")
    room = 256 * 1024 - len(json.dumps(event))
    event["event"]["data"]["padding"] = letter * (room // len(letter.encode()))
    body = json.dumps(event, ensure_ascii=False).encode()
    assert len(body) > 256 * 1024 - 3

    assert receive(a_request(body))[0] == 202
    (started,) = receive.states.started.values()
    assert len(json.dumps(started)) < 256 * 1024
    assert started["event"]["data"]["id"] == "Q1"
    assert started["event"]["data"]["service"]["id"] == "PSEARCH"
    assert started["event"]["data"]["title"] == "long " * 40


def test_half_a_surrogate_in_a_title_is_no_reason_to_fail(receive: Receiver) -> None:
    body = json.dumps(an_event(title="x")).replace('"x"', r'"\ud800"').encode()

    assert receive(a_request(body))[1]["decision"] == "started"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (refused("ThrottlingException", "StartExecution"), 503),
        (refused("AccessDeniedException", "StartExecution"), 500),
        (refused("StateMachineDoesNotExist", "StartExecution"), 500),
        (EndpointConnectionError(endpoint_url="https://states"), 500),
    ],
)
def test_a_fault_of_ours_is_5xx_so_that_pagerduty_sends_it_again(
    receive: Receiver, failure: Exception, status: int
) -> None:
    receive.states.failure = failure
    assert receive(a_request(an_event()))[0] == status

    receive.states.failure = None
    assert receive(a_request(an_event()))[1]["decision"] == "started"


@pytest.mark.parametrize(
    "secret",
    ["no json", "[]", {}, {"signing_secrets": []}, {"signing_secrets": "bare"}, {"signing_secrets": [1]}],
)
def test_without_a_usable_secret_nothing_is_lost(secret: Any) -> None:
    receive = Receiver(secret)

    status, body = receive(a_request(an_event()))

    assert (status, body["decision"]) == (500, "failed")
    assert "signing_secrets" not in body["reason"], "the cause is for the log"


def test_an_unreadable_secret_is_5xx(receive: Receiver) -> None:
    receive.secrets.failure = refused("AccessDeniedException", "GetSecretValue")
    assert receive(a_request(an_event()))[0] == 500


def test_a_secret_is_read_once_and_forgeries_do_not_change_that(receive: Receiver) -> None:
    for number in range(20):
        receive(a_request(an_event(), webhook_id=f"w-{number}"))
        receive(a_request(an_event(), signed=f"v1={'0' * 64}"))

    assert receive.secrets.reads == 1


def test_a_rotated_secret_is_found_without_a_deployment(
    receive: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(a_request(an_event(), webhook_id="before"))
    receive.secrets.secrets["webhook"] = {"signing_secrets": ["new"]}
    monkeypatch.setattr(receive_webhook, "REFRESH_AFTER_S", -1.0)
    body = json.dumps(an_event()).encode()

    assert receive(a_request(body, signed=signature(body, "new"), webhook_id="after"))[0] == 202
    assert receive(a_request(body, signed=signature(body, "old")))[0] == 403


def test_neither_secret_nor_signature_is_ever_said(
    receive: Receiver, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    right = a_request(an_event())
    answers = [
        run(right, SETTINGS, receive.clients),  # type: ignore[arg-type]
        run(a_request(an_event(), signed="v1=abcdef"), SETTINGS, receive.clients),  # type: ignore[arg-type]
    ]

    said = json.dumps(answers) + caplog.text + "".join(capsys.readouterr())
    assert SECRET not in said
    assert right["headers"]["x-pagerduty-signature"][3:] not in said
    assert "abcdef" not in said


# the bearer way

BEARER = {"signing_secrets": [SECRET], "bearer_secrets": ["older", "tök€n"]}


def test_the_bearer_way_is_off_until_its_secret_is_set(receive: Receiver) -> None:
    request = a_request({"runbook": "list-nodes"}, signed="", authorization="Bearer ")
    assert receive(request)[0] in {401, 403}

    request = a_request({"runbook": "list-nodes"}, signed="", authorization="Bearer anything")
    assert receive(request)[0] == 403
    assert receive.states.started == {}


@pytest.mark.parametrize("authorization", ["Bearer tök€n", "bearer tök€n", "BEARER  older "])
def test_a_bearer_secret_starts_what_the_body_asks_for(authorization: str) -> None:
    receive = Receiver(BEARER)
    body = {
        "runbook": "container-diagnostics",
        "incident_id": "Q1",
        "options": {"cluster": "prod", "depth": 2},
    }

    status, answer = receive(a_request(body, signed="", authorization=authorization, webhook_id="w-9"))

    assert (status, answer["decision"]) == (202, "started")
    assert list(receive.states.started.values()) == [
        {"source": "pagerduty.action", "delivery_id": "w-9", "request": body}
    ]


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Basic tök€n", "tök€n", "Bearer tök€n2"])
def test_any_other_authorization_is_refused(authorization: str) -> None:
    receive = Receiver(BEARER)

    assert receive(a_request({"runbook": "x"}, signed="", authorization=authorization))[0] in {401, 403}
    assert receive.states.started == {}


def test_a_wrong_signature_is_not_mended_by_a_bearer_secret() -> None:
    receive = Receiver(BEARER)
    request = a_request(an_event(), signed=f"v1={'0' * 64}", authorization="Bearer older")

    assert receive(request)[0] == 403


def test_a_bearer_request_without_an_id_is_a_run_of_its_own_each_time() -> None:
    receive = Receiver(BEARER)
    for number in range(2):
        request = a_request({"runbook": "list-nodes"}, signed="", authorization="Bearer older", webhook_id="")
        request["requestContext"]["requestId"] = f"request-{number}"
        receive(request)

    assert len(receive.states.started) == 2


def test_an_idempotency_key_makes_a_repeat_harmless() -> None:
    receive = Receiver(BEARER)
    request = a_request(
        {"runbook": "list-nodes"}, signed="", authorization="Bearer older", webhook_id="", idempotency_key="k"
    )

    assert [receive(request)[1]["decision"] for _ in range(2)] == ["started", "duplicate"]


def test_a_bearer_request_cannot_take_the_name_of_a_delivery() -> None:
    receive = Receiver(BEARER)
    receive(a_request({"runbook": "x"}, signed="", authorization="Bearer older", webhook_id="w-1"))

    assert receive(a_request(an_event(), webhook_id="w-1"))[1]["decision"] == "started"


def test_options_may_come_flat_and_in_the_query() -> None:
    receive = Receiver(BEARER)
    request = a_request(
        {"cluster": "prod", "option.depth": "full"},
        signed="",
        authorization="Bearer older",
        query={"runbook": "java-thread-dump", "option.pid": "7", "cluster": "staging"},
    )
    receive(request)

    (started,) = receive.states.started.values()
    assert started["request"] == {
        "runbook": "java-thread-dump",
        "cluster": "prod",
        "options": {"pid": "7", "depth": "full"},
    }


@pytest.mark.parametrize(
    "body", [{"options": {"cluster": "prod"}}, {"option.cluster": "prod"}], ids=["object", "flat"]
)
def test_an_option_of_the_body_wins_over_the_querys(body: dict[str, Any]) -> None:
    receive = Receiver(BEARER)
    query = {"option.cluster": "staging", "option.depth": "full"}
    receive(a_request({"runbook": "x", **body}, signed="", authorization="Bearer older", query=query))

    (started,) = receive.states.started.values()
    assert started["request"]["options"] == {"cluster": "prod", "depth": "full"}


def test_a_custom_incident_action_says_the_incident_and_its_url_the_runbook() -> None:
    receive = Receiver(BEARER)
    body = json.loads((EVENTS / "action-button.json").read_text())
    receive(
        a_request(body, signed="", authorization="Bearer older", query={"runbook": "container-diagnostics"})
    )

    (started,) = receive.states.started.values()
    assert started["request"] == {
        "runbook": "container-diagnostics",
        "incident_id": "Q0TASKMEDIC001",
        "options": {},
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"no json", "body"),
        (b"[]", "body"),
        ({}, "nothing is asked for"),
        ({"runbook": ""}, "nothing is asked for"),
        ({"runbook": 7}, "runbook"),
        ({"runbok": "x"}, "runbok"),
        ({"runbook": "x", "options": []}, "options"),
        ({"runbook": "x", "options": {"a": []}}, "options.a"),
        ({"runbook": "x", "option.a": {}}, "options.a"),
        ({"runbook": "x", "options": {"a": "y" * 250_000}}, "204800 bytes"),
        ({"messages": []}, "messages"),
        ({"messages": [{"event": "incident.trigger", "incident": {"id": "Q1"}}]}, "messages.0.event"),
        ({"messages": [{"event": "incident.custom"}]}, "messages.0.event"),
    ],
)
def test_a_wrong_bearer_body_is_400_with_the_field(body: Any, where: str) -> None:
    receive = Receiver(BEARER)

    status, answer = receive(a_request(body, signed="", authorization="Bearer older"))

    assert status == 400
    assert where in answer["reason"]
    assert receive.states.started == {}


# the samples

STARTS = {"incident-triggered", "incident-acknowledged", "incident-resolved"}


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_is_taken_as_it_is_meant(path: Path) -> None:
    receive = Receiver(BEARER)
    body = json.loads(path.read_text())
    signed = None if "event" in body else ""

    status, answer = receive(
        a_request(body, signed=signed, authorization="Bearer older" if signed == "" else "")
    )

    assert status == 202
    expected = "started" if path.stem in STARTS or path.stem.startswith("action") else "ignored"
    assert answer["decision"] == expected
