"""Clients: whose credentials a call is made with. STS is answered in memory, at botocore's own seam."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from taskmedic.aws.clients import ONCE, Access, Clients
from taskmedic.aws.plain_tasks import describe_tasks, prepare
from taskmedic.domain.errors import AwsUnreachable, RoleNotAssumable, Throttled
from taskmedic.domain.nodes import ASSUME_ROLE_ARN, EXTERNAL_ID, REGION, Node

ROLE = "arn:aws:iam::222222222222:role/reader"


class Raw:
    """A body as urllib3 hands it over."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        return [self._body]


def answer(status: int, body: str) -> AWSResponse:
    return AWSResponse("https://aws", status, {"Content-Type": "text/xml"}, Raw(body.encode()))


def assumed(lifetime_s: int) -> AWSResponse:
    until = (datetime.now(UTC) + timedelta(seconds=lifetime_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer(
        200,
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLEASSUMED00</AccessKeyId>"
        f"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{until}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
    )


def refusal(code: str) -> AWSResponse:
    return answer(
        403, f"<ErrorResponse><Error><Code>{code}</Code><Message>no {code}</Message></Error></ErrorResponse>"
    )


class Sts:
    """Counts what is asked of STS and answers it."""

    def __init__(self, reply: Callable[[], AWSResponse] = lambda: assumed(3600)) -> None:
        self.asked: list[dict[str, str]] = []
        self.reply = reply
        self.session = boto3.Session()
        self.session.events.register("before-send.sts.AssumeRole", self._send)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        self.asked.append({key: values[0] for key, values in parse_qs(body).items()})
        return self.reply()


def test_own_clients_are_made_once_per_service_and_region() -> None:
    clients = Clients()
    assert clients.get("ecs") is clients.get("ecs", Access())
    assert clients.get("ecs", Access("eu-west-1")).meta.region_name == "eu-west-1"
    assert clients.get("ecs", retry=False) is not clients.get("ecs")


def test_calls_of_an_assumed_role_carry_its_credentials() -> None:
    ecs = Clients(Sts().session).get("ecs", Access("eu-west-1", ROLE))
    assert ecs._request_signer._credentials.access_key == "ASIAEXAMPLEASSUMED00"
    assert ecs.meta.region_name == "eu-west-1"


def test_a_role_is_assumed_once_for_all_services_regions_and_threads() -> None:
    sts = Sts()
    clients = Clients(sts.session)
    with ThreadPoolExecutor(8) as pool:
        wanted = [
            (service, region) for service in ("ecs", "logs") for region in ("eu-west-1", "us-east-1")
        ] * 4
        list(pool.map(lambda pair: clients.get(pair[0], Access(pair[1], ROLE, "shop")), wanted))
    assert len(sts.asked) == 1


def test_external_id_and_session_name_are_set() -> None:
    sts = Sts()
    Clients(sts.session).for_execution("pd-0123 ü").get("ecs", Access(role_arn=ROLE, external_id="shop"))
    assert sts.asked[0]["RoleArn"] == ROLE
    assert sts.asked[0]["ExternalId"] == "shop"
    assert sts.asked[0]["RoleSessionName"] == "taskmedic-pd-0123--"


def test_session_name_is_cut_to_what_sts_takes() -> None:
    sts = Sts()
    Clients(sts.session).for_execution("x" * 80).get("ecs", Access(role_arn=ROLE))
    assert sts.asked[0]["RoleSessionName"] == "taskmedic-" + "x" * 54
    assert "ExternalId" not in sts.asked[0]


def test_each_execution_assumes_a_role_for_itself_and_shares_the_own_clients() -> None:
    sts = Sts()
    clients = Clients(sts.session)
    first, second = clients.for_execution("a"), clients.for_execution("b")
    for execution in (first, first, second):
        execution.get("ecs", Access(role_arn=ROLE))
    assert len(sts.asked) == 2
    assert first.get("ecs") is second.get("ecs") is clients.get("ecs")


def test_calls_of_one_execution_assume_its_role_once() -> None:
    sts = Sts()
    clients = Clients(sts.session)
    for name in ("a", "a", "b", "a", "b"):
        clients.for_execution(name).get("ecs", Access(role_arn=ROLE))
    assert [asked["RoleSessionName"] for asked in sts.asked] == ["taskmedic-a", "taskmedic-b"]


def test_executions_long_over_are_forgotten() -> None:
    clients = Clients(Sts().session)
    first, second = clients.for_execution("first"), clients.for_execution("second")
    for number in range(7):
        clients.for_execution(str(number))
        assert clients.for_execution("first") is first
    assert clients.for_execution("second") is not second


def test_credentials_that_run_out_within_a_lambda_call_are_renewed() -> None:
    sts = Sts(lambda: assumed(900))
    clients = Clients(sts.session)
    old = clients.get("ecs", Access(role_arn=ROLE))
    sts.reply = lambda: assumed(3600)
    new = clients.get("ecs", Access(role_arn=ROLE))
    assert old is not new
    assert clients.get("ecs", Access(role_arn=ROLE)) is new
    assert len(sts.asked) == 2


def test_a_refused_role_is_an_error_of_its_own_and_not_asked_for_again() -> None:
    sts = Sts(lambda: refusal("AccessDenied"))
    clients = Clients(sts.session)
    for _ in range(3):
        with pytest.raises(RoleNotAssumable, match=r"role/reader.*no AccessDenied.*trust policy"):
            clients.get("ecs", Access(role_arn=ROLE))
    assert len(sts.asked) == 1


def test_what_is_no_role_is_not_asked_for() -> None:
    sts = Sts()
    for wrong in ("reader", "arn:aws:iam::222222222222:user/reader", "arn:aws:s3:::bucket/role"):
        with pytest.raises(RoleNotAssumable, match="no ARN of an IAM role"):
            Clients(sts.session).get("ecs", Access(role_arn=wrong))
    assert sts.asked == []


def test_an_external_id_that_sts_cannot_take_is_named() -> None:
    with pytest.raises(RoleNotAssumable, match="ExternalId"):
        Clients(Sts().session).get("ecs", Access(role_arn=ROLE, external_id="x"))


def test_throttling_of_sts_is_transient_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskmedic.aws.clients.CONFIG", ONCE)  # botocore's own retries would take their time
    sts = Sts(lambda: refusal("Throttling"))
    clients = Clients(sts.session)
    with pytest.raises(Throttled):
        clients.get("ecs", Access(role_arn=ROLE))
    sts.reply = lambda: assumed(3600)
    assert clients.get("ecs", Access(role_arn=ROLE))


def test_without_a_region_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(AwsUnreachable, match="no AWS region is set"):
        Clients().get("ecs")


def test_a_node_is_reached_by_the_role_that_found_it() -> None:
    node = Node("a", {REGION: "eu-west-1", ASSUME_ROLE_ARN: ROLE, EXTERNAL_ID: "shop"})
    assert Access.to_node(node) == Access("eu-west-1", ROLE, "shop")


def test_a_step_may_name_another_role() -> None:
    node = Node("a", {REGION: "eu-west-1", ASSUME_ROLE_ARN: ROLE, EXTERNAL_ID: "shop"})
    other = "arn:aws:iam::222222222222:role/stopper"
    assert Access.to_node(node, assume_role_arn=other) == Access("eu-west-1", other)
    assert Access.to_node(node, assume_role_arn=ROLE) == Access("eu-west-1", ROLE, "shop")


def ecs_answering(body: str, status: int = 200) -> Any:
    session = boto3.Session()
    session.events.register("before-send.ecs", lambda **_: answer(status, body))
    ecs = session.client("ecs")
    prepare(ecs)
    return ecs


TASKS = '{"tasks": [{"taskArn": "t", "createdAt": 1780000000.5, "notInTheModel": 1}], "failures": []}'


def test_tasks_for_the_inventory_come_as_ecs_sent_them() -> None:
    found = describe_tasks(ecs_answering(TASKS), "prod", ["t"])
    assert found == [{"taskArn": "t", "createdAt": 1780000000.5, "notInTheModel": 1}]


def test_other_calls_on_the_same_client_get_what_botocore_makes_of_it() -> None:
    ecs = ecs_answering(TASKS)
    describe_tasks(ecs, "prod", ["t"])
    (task,) = ecs.describe_tasks(cluster="prod", tasks=["t"])["tasks"]
    assert isinstance(task["createdAt"], datetime)
    assert "notInTheModel" not in task


def test_a_refusal_of_describe_tasks_is_botocores() -> None:
    ecs = ecs_answering('{"__type": "ClusterNotFoundException", "message": "Cluster not found."}', 400)
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        describe_tasks(ecs, "prod", ["t"])
