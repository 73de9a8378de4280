"""The rules as data: each is reached, each says where it is from, and their order is the precedence."""

from __future__ import annotations

import json

import pytest
from tests.unit.diagnosis.builders import a_task
from tests.unit.diagnosis.wordings import WORDINGS

from taskmedic.domain.diagnosis import CATEGORIES, RULES, Confidence, Rank, Rule, diagnose
from taskmedic.domain.diagnosis.rules.orchestration import REQUEST_RULES
from taskmedic.domain.diagnosis.text import Message, Phrases


def deciding(text: str) -> Rule | None:
    return next((rule for rule in RULES if rule.holds(Message("stoppedReason", text))), None)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_reached_by_its_own_example(rule: Rule) -> None:
    assert deciding(rule.example) is rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_names_a_known_category_and_its_source(rule: Rule) -> None:
    assert rule.category in CATEGORIES
    assert rule.source


def test_names_are_unique_so_that_a_group_of_words_is_never_mistaken_for_another() -> None:
    groups: dict[str, Phrases] = {}
    for rule in RULES:
        for group in (*rule.all_of, *rule.none_of):
            assert groups.setdefault(group.name, group) == group
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_an_outline_never_hides_a_cause_that_stands_after_it() -> None:
    # Given: a text of an outline rule; then no later rule of a better rank may hold for its example
    for index, rule in enumerate(RULES):
        if rule.rank is Rank.OUTLINE:
            message = Message("stoppedReason", rule.example)
            later = [
                other.name for other in RULES[index + 1 :] if other.rank < rule.rank and other.holds(message)
            ]
            assert not later, rule.name


@pytest.mark.parametrize(
    ("text", "winner", "loser"),
    [
        # inner cause before outer name
        (
            "CannotStartContainerError: container init was OOM-killed (memory limit too low?)",
            "out-of-memory",
            "start-outline",
        ),
        (
            "CannotStartContainerError: failed to initialize logging driver: log group does not exist",
            "logs-missing",
            "start-outline",
        ),
        (
            "CannotCreateContainerError: mkdir /x: no space left on device",
            "create-disk-full",
            "create-outline",
        ),
        # refused before absent: a private repository that does not exist is refused in the same words
        (
            "CannotPullContainerError: pull access denied for a/b, repository does not exist",
            "pull-refused",
            "pull-missing",
        ),
        # unreachable before absent: the log group was never asked
        (
            (
                "failed to validate logger args: The task cannot find the log group. connection issue "
                "between "
                "the task and CloudWatch"
            ),
            "logs-unreachable",
            "logs-missing",
        ),
        # a limit of the rate before what it came with
        (
            "CannotPullContainerError: 429 Too Many Requests: toomanyrequests: authentication required",
            "pull-rate-limited",
            "pull-refused",
        ),
        # what was refused is the secret that holds the registry's credentials, not the registry
        (
            "CannotPullContainerError: unable to get registry auth from asm: AccessDeniedException",
            "secret-denied",
            "secret-outline",
        ),
        # the task's own interface before the start that it broke
        (
            "CannotStartContainerError: ContainerNetworkingError: no such link",
            "eni-error",
            "start-outline",
        ),
        # a cause before the consequence
        (
            "InternalError: Timeout waiting for network interface provisioning to complete",
            "eni",
            "internal-error",
        ),
        # the exec agent's names begin like the container's
        ("CannotStartContainerExecError: the exec could not start", "exec-agent", "start-outline"),
        # where a text names the inspection, its time-out is not the news
        (
            "CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s",
            "inspect",
            "runtime-timeout",
        ),
        # a full subnet before the interface that could not be made in it
        (
            (
                "Unexpected EC2 error while attempting to Create Network Interface: "
                "InsufficientFreeAddressesInSubnet"
            ),
            "subnet-full",
            "eni",
        ),
        # the load balancer's check before the container's
        (
            "(port 80) is unhealthy in (target-group a): failed container health checks",
            "load-balancer",
            "container-health",
        ),
    ],
)
def test_where_two_rules_hold_the_order_settles_it(text: str, winner: str, loser: str) -> None:
    by_name = {rule.name: rule for rule in RULES}
    message = Message("stoppedReason", text)

    assert by_name[winner].holds(message)
    assert by_name[loser].holds(message)
    assert deciding(text) is by_name[winner]


class TestOrderOfEvidence:
    def test_a_containers_cause_comes_before_the_tasks(self) -> None:
        task = (
            a_task()
            .stopped("Task failed ELB health checks in (target-group x)")
            .container("app", 137, reason="OutOfMemoryError: Container killed due to memory usage")
        )

        assert diagnose(task).category == "container.oom_killed"

    def test_a_cause_at_the_task_comes_before_an_outline_at_the_container(self) -> None:
        # Given: the container's reason was cut, the task's was not
        task = (
            a_task()
            .stopped("CannotPullContainerError: Error response from daemon: manifest for a/b:1 not found")
            .container("app", reason="CannotPullContainerError: Error response from")
        )

        assert diagnose(task).category == "image_pull.not_found"

    def test_a_cause_comes_before_a_dependency_that_was_not_met(self) -> None:
        task = (
            a_task()
            .container("web", reason="dependency graph: container ordering dependency [db] has timed out.")
            .container("db", reason="CannotStartContainerError: executable file not found in $PATH")
        )

        diagnosis = diagnose(task)

        assert (diagnosis.category, diagnosis.container) == ("container.start_failed.entrypoint", "db")

    @pytest.mark.parametrize(
        ("code", "category"),
        [("UserInitiated", "user.stopped"), ("SpotInterruption", "capacity.spot_interruption")],
    )
    def test_a_decisive_stop_code_comes_before_exit_codes(self, code: str, category: str) -> None:
        assert diagnose(a_task().stopped("", code).container("app", 1)).category == category

    def test_the_words_of_a_caller_of_stop_task_are_not_read_as_errors(self) -> None:
        task = a_task().stopped("CannotPullContainerError again, stopping it: i/o timeout", "UserInitiated")

        assert diagnose(task).category == "user.stopped"

    @pytest.mark.parametrize(
        "reason",
        [
            "Rolling back to build 12",
            "recycling an unhealthy container",
            "load balancer says the target is unhealthy",
            "security patch of the base image",
            "OutOfMemory in sight, restarted",
            "Stopped by deployment pipeline: unhealthy",
            "deploy: stopped by deployment",
            "Successfully set desired count",
        ],
    )
    def test_a_caller_may_use_the_words_of_ecs_for_what_he_does(self, reason: str) -> None:
        task = a_task().stopped(reason, "UserInitiated").container("app", 137)

        assert diagnose(task).category == "user.stopped"

    def test_a_stop_of_our_own_is_known_also_without_its_code(self) -> None:
        task = a_task().stopped("Taskmedic: OutOfMemory in sight").container("app", 143).container("proxy", 0)

        assert diagnose(task).category == "user.stopped"

    def test_ecs_own_words_are_believed_also_with_that_code(self) -> None:
        task = a_task().stopped("Container instance deregistration forced by user", "UserInitiated")

        assert diagnose(task).category == "host.instance_deregistered"

    def test_termination_notice_without_words_is_the_host(self) -> None:
        assert diagnose(a_task().stopped("", "TerminationNotice")).category == "host.instance_terminated"

    @pytest.mark.parametrize("code", ["ServiceSchedulerInitiated", "TaskFailedToStart", "SomethingNew", ""])
    def test_other_stop_codes_settle_nothing(self, code: str) -> None:
        diagnosis = diagnose(a_task().stopped("", code))

        assert diagnosis.category == "unknown.generic"
        assert diagnosis.confidence is Confidence.LOW
        assert any("describe-tasks" in line for line in diagnosis.advice)

    def test_exit_codes_say_nothing_when_the_scheduler_stopped_it(self) -> None:
        task = a_task().stopped("", "ServiceSchedulerInitiated").container("app", 137)

        assert diagnose(task).category == "unknown.generic"

    def test_a_running_task_that_is_told_to_stop_in_foreign_words_was_stopped_by_someone(self) -> None:
        task = a_task().stopped("night watch") | {"lastStatus": "RUNNING"}

        assert diagnose(task).category == "user.stopped"


def test_rules_for_a_callers_words_are_ecs_own_sentences_only() -> None:
    names = {rule.name for rule in REQUEST_RULES}

    assert names == {"scaling", "instance-gone", "instance-deregistered", "instance-draining", "spot"}


def test_no_wording_of_the_tests_is_an_example_of_a_rule() -> None:
    # Otherwise the tests would only show that rules know their own examples.
    examples = {rule.example for rule in RULES}
    shared = [text for texts in WORDINGS.values() for text in texts if text in examples]

    assert len(shared) < 0.15 * sum(map(len, WORDINGS.values())), json.dumps(shared, indent=1)
