"""From a query to diagnosed groups: what is read, how often, and what happens when it cannot be read."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.diagnosis.builders import ACCOUNT, REGION, TaskBuilder, arn
from tests.unit.stopped.fake_aws import (
    NOW,
    TARGET_GROUP,
    FakeAws,
    error,
    orders_definition,
    orders_task,
)

from taskmedic.aws.clients import Access
from taskmedic.aws.ledger import Ledger, stamp
from taskmedic.aws.stopped import Case, Collection, Query, collect
from taskmedic.aws.stopped.sources import LOG_MESSAGE_CHARS
from taskmedic.domain.errors import AccessDenied, AwsRefused, NotAStoppedTask

PUBLIC = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/public/0123456789abcdef"
STREAM = ("/ecs/orders", "ecs/app/0a1b2c3d4e5f60718293a4b5c6d7e8f9")
EXITED = orders_task().stopped("Essential container in task exited", "EssentialContainerExited")


def collected(aws: FakeAws, query: Query | None = None, **how: Any) -> Collection:
    query = query or Query(cluster="prod", service="orders")
    return collect(query, aws, now=NOW, **how)  # type: ignore[arg-type]  # stands in for Clients


def only(collection: Collection) -> Case:
    (case,) = collection.cases
    return case


def an_unhealthy_task(where: str = "") -> TaskBuilder:
    """A task at 10.0.0.9 that failed its load balancer's health checks."""
    task = orders_task().stopped(f"Task failed ELB health checks{where}").container("app", 0)
    task["attachments"] = [{"type": "eni", "details": [{"name": "privateIPv4Address", "value": "10.0.0.9"}]}]
    return task


def a_target(address: str, reason: str = "") -> dict[str, Any]:
    health = {"State": "draining", "Reason": reason} if reason else {"State": "healthy"}
    return {"Target": {"Id": address}, "TargetHealth": health}


def evidence(case: Case) -> list[str]:
    return [str(line) for line in case.group.diagnosis.evidence]


@pytest.fixture
def aws() -> FakeAws:
    """A task of orders:7 that ended with code 1; everything beside it can be read."""
    fake = FakeAws(EXITED.container("app", 1))
    fake.definitions = {f"orders:{n}": orders_definition(n) for n in (6, 7)}
    fake.services = {"orders": {"loadBalancers": [{"targetGroupArn": TARGET_GROUP}]}}
    fake.logs = {STREAM: ["starting with DB_PASSWORD=hunter22", "ValueError: no orders"]}
    return fake


class TestWhatIsRead:
    def test_the_log_of_the_failed_container_with_its_last_error(self, aws: FakeAws) -> None:
        case = only(collected(aws))

        assert case.group.diagnosis.cause.endswith("Its log ends with: ValueError: no orders")
        assert "log of app: ValueError: no orders" in evidence(case)

    def test_what_changed_since_the_revision_before(self, aws: FakeAws) -> None:
        assert any(
            line.startswith("task definition: container app: image:")
            for line in evidence(only(collected(aws)))
        )

    def test_essential_containers_decide(self, aws: FakeAws) -> None:
        # Given: the helper failed, but only app is essential
        aws.tasks = {EXITED["taskArn"]: EXITED.container("helper", 1).container("app", 0)}
        definition = orders_definition()
        definition["containerDefinitions"].append({"name": "helper", "essential": False})
        aws.definitions["orders:7"] = definition

        assert only(collected(aws)).group.diagnosis.category == "app.exit_zero"

    def test_target_health_with_the_reason_of_the_load_balancer(self, aws: FakeAws) -> None:
        task = an_unhealthy_task(f" in (target-group {TARGET_GROUP})")
        aws.tasks = {task["taskArn"]: task}
        aws.targets[TARGET_GROUP] = [a_target("10.0.0.8"), a_target("10.0.0.9", "Target.Timeout")]

        case = only(collected(aws))

        assert "target health: 1 healthy, 1 draining (Target.Timeout)" in evidence(case)
        assert any("Target.Timeout" in line for line in case.group.diagnosis.advice)

    def test_the_target_group_that_the_message_names_is_asked(self, aws: FakeAws) -> None:
        task = an_unhealthy_task(f" in (target-group {TARGET_GROUP})")
        aws.tasks = {task["taskArn"]: task}
        aws.services["orders"]["loadBalancers"] = [
            {"targetGroupArn": PUBLIC},
            {"targetGroupArn": TARGET_GROUP},
        ]
        aws.targets[PUBLIC] = [a_target("10.0.0.9", "Target.NotInUse")]
        aws.targets[TARGET_GROUP] = [a_target("10.0.0.9", "Target.Timeout")]

        case = only(collected(aws))

        assert aws.calls["describe_target_health"] == 1
        assert "target health: 1 draining (Target.Timeout)" in evidence(case)

    def test_where_none_is_named_all_are_asked_and_the_tasks_own_target_counts(self, aws: FakeAws) -> None:
        task = an_unhealthy_task()
        aws.tasks = {task["taskArn"]: task}
        aws.services["orders"]["loadBalancers"] = [
            {"targetGroupArn": PUBLIC},
            {"targetGroupArn": TARGET_GROUP},
        ]
        aws.targets[PUBLIC] = [a_target("10.0.0.7", "Target.DeregistrationInProgress")]
        aws.targets[TARGET_GROUP] = [a_target("10.0.0.9", "Target.Timeout")]

        case = only(collected(aws))

        assert any("Target.Timeout" in line for line in case.group.diagnosis.advice)
        assert "target health of public: 1 draining (Target.DeregistrationInProgress)" in evidence(case)
        assert "target health of orders: 1 draining (Target.Timeout)" in evidence(case)

    def test_what_the_load_balancer_says_of_other_targets_is_no_reason(self, aws: FakeAws) -> None:
        task = an_unhealthy_task()
        aws.tasks = {task["taskArn"]: task}
        aws.targets[TARGET_GROUP] = [a_target("10.0.0.77", "Target.DeregistrationInProgress")]

        case = only(collected(aws))

        assert not any("DeregistrationInProgress" in line for line in case.group.diagnosis.advice)
        assert "target health: 1 draining (Target.DeregistrationInProgress)" in evidence(case)

    @pytest.mark.parametrize(
        ("images", "says"),
        [
            ({}, "ECR: orders:7 is not in ECR"),
            ({"orders:7": NOW}, "ECR: orders:7 was pushed 2026-03-04 05:00 UTC"),
        ],
    )
    def test_whether_the_image_is_in_ecr(self, aws: FakeAws, images: dict[str, Any], says: str) -> None:
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/orders:7"
        task = orders_task().stopped("CannotPullContainerError: context canceled", "TaskFailedToStart")
        aws.tasks = {task["taskArn"]: task.container("app", image=image)}
        aws.images = images

        assert says in evidence(only(collected(aws)))

    def test_the_way_out_of_the_subnet_when_a_registry_is_unreachable(self, aws: FakeAws) -> None:
        task = orders_task().stopped("CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout")
        aws.tasks = {task["taskArn"]: task}
        awsvpc = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
        aws.services["orders"]["networkConfiguration"] = {"awsvpcConfiguration": awsvpc}
        # Given: the subnet has no table of its own, the VPC's main one leads to an internet gateway
        route = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}
        aws.route_tables = [{"RouteTableId": "rtb-1", "main": True, "Routes": [route]}]

        lines = evidence(only(collected(aws)))

        assert any("the task has no public IP: no way out" in line for line in lines)
        assert any("lacks ecr.api, ecr.dkr, s3" in line for line in lines)

    def test_the_state_of_the_host(self, aws: FakeAws) -> None:
        host = arn("container-instance", "prod", "c0ffee")
        aws.tasks = {EXITED["taskArn"]: EXITED.container("app", 1).at(containerInstanceArn=host)}
        aws.instances = {
            host: {
                "containerInstanceArn": host,
                "ec2InstanceId": "i-0a",
                "status": "DRAINING",
                "agentConnected": True,
            }
        }

        assert "container instance: i-0a is DRAINING, its agent is connected" in evidence(
            only(collected(aws))
        )

    def test_a_host_that_is_gone(self, aws: FakeAws) -> None:
        host = arn("container-instance", "prod", "c0ffee")
        aws.tasks = {EXITED["taskArn"]: EXITED.container("app", 1).at(containerInstanceArn=host)}

        assert "container instance: is gone from the cluster" in evidence(only(collected(aws)))

    def test_earlier_stops_from_the_ledger_make_a_crash_loop(self, aws: FakeAws) -> None:
        for minutes in (3, 6):
            at = stamp(NOW - timedelta(minutes=minutes))
            row = {
                "pk": f"service#{arn('cluster', 'prod')}/orders",
                "sk": f"stop#{at}#t{minutes}",
                "task": f"t{minutes}",
            }
            row |= {"category": "app.exit_nonzero", "revision": "orders:7"}
            aws.items.append({name: {"S": value} for name, value in row.items()})

        case = only(collected(aws, ledger=Ledger("ledger", aws.get("dynamodb"))))

        assert "Crash loop: 3 stops in 6 minutes on orders:7." in case.group.diagnosis.cause

    def test_the_tasks_found_together_make_a_crash_loop_without_a_ledger(self, aws: FakeAws) -> None:
        for n in range(3):
            task = orders_task(f"{n:032x}").stopped("").container("app", 1)
            aws.tasks[task["taskArn"]] = task.at(stoppedAt=NOW - timedelta(minutes=n))

        assert "Crash loop: 4 stops" in only(collected(aws)).group.diagnosis.cause

    def test_the_timeline_has_the_log_and_the_service(self, aws: FakeAws) -> None:
        aws.services["orders"]["events"] = [
            {"createdAt": NOW, "message": "(service orders) has started 1 tasks."}
        ]

        sources = {moment.source for moment in only(collected(aws)).moments}

        assert {"task", "service", "log app"} <= sources

    def test_documents_are_masked(self, aws: FakeAws) -> None:
        text = json.dumps(only(collected(aws)).documents, default=str)

        assert "only-in-the-definition" not in text
        assert "hunter22" not in text
        assert "ValueError: no orders" in text

    def test_a_benign_stop_costs_no_further_reading(self, aws: FakeAws) -> None:
        task = orders_task().stopped("Scaling activity initiated by (deployment ecs-svc/1)")
        aws.tasks = {task["taskArn"]: task.container("app", 137)}

        assert only(collected(aws)).group.diagnosis.benign
        assert not aws.calls["get_log_events"]


class TestLogs:
    def test_a_driver_that_keeps_nothing_readable_is_named(self, aws: FakeAws) -> None:
        aws.definitions["orders:7"] = orders_definition(logConfiguration={"logDriver": "awsfirelens"})

        assert "log of app: not readable: its log driver is awsfirelens." in evidence(only(collected(aws)))

    def test_without_a_prefix_docker_names_the_stream_by_the_containers_id(self, aws: FakeAws) -> None:
        options = {"awslogs-group": "/ecs/orders", "awslogs-region": "eu-north-1"}
        aws.definitions["orders:7"] = orders_definition(
            logConfiguration={"logDriver": "awslogs", "options": options}
        )
        aws.tasks = {EXITED["taskArn"]: EXITED.container("app", 1, runtimeId="d0cker")}
        aws.logs = {("/ecs/orders", "d0cker"): ["boom"]}

        assert "log of app: boom" in evidence(only(collected(aws)))
        assert aws.accesses["get_log_events"] == Access("eu-north-1")

    def test_a_container_that_never_ran_has_no_log_to_read(self, aws: FakeAws) -> None:
        task = EXITED.stopped("CannotPullContainerError: manifest unknown", "TaskFailedToStart").container(
            "app"
        )
        del task["startedAt"]
        aws.tasks = {task["taskArn"]: task}

        collected(aws)

        assert not aws.calls["get_log_events"]

    def test_is_masked_as_a_whole_cut_and_harmless_to_a_terminal(self, aws: FakeAws) -> None:
        aws.logs[STREAM] = [
            "-----BEGIN PRIVATE KEY-----",
            "MIIEvQIBADAN",
            "-----END PRIVATE KEY-----",
            "\x1b[2J\x1b[31mValueError\x1b[0m: \ud800 no orders\x07\r\n",
            "x" * 20_000,
        ]

        case = only(collected(aws))

        shown = [event["message"] for event in case.documents["logs"]["app"]]
        assert shown == [
            "-----PRIVATE KEY ****-----",
            "",
            "",
            "ValueError: \ufffd no orders\n",
            "x" * LOG_MESSAGE_CHARS,
        ]
        everything = repr((case.group, case.moments, case.documents))
        assert "MIIEvQIBADAN" not in everything
        assert "\\x1b" not in everything

    def test_a_secret_that_the_cut_goes_through_is_seen_as_one(self, aws: FakeAws) -> None:
        aws.logs[STREAM] = ["x " * (LOG_MESSAGE_CHARS // 2 - 4) + "ghp_0123456789abcdefghij0123456789abcdef"]

        case = only(collected(aws))

        assert "ghp_" not in repr(case.documents["logs"])

    def test_none_is_read_when_none_is_asked_for(self, aws: FakeAws) -> None:
        collected(aws, log_lines=0)

        assert not aws.calls["get_log_events"]


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("operation", "source"),
        [
            ("describe_task_definition", "task definition"),
            ("describe_services", "service"),
            ("get_log_events", "log of app"),
            ("query", "ledger"),
        ],
    )
    @pytest.mark.parametrize(
        "code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"]
    )
    def test_is_one_line_of_evidence(self, aws: FakeAws, operation: str, source: str, code: str) -> None:
        aws.fail[operation] = error(code, operation)

        case = only(collected(aws, ledger=Ledger("ledger", aws.get("dynamodb"))))

        assert case.group.diagnosis.category == "app.exit_nonzero"
        lines = [line for line in evidence(case) if line.startswith(f"{source}: not readable: ")]
        assert len(lines) == 1
        assert f"{code} it is" in lines[0]

    def test_an_answer_in_an_unknown_shape_costs_no_more_than_a_refusal(self, aws: FakeAws) -> None:
        aws.fail["describe_services"] = KeyError("serviceName")

        assert "service: not readable: KeyError: 'serviceName'" in evidence(only(collected(aws)))

    def test_what_does_not_answer_within_the_deadline_is_said_so(self, aws: FakeAws) -> None:
        released = aws.hang["get_log_events"] = threading.Event()

        case = only(collected(aws, seconds=0.3))
        released.set()

        assert "log of app: not readable: no answer within 0.3 s" in evidence(case)
        assert case.group.diagnosis.category == "app.exit_nonzero"

    def test_shared_reads_that_hang_leave_time_for_the_log(self, aws: FakeAws) -> None:
        released = aws.hang["describe_services"] = threading.Event()

        case = only(collected(aws, seconds=0.6))
        released.set()

        assert "log of app: ValueError: no orders" in evidence(case)

    def test_the_tasks_themselves_must_be_readable(self, aws: FakeAws) -> None:
        aws.fail["list_tasks"] = error("AccessDeniedException", "ListTasks")

        with pytest.raises(AccessDenied, match="cannot list the stopped tasks"):
            collected(aws)


class TestWhichTasks:
    def test_those_within_the_window(self, aws: FakeAws) -> None:
        old = orders_task("0" * 32).stopped("Task stopped by user").at(stoppedAt=NOW - timedelta(hours=2))
        aws.tasks[old["taskArn"]] = old

        assert collected(aws).count == 1

    def test_those_asked_for_by_id_however_old(self, aws: FakeAws) -> None:
        old = orders_task("0" * 32).stopped("Task stopped by user").at(stoppedAt=NOW - timedelta(hours=2))
        aws.tasks = {old["taskArn"]: old}

        collection = collected(aws, Query(cluster="prod", tasks=("0" * 32, "f" * 32)))

        assert collection.count == 1
        assert collection.notes == (f"task {'f' * 32} is not known to ECS any more",)

    def test_those_of_a_service_and_of_a_family(self, aws: FakeAws) -> None:
        other = orders_task("1" * 32).stopped("Task stopped by user").revision("migration:3")
        aws.tasks[other["taskArn"]] = other

        collection = collected(aws, Query(cluster="prod", service="orders", family="migration"))

        assert [case.group.newest.revision for case in collection.cases] == ["migration:3"]
        assert collected(aws, Query(cluster="prod", family="migration")).count == 1

    def test_a_listing_whose_page_token_expires_is_read_again(self) -> None:
        aws = FakeAws(*(orders_task(f"{n:032x}").stopped("Task stopped by user") for n in range(150)))
        aws.tokens_that_expire = 1

        assert collected(aws).count == 150

    def test_page_tokens_that_keep_expiring_are_an_error(self) -> None:
        aws = FakeAws(*(orders_task(f"{n:032x}").stopped("Task stopped by user") for n in range(150)))
        aws.tokens_that_expire = 2

        with pytest.raises(AwsRefused, match="refused its own page token twice"):
            collected(aws)

    def test_none_is_no_error(self) -> None:
        assert collected(FakeAws()) == Collection((), 0)

    def test_a_task_that_still_runs_is_passed_over(self, aws: FakeAws) -> None:
        running = orders_task("1" * 32)
        running.update(lastStatus="RUNNING", desiredStatus="RUNNING")

        assert collected(FakeAws(running), Query(cluster="prod", tasks=("1" * 32,))).count == 0


class TestAnEvent:
    def test_is_completed_by_what_ecs_still_knows(self, aws: FakeAws) -> None:
        event = EXITED.container("app", 1)
        aws.tasks = {event["taskArn"]: EXITED.container("app", 1, healthStatus="UNHEALTHY")}

        case = only(collected(aws, Query(event=event)))

        assert case.group.newest.containers[0].health == "UNHEALTHY"

    def test_is_enough_when_ecs_has_forgotten_the_task(self, aws: FakeAws) -> None:
        aws.tasks = {}

        collection = collected(aws, Query(event=EXITED.container("app", 1)))

        assert only(collection).group.diagnosis.category == "app.exit_nonzero"
        assert "is not known to ECS any more" in collection.notes[0]

    def test_is_enough_when_ecs_refuses(self, aws: FakeAws) -> None:
        aws.fail["describe_tasks"] = error("AccessDeniedException", "DescribeTasks")

        collection = collected(aws, Query(event=EXITED.container("app", 1)))

        assert collection.count == 1
        assert collection.notes[0].startswith("DescribeTasks: not readable: ")

    def test_of_a_running_task_is_refused(self, aws: FakeAws) -> None:
        with pytest.raises(NotAStoppedTask):
            collected(aws, Query(event={"lastStatus": "RUNNING", "desiredStatus": "RUNNING"}))


class TestHowOften:
    def test_each_thing_is_read_once_however_many_tasks_share_it(self) -> None:
        # Given: 250 tasks of three revisions of one service, all of one cause
        tasks = [
            orders_task(f"{n:032x}", revision=5 + n % 3)
            .stopped("Essential container in task exited")
            .container("app", 1)
            for n in range(250)
        ]
        aws = FakeAws(*tasks)
        aws.definitions = {f"orders:{n}": orders_definition(n) for n in range(4, 8)}

        collection = collected(aws)

        assert (collection.count, len(collection.cases)) == (250, 3)
        assert aws.calls == {
            "list_tasks": 3,
            "describe_tasks": 3,
            "describe_task_definition": 4,  # the three, and the one before the first of them
            "describe_services": 1,
            "get_log_events": 3,  # the newest task of each group
        }

    def test_what_costs_a_call_of_its_own_is_read_once_for_all_groups(self, aws: FakeAws) -> None:
        # Given: two revisions, hence two groups, behind one target group
        reason = f"Task failed ELB health checks in (target-group {TARGET_GROUP})"
        tasks = [orders_task(f"{n:032x}", revision=n).stopped(reason) for n in (6, 7)]
        aws.tasks = {task["taskArn"]: task for task in tasks}

        assert len(collected(aws).cases) == 2
        assert aws.calls["describe_target_health"] == 1
