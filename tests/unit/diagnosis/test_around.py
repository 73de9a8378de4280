"""What is told around a stop: groups, changes, the way out of a subnet, the timeline, the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from tests.unit.diagnosis.builders import TaskBuilder, a_task

from taskmedic.domain.diagnosis import diagnose
from taskmedic.domain.diagnosis.changes import changes_between
from taskmedic.domain.diagnosis.grouping import grouped
from taskmedic.domain.diagnosis.images import EcrImage
from taskmedic.domain.diagnosis.page import page
from taskmedic.domain.diagnosis.reachability import Network, reachability
from taskmedic.domain.task_shapes import read_task
from taskmedic.domain.timeline import Surroundings, render, timeline

STOP = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)


def stopped(id_: str, reason: str, minutes_ago: float = 0, revision: str = "orders:3") -> TaskBuilder:
    at = STOP - timedelta(minutes=minutes_ago)
    return a_task(id_).of_service("orders").revision(revision).stopped(reason).at(stoppedAt=at)


OOM = "OutOfMemoryError: Container killed due to memory usage"
SCALED = "Scaling activity initiated by (deployment ecs-svc/1)"


class TestGrouping:
    def group(self, *tasks: TaskBuilder) -> list[tuple[str, list[str]]]:
        records = [read_task(task) for task in tasks]
        groups = grouped((record, diagnose(record)) for record in records)
        return [(g.diagnosis.category, [r.task_id for r in g.records]) for g in groups]

    def test_tasks_of_one_cause_are_one_group_newest_first(self) -> None:
        tasks = [stopped(str(n), OOM, minutes_ago=n) for n in (5, 1, 9)]

        assert self.group(*tasks) == [("container.oom_killed", ["1", "5", "9"])]

    def test_another_revision_is_another_group(self) -> None:
        assert len(self.group(stopped("a", OOM), stopped("b", OOM, revision="orders:4"))) == 2

    def test_another_missing_image_is_another_group(self) -> None:
        reason = "CannotPullContainerError: manifest for example/{} not found"

        assert len(self.group(stopped("a", reason.format("x:1")), stopped("b", reason.format("y:1")))) == 2

    @pytest.mark.parametrize(
        "reasons",
        [
            ("Quux failed: alpha", "Frobnicator broke: beta"),
            (
                "CannotCreateContainerError: the container has no name",
                "CannotCreateContainerError: bad hostname",
            ),
            (
                "EFS utils: mount.nfs4: Connection timed out fs-0123456789abcdef0",
                "EFS utils: access denied by server while mounting fs-0123456789abcdef0",
            ),
            (
                "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/a'",
                "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/b'",
            ),
        ],
    )
    def test_another_cause_under_the_same_label_is_another_group(self, reasons: tuple[str, str]) -> None:
        assert len(self.group(*(stopped(reason[:9], reason) for reason in reasons))) == 2

    def test_another_reason_of_a_caller_of_stop_task_is_another_group(self) -> None:
        tasks = [
            stopped(why, why) | {"stopCode": "UserInitiated"} for why in ("hung", "too dear", "too dear")
        ]

        assert sorted(len(ids) for _, ids in self.group(*map(TaskBuilder, tasks))) == [1, 2]

    @pytest.mark.parametrize(
        "reason",
        [
            "CannotStartContainerError: Bind for 0.0.0.0:{0} failed: port is already allocated",
            "Host EC2 (instance i-0123456789abcde{0}) terminated.",
            "InternalError: request 0f9e8d7c-6b5a-4938-2716-0514{0} of 10.0.{0}.7 failed after {0} ms",
        ],
    )
    def test_ports_hosts_ids_and_numbers_do_not_make_another_cause(self, reason: str) -> None:
        assert len(self.group(*(stopped(str(n), reason.format(n)) for n in (18, 29, 37)))) == 1

    def test_a_fault_comes_before_what_is_benign_and_many_before_few(self) -> None:
        groups = self.group(
            stopped("s1", SCALED),
            stopped("s2", SCALED),
            stopped("o1", OOM),
            stopped("h1", "Task failed container health checks"),
            stopped("h2", "Task failed container health checks", minutes_ago=2),
        )

        assert [category for category, _ in groups] == [
            "container.health_check_failed",
            "container.oom_killed",
            "deployment.scaling_activity",
        ]


class TestChanges:
    def definition(self, **container: Any) -> dict[str, Any]:
        base = {
            "name": "app",
            "image": "example/orders:1",
            "environment": [{"name": "MODE", "value": "old-value"}],
        }
        return {"cpu": "256", "containerDefinitions": [{**base, **container}]}

    def test_nothing_changed(self) -> None:
        assert changes_between(self.definition(), self.definition()) == ()

    @pytest.mark.parametrize(
        ("container", "line"),
        [
            ({"image": "example/orders:2"}, "container app: image: example/orders:1 → example/orders:2"),
            ({"memory": 512}, "container app: memory: none → 512"),
            (
                {"environment": [{"name": "MODE", "value": "new-value"}]},
                "container app: environment MODE has another value",
            ),
            ({"environment": []}, "container app: environment MODE was removed"),
            ({"secrets": [{"name": "DB", "valueFrom": "arn:x"}]}, "container app: secret DB: none → arn:x"),
            ({"name": "web"}, "container web was added"),
        ],
    )
    def test_one_line_for_each_change(self, container: dict[str, Any], line: str) -> None:
        assert line in changes_between(self.definition(), self.definition(**container))

    def test_values_of_the_environment_are_never_shown(self) -> None:
        after = self.definition(environment=[{"name": "MODE", "value": "new-value"}])

        assert "value" not in "".join(changes_between(self.definition(), after)).replace("another value", "")


class TestReachability:
    NO_ROUTE: ClassVar[dict[str, Any]] = {
        "RouteTableId": "rtb-1",
        "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}],
    }

    def table(self, **route: str) -> dict[str, Any]:
        return {"RouteTableId": "rtb-1", "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", **route}]}

    def test_no_default_route_is_no_way_out(self) -> None:
        lines = reachability(Network("subnet-1", route_table=self.NO_ROUTE, endpoints=[]), "image_pull")

        assert lines == (
            "route table rtb-1 of subnet-1 has no default route: no way out but VPC endpoints",
            "VPC endpoints: has none of them; lacks ecr.api, ecr.dkr, s3",
        )

    def test_an_internet_gateway_without_a_public_ip_is_no_way_out(self) -> None:
        network = Network("subnet-1", public_ip=False, route_table=self.table(GatewayId="igw-1"))

        assert reachability(network, "secrets")[0].endswith("but the task has no public IP: no way out")

    def test_a_nat_gateway_is_a_way_out(self) -> None:
        network = Network("subnet-1", public_ip=False, route_table=self.table(NatGatewayId="nat-1"))

        assert reachability(network, "secrets")[0].endswith("has a default route to nat-1")

    def test_a_blackhole_leads_nowhere(self) -> None:
        network = Network("subnet-1", route_table=self.table(NatGatewayId="nat-1", State="blackhole"))

        assert "no default route" in reachability(network, "logs")[0]

    def test_endpoints_that_are_there_and_that_are_not(self) -> None:
        endpoints = [
            {"ServiceName": "com.amazonaws.eu-west-1.ecr.api", "State": "available"},
            {"ServiceName": "com.amazonaws.eu-west-1.ecr.dkr", "State": "pending"},
            {"ServiceName": "com.amazonaws.eu-west-1.s3", "State": "available"},
        ]

        assert reachability(Network("subnet-1", endpoints=endpoints), "image_pull") == (
            "VPC endpoints: has ecr.api, s3; lacks ecr.dkr",
        )

    @pytest.mark.parametrize(
        ("rules", "lets_out"),
        [
            ([], False),
            ([{"IpProtocol": "-1"}], True),
            ([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}], True),
            ([{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432}], False),
        ],
    )
    def test_a_security_group_that_lets_nothing_out(
        self, rules: list[dict[str, Any]], lets_out: bool
    ) -> None:
        group = {"GroupId": "sg-1", "IpPermissionsEgress": rules}

        lines = reachability(Network("subnet-1", security_groups=[group]), "logs")

        assert lines == (() if lets_out else ("security group sg-1 lets nothing out on port 443",))

    def test_what_could_not_be_read_is_not_spoken_of(self) -> None:
        assert reachability(Network("subnet-1"), "image_pull") == ()


class TestTimeline:
    RECORD = read_task(
        stopped("a", OOM).at(createdAt=STOP - timedelta(minutes=10), startedAt=STOP - timedelta(minutes=9))
    )

    def test_everything_in_order_relative_to_the_stop(self) -> None:
        around = Surroundings(
            service={
                "events": [
                    {
                        "createdAt": STOP + timedelta(seconds=5),
                        "message": "(service orders) has started 1 tasks.",
                    }
                ],
                "deployments": [
                    {
                        "id": "ecs-svc/1",
                        "taskDefinition": "x/orders:3",
                        "createdAt": STOP - timedelta(minutes=11),
                    }
                ],
            },
            log_events={
                "app": [
                    {
                        "timestamp": (STOP - timedelta(seconds=2)).timestamp() * 1000,
                        "message": "token=abc boom",
                    }
                ]
            },
            actions=[{"at": (STOP - timedelta(seconds=30)).isoformat(), "task": "b", "reason": "hung"}],
        )

        lines = render(timeline(self.RECORD, around), self.RECORD.stopped_at).splitlines()

        assert [line.split(maxsplit=2)[:2] for line in lines] == [
            ["-11m00.0s", "deployment"],
            ["-10m00.0s", "task"],
            ["-9m00.0s", "task"],
            ["-30.0s", "taskmedic"],
            ["-2.0s", "log"],
            ["+0.0s", "task"],
            ["+5.0s", "service"],
        ]
        assert "token=**** boom" in lines[4]

    def test_events_of_another_day_tell_another_story(self) -> None:
        old = {"events": [{"createdAt": STOP - timedelta(days=2), "message": "has reached a steady state"}]}

        assert all(moment.source == "task" for moment in timeline(self.RECORD, Surroundings(service=old)))

    def test_without_the_time_of_the_stop_the_time_of_day_is_shown(self) -> None:
        record = read_task(a_task().at(createdAt=STOP))

        assert render(timeline(record, Surroundings()), record.stopped_at).split()[0] == "05:00:00"


def test_the_page_has_the_advice_before_the_evidence_and_keeps_arns_whole() -> None:
    records = [read_task(stopped(str(n), OOM, minutes_ago=n)) for n in range(30)]
    (group,) = grouped((record, diagnose(record)) for record in records)

    text = page(group, timeline(group.newest, Surroundings()))

    assert (
        text.index("What to do") < text.index("Evidence") < text.index("Timeline") < text.index("Tasks (30)")
    )
    assert "  and 10 more" in text
    assert f"  {group.newest.task_arn}\n" in text


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/orders:7",
            EcrImage("123456789012", "eu-west-1", "shop/orders", "7"),
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/orders",
            EcrImage("123456789012", "cn-north-1", "orders"),
        ),
        (
            f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:7@sha256:{'0' * 64}",
            EcrImage("123456789012", "eu-west-1", "orders", "7", f"sha256:{'0' * 64}"),
        ),
        ("docker.io/library/nginx:1", None),
        ("nginx", None),
    ],
)
def test_an_ecr_image_is_told_from_others(reference: str, expected: EcrImage | None) -> None:
    assert EcrImage.parse(reference) == expected


def test_a_digest_counts_more_than_a_tag() -> None:
    assert EcrImage("1", "r", "o", "7", "sha256:0").id == {"imageDigest": "sha256:0"}
    assert EcrImage("1", "r", "o").id == {"imageTag": "latest"}
