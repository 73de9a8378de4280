"""What a diagnosis tells: names from the message, advice in order, evidence with its place, crash loops."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.diagnosis.builders import TaskBuilder, a_task
from tests.unit.diagnosis.wordings import WORDINGS

from taskmedic.domain.diagnosis import CATEGORIES, DiagnosisContext, EarlierStop, Evidence, diagnose
from taskmedic.domain.diagnosis.catalogue import PLAIN_WORDS, Category, Telling, fields_of
from taskmedic.domain.diagnosis.facts import SOURCES
from taskmedic.domain.diagnosis.logs import last_error

NOW = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
DENIED_SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from "
    "asm: "
    "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/orders-exec/0f is not authorized "
    "to perform: "
    "secretsmanager:GetSecretValue on resource: "
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf "
)


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda category: category.label)
def test_every_category_says_what_to_do_and_speaks_only_of_known_facts(category: Category) -> None:
    conditional = {"endpoint_policy", "repository_policy", "exit_advice", "of_service", "of_job", "killed"}
    conditional |= {
        "log_router",
        "throttled",
        "reason_code",
        "missing_resource",
        "ecr",
        "other_registry",
        "kms",
    }

    assert category.advice
    assert category.meaning.endswith(".")
    assert fields_of(category) <= set(PLAIN_WORDS) | conditional


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda category: category.label)
def test_every_fact_that_a_category_speaks_of_has_a_source(category: Category) -> None:
    elsewhere = {"exit_code", "exit_meaning", "exit_advice", "other_registry", "said"}

    assert fields_of(category) <= SOURCES | elsewhere


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda category: category.label)
def test_where_the_message_names_nothing_the_plain_words_fit(category: Category) -> None:
    telling = Telling({})
    for line in (
        telling.tell(category.title),
        telling.tell(category.cause),
        *telling.advise(category.advice),
    ):
        words = line.lower().split()
        doubled = [pair for pair in pairwise(words) if pair[0] == pair[1]]

        assert not doubled, line
        assert not re.search(r"\b(?:the|an?|no|code) (?:the|an?)\b|\bthe action the\b", line), line


@pytest.mark.parametrize("category", list(WORDINGS))
def test_texts_are_whole_sentences_without_placeholders(category: str) -> None:
    for text in WORDINGS[category]:
        diagnosis = diagnose(a_task().stopped(text))
        for line in (diagnosis.title, diagnosis.cause, *diagnosis.advice):
            assert line.strip()
            assert "{" not in line
            assert "\n" not in line


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        (DENIED_SECRET, ["orders-exec", "secretsmanager:GetSecretValue", "secret:orders/db-AbCdEf"]),
        (
            DENIED_SECRET + "because no VPC endpoint policy allows the action",
            ["VPC endpoint's policy refuses it"],
        ),
        (
            "CannotPullContainerError: Error response from daemon: manifest for example/orders:2.1 not found",
            ["example/orders:2.1"],
        ),
        (
            (
                "CannotPullContainerError: AccessDeniedException: not authorized to perform: "
                "ecr:BatchGetImage on resource: "
                "arn:aws:ecr:eu-west-1:123456789012:repository/orders because no resource-based policy "
                "allows it"
            ),
            ["ecr:BatchGetImage", "repository's policy"],
        ),
        (
            (
                "ResourceInitializationError: failed to validate logger args: AccessDeniedException: not "
                "authorized to "
                "perform: logs:CreateLogStream on resource: "
                "arn:aws:logs:eu-west-1:1:log-group:/ecs/orders:log-stream:x"
            ),
            ["/ecs/orders", "logs:CreateLogStream"],
        ),
        ("Unexpected EC2 error: InsufficientFreeAddressesInSubnet subnet-0aa1bb22", ["subnet-0aa1bb22"]),
        ("CannotStartContainerError: Bind for 0.0.0.0:8443 failed: port is already allocated", ["port 8443"]),
        ("CannotStartContainerError: unable to find user web: no matching entries in passwd file", ["web"]),
        ('CannotStartContainerError: exec: "/app/run.sh": permission denied: unknown', ["/app/run.sh"]),
        ("Host EC2 (instance i-0aa1bb22cc33dd44e) terminated.", ["i-0aa1bb22cc33dd44e"]),
        (
            (
                "Task failed ELB health checks in (target-group "
                "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/0a)"
            ),
            ["target group web"],
        ),
        (
            "dependency graph: container ordering dependency [envoy] for target [web] has timed out.",
            ["envoy"],
        ),
        (
            (
                "failed to invoke EFS utils commands: mount.nfs4: fs-0aa11bb2.efs.eu-west-1.amazonaws.com "
                "timed "
                "out"
            ),
            ["fs-0aa11bb2"],
        ),
        ("unable to retrieve secret from asm: did not contain json key password_2", ["password_2"]),
        ("service (a) insufficient memory: no container instance met all of its requirements", ["memory"]),
        (
            "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/orders-task' that was given",
            ["Role cannot be assumed: arn:aws:iam::123456789012:role/orders-task"],
        ),
        (
            (
                "unable to retrieve secret from asm: AccessDeniedException: not authorized to perform: "
                "kms:Decrypt on resource: arn:aws:kms:eu-west-1:123456789012:key/0aa1-bb22"
            ),
            ["kms:Decrypt on arn:aws:kms:eu-west-1:123456789012:key/0aa1-bb22"],
        ),
        (
            (
                "unable to retrieve secret from asm: failed to fetch secret arn:aws:secretsmanager:eu-west-1:"
                "123456789012:secret:db-AbCdEf: AccessDeniedException: Access to KMS is not allowed"
            ),
            ["secret:db-AbCdEf", "kms:Decrypt on the KMS key that encrypts it"],
        ),
        ("unable to download env file with key prod/orders.env from bucket acme", ["prod/orders.env"]),
        ("Frobnication quuxed", ['Its reason reads: "Frobnication quuxed".']),
    ],
)
def test_the_advice_names_what_the_message_names(reason: str, names: list[str]) -> None:
    diagnosis = diagnose(a_task().stopped(reason))
    told = " ".join((diagnosis.title, diagnosis.cause, *diagnosis.advice))

    for name in names:
        assert name in told


def test_what_the_message_does_not_name_is_taken_from_the_task_and_its_definition() -> None:
    task = (
        a_task()
        .stopped("Task failed to start")
        .container(
            "app",
            reason="CannotStartContainerError: failed to initialize logging driver: log group does not exist",
            image="example/orders:1",
        )
    )
    options = {"awslogs-group": "/ecs/orders"}
    definition: dict[str, Any] = {
        "executionRoleArn": "arn:aws:iam::123456789012:role/orders-exec",
        "containerDefinitions": [{"name": "app", "logConfiguration": {"options": options}}],
    }

    diagnosis = diagnose(task, DiagnosisContext(task_definition=definition))

    assert "/ecs/orders" in diagnosis.title
    assert any("orders-exec" in line for line in diagnosis.advice)


def test_a_role_that_is_called_after_kms_does_not_make_it_a_matter_of_kms() -> None:
    diagnosis = diagnose(a_task().stopped(DENIED_SECRET.replace("orders-exec", "to-KMS-key")))

    assert any("secretsmanager:GetSecretValue" in line for line in diagnosis.advice)


def test_the_roles_of_the_task_definition_are_named_where_the_message_names_none() -> None:
    definition = {
        "taskRoleArn": "arn:aws:iam::1:role/orders-task",
        "executionRoleArn": "arn:aws:iam::1:role/exec",
    }
    task = a_task().stopped("IAM trust relationship has been misconfigured or changed")

    diagnosis = diagnose(task, DiagnosisContext(task_definition=definition))

    assert diagnosis.title.endswith("arn:aws:iam::1:role/orders-task or arn:aws:iam::1:role/exec")


class TestAdviceOnARefusedPull:
    REFUSED = "CannotPullContainerError: pull access denied for {}, repository does not exist"

    def advice(self, text: str, **container: str) -> str:
        return " ".join(diagnose(a_task().stopped(text).container("app", **container)).advice)

    def test_iam_is_not_in_play_at_another_registry(self) -> None:
        advice = self.advice(self.REFUSED.format("acme/orders"))

        assert "Allow" not in advice
        assert "repositoryCredentials" in advice

    def test_repository_credentials_are_not_in_play_in_ecr(self) -> None:
        image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:1"

        advice = self.advice("CannotPullContainerError: no basic auth credentials", image=image)

        assert "AmazonECSTaskExecutionRolePolicy" in advice
        assert "repositoryCredentials" not in advice


@pytest.mark.parametrize(
    ("task", "source"),
    [
        (a_task().stopped("Quux failed: alpha", "TaskFailedToStart"), "stoppedReason"),
        (
            a_task().stopped("Task failed").container("app", reason="Quux failed: alpha"),
            "containers[app].reason",
        ),
    ],
)
def test_a_reason_that_no_rule_knows_is_shown(task: TaskBuilder, source: str) -> None:
    diagnosis = diagnose(task)

    assert (diagnosis.category, diagnosis.rests_on) == ("unknown.generic", source)
    assert '"Quux failed: alpha"' in diagnosis.cause


def test_terminal_sequences_and_lone_surrogates_come_out_as_printable_text() -> None:
    nasty = "Quux \x1b[31mfailed\x1b]0;title\x07 \ud800\x07"
    task = a_task().stopped(nasty).container("app\x1b[2J", reason=nasty) | {"group": "service:\ud800x"}

    shown = diagnose(
        task, DiagnosisContext(log_tail={"app": (f"ERROR {nasty}",)}, notes=(Evidence("n", nasty),))
    )

    text = str(shown)
    text.encode()
    assert all(line.text.isprintable() for line in shown.evidence)
    assert "\x1b" not in shown.cause + shown.title + shown.container
    assert "Quux failed" in shown.cause


def test_an_arn_that_a_terminal_has_broken_is_whole_in_the_advice() -> None:
    wrapped = DENIED_SECRET.replace("secret:orders/", "secret:\n      orders/\r\n      ")

    assert any("secret:orders/db-AbCdEf" in line for line in diagnose(a_task().stopped(wrapped)).advice)


def test_on_ec2_it_is_the_instances_role_that_pulls() -> None:
    task = a_task(launchType="EC2").stopped("CannotPullContainerError: no basic auth credentials")

    assert any("the role of the container instance" in line for line in diagnose(task).advice)


def test_what_nobody_names_is_said_in_plain_words() -> None:
    diagnosis = diagnose(a_task().stopped("CannotPullContainerError: manifest unknown"))

    assert diagnosis.title == "Image not found: the container's image"


def test_the_first_line_of_evidence_is_what_the_diagnosis_rests_on() -> None:
    task = (
        a_task().stopped("Task failed to start", "TaskFailedToStart").container("app", reason=DENIED_SECRET)
    )

    diagnosis = diagnose(task, DiagnosisContext(notes=(Evidence("network", "no way out"),)))

    assert [line.source for line in diagnosis.evidence] == [
        "containers[app].reason",
        "stoppedReason",
        "stopCode",
        "network",
    ]
    assert diagnosis.to_json()["evidence"][1] == "stoppedReason: Task failed to start"


@pytest.mark.parametrize(
    ("task", "rests_on"),
    [
        (a_task().stopped("Task failed").container("app", 137, "OutOfMemoryError"), "containers[app].reason"),
        (a_task().stopped("Task failed ELB health checks"), "stoppedReason"),
        (a_task().stopped("bye", "UserInitiated"), "stopCode"),
        (a_task().stopped("").container("app", 3), "containers[app].exitCode"),
    ],
)
def test_a_diagnosis_says_what_it_rests_on(task: TaskBuilder, rests_on: str) -> None:
    diagnosis = diagnose(task)

    assert diagnosis.rests_on == diagnosis.to_json()["rests_on"] == rests_on


def test_json_has_exactly_the_documented_members() -> None:
    assert set(diagnose(a_task()).to_json()) == {
        "task_arn",
        "category",
        "benign",
        "confidence",
        "rests_on",
        "title",
        "cause",
        "advice",
        "evidence",
        "container",
        "service",
        "revision",
    }


def test_secrets_in_a_reason_are_not_shown() -> None:
    reason = "Essential container exited: DB_PASSWORD=hunter22 at postgres://u:s3cret@db/x"

    shown = str(diagnose(a_task().stopped(reason)).to_json())

    assert "hunter22" not in shown
    assert "s3cret" not in shown


class TestContainerOfATaskLevelText:
    def test_the_unhealthy_one(self) -> None:
        task = (
            a_task()
            .stopped("Task failed container health checks")
            .container("proxy", 143, healthStatus="HEALTHY")
            .container("app", 143, healthStatus="UNHEALTHY")
        )

        assert diagnose(task).container == "app"

    def test_the_only_one_with_a_health_check(self) -> None:
        task = a_task().stopped("Task failed container health checks").container("proxy").container("app")
        definition = {
            "containerDefinitions": [{"name": "proxy"}, {"name": "app", "healthCheck": {"command": ["x"]}}]
        }

        assert diagnose(task, DiagnosisContext(task_definition=definition)).container == "app"

    def test_the_one_whose_image_the_text_names(self) -> None:
        task = (
            a_task()
            .stopped("CannotPullContainerError: manifest for example/app:2 not found")
            .container("proxy", image="example/proxy:1")
            .container("app", image="example/app:2")
        )

        assert diagnose(task).container == "app"

    def test_none_when_it_cannot_be_told(self) -> None:
        task = a_task().stopped("Task failed container health checks").container("proxy").container("app")

        assert diagnose(task).container == ""


class TestCrashLoop:
    def loop(
        self, *minutes_ago: float, category: str = "app.exit_nonzero", revision: str = "orders:3"
    ) -> str:
        task = (a_task().of_service("orders").revision("orders:3").stopped("").container("app", 1)).at(
            stoppedAt=NOW
        )
        stops = tuple(EarlierStop(NOW - timedelta(minutes=m), category, revision) for m in minutes_ago)
        return diagnose(task, DiagnosisContext(earlier_stops=stops)).cause

    def test_three_stops_in_a_quarter_of_an_hour_on_one_revision(self) -> None:
        assert "Crash loop: 3 stops in 9 minutes on orders:3." in self.loop(4, 9)

    def test_within_a_minute(self) -> None:
        assert "3 stops within a minute" in self.loop(0.2, 0.4)

    @pytest.mark.parametrize(
        "earlier",
        [
            {"minutes": (4,)},
            {"minutes": (4, 40)},
            {"minutes": (4, 9), "revision": "orders:2"},
            {"minutes": (4, 9), "category": "deployment.scaling_activity"},
        ],
    )
    def test_not_of_two_nor_long_ago_nor_another_revisions_nor_benign_ones(
        self, earlier: dict[str, Any]
    ) -> None:
        minutes = earlier.pop("minutes")

        assert "Crash loop" not in self.loop(*minutes, **earlier)

    def test_the_first_advice_is_to_end_it(self) -> None:
        stops = tuple(EarlierStop(NOW - timedelta(minutes=m), "app.exit_nonzero", "") for m in (1, 2))

        diagnosis = diagnose(
            a_task().container("app", 1).at(stoppedAt=NOW), DiagnosisContext(earlier_stops=stops)
        )

        assert diagnosis.advice[0].startswith("This repeats")


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            ["java.lang.IllegalStateException: no port", "\tat a.B.c(B.java:1)"],
            "java.lang.IllegalStateException: no port",
        ),
        (
            ['Exception in thread "main" x', "Caused by: a.b.SQLError: refused"],
            "Caused by: a.b.SQLError: refused",
        ),
        (
            ["panic: runtime error: index out of range", "goroutine 1 [running]:"],
            "panic: runtime error: index out of range",
        ),
        (["2026-03-04 ERROR [main] cannot start", "done"], "2026-03-04 ERROR [main] cannot start"),
        (["TypeError: x is not a function", "    at f (/a.js:1:1)"], "TypeError: x is not a function"),
        (["ERROR cannot start", "    at error (/a.js:1:1)"], "ERROR cannot start"),
        (
            ["ERROR could not connect", "Error reporting enabled", "Failure rate: 0"],
            "ERROR could not connect",
        ),
        (["Segmentation fault (core dumped)"], "Segmentation fault (core dumped)"),
        (["run.sh: line 3:     7 Killed   ./app"], "run.sh: line 3:     7 Killed   ./app"),
        (["Killed"], "Killed"),
        (["thread 'main' panicked at src/main.rs:1:", "note: x"], "thread 'main' panicked at src/main.rs:1:"),
        (["bash: foo: command not found"], "bash: foo: command not found"),
        (["npm ERR! code ELIFECYCLE"], "npm ERR! code ELIFECYCLE"),
        (["a.rb:1:in `x': none (NameError)"], "a.rb:1:in `x': none (NameError)"),
        (["time=1 level=error msg=full"], "time=1 level=error msg=full"),
        (["\x1b[31mERROR\x1b[0m cannot start"], "ERROR cannot start"),
        (["ErrorHandler installed", "Killed 3 idle workers"], ""),
        (["listening on 8080"], ""),
        ([], ""),
    ],
)
def test_the_line_of_a_log_that_names_the_error(lines: list[str], error: str) -> None:
    assert last_error(lines) == error


LOGGER = "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("failed to create Cloudwatch log stream: ThrottlingException: Rate exceeded", "rate of calls"),
        ("dial unix /var/run/fluent.sock: connect: no such file or directory", "/var/run/fluent.sock runs"),
        ("dial tcp 127.0.0.1:24224: connect: connection refused", "127.0.0.1:24224 runs"),
        ("RequestError: send request failed: dial tcp 10.1.2.3:443: i/o timeout", "NAT gateway"),
    ],
)
def test_only_where_the_network_is_at_fault_a_way_out_is_advised_for_logs(said: str, advised: str) -> None:
    diagnosis = diagnose(a_task().stopped(LOGGER + said))

    assert diagnosis.category == "logs.network"
    assert advised in diagnosis.advice[0]
    assert any("NAT gateway" in line for line in diagnosis.advice) == (advised == "NAT gateway")


def test_logs_that_are_refused_for_their_rate_and_a_missing_log_router_are_two_causes() -> None:
    throttled = diagnose(a_task().stopped(LOGGER + "awslogs: ThrottlingException: Rate exceeded"))
    no_router = diagnose(a_task().stopped(LOGGER + "dial unix /run/fluent.sock: connect: no such file"))

    assert throttled.kind != no_router.kind
