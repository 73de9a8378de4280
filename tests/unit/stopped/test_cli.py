"""`taskmedic explain` and `taskmedic stopped` as a person and a program use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.diagnosis.builders import a_task
from tests.unit.stopped.fake_aws import FakeAws, orders_definition, orders_task

from taskmedic.aws.clients import Access
from taskmedic.domain.errors import InputError, OptionInvalid, TaskmedicError
from taskmedic_cli.commands import stop as stop_module
from taskmedic_cli.commands import stopped as stopped_module
from taskmedic_cli.commands.explain import explain
from taskmedic_cli.commands.stop import stop
from taskmedic_cli.commands.stopped import stopped

OOM = "OutOfMemoryError: Container killed due to memory usage"


def said(command: str, text: str = "") -> str:
    result = CliRunner().invoke(explain, command.split(), input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


class TestExplain:
    def test_json_of_standard_input(self) -> None:
        (diagnosis,) = json.loads(said("--json", json.dumps(a_task().stopped(OOM))))

        assert diagnosis["category"] == "container.oom_killed"

    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "event.json"
        event = {"detail-type": "ECS Task State Change", "detail": a_task().stopped(OOM)}
        file.write_text(json.dumps(event))

        assert json.loads(said(f"{file} --json"))[0]["category"] == "container.oom_killed"

    def test_for_a_person_the_advice_comes_before_the_evidence(self) -> None:
        shown = said("-", json.dumps({"tasks": [a_task().stopped(OOM)]}))

        assert shown.index("Out of memory") < shown.index("What to do") < shown.index("Evidence")

    def test_for_a_person_the_confidence_names_what_it_rests_on(self) -> None:
        shown = said("-", json.dumps({"tasks": [a_task().container("app", 137, OOM)]}))

        assert "confidence high, rests on containers[app].reason" in " ".join(shown.split())

    def test_several_tasks_begin_with_a_table(self) -> None:
        shown = said(
            "-", json.dumps({"tasks": [a_task().stopped(OOM), a_task().stopped("Task stopped by user")]})
        )

        assert shown.lstrip().startswith("TASKS")

    def test_a_line_for_each_line(self) -> None:
        lines = [json.dumps(a_task().stopped(reason)) for reason in (OOM, "Task stopped by user")]

        answers = [json.loads(line) for line in said("--jsonl", "\n".join(lines)).splitlines()]

        assert [answer["category"] for answer in answers] == ["container.oom_killed", "user.stopped"]

    def test_a_bad_line_is_named_and_the_rest_goes_on(self) -> None:
        text = "\n".join(["{", json.dumps(a_task().stopped(OOM)), '{"lastStatus": "RUNNING"}'])

        result = CliRunner().invoke(explain, ["--jsonl"], input=text)

        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == 2
        assert [answer.get("error") for answer in answers] == ["InputError", None, "NotAStoppedTask"]
        assert "taskmedic: line 1: the input is not JSON" in result.stderr
        assert "its lastStatus is 'RUNNING'" in result.stderr

    @pytest.mark.parametrize("inside", [True, False], ids=["DescribeTasks", "list"])
    def test_stopped_tasks_beside_others_are_explained_and_the_others_counted(self, inside: bool) -> None:
        running = {"taskArn": "arn:aws:ecs:eu-west-1:1:task/prod/2", "lastStatus": "RUNNING"}
        tasks = [running, a_task().stopped(OOM), running]
        other = {"detail-type": "ECS Service Action"}
        document = {"tasks": tasks} if inside else [*tasks, other]

        result = CliRunner().invoke(explain, ["--json"], input=json.dumps(document))

        assert result.exit_code == 0
        assert [one["category"] for one in json.loads(result.stdout)] == ["container.oom_killed"]
        count = "2 of 3" if inside else "3 of 4"
        assert result.stderr == (
            f"taskmedic: {count} left out, not a stopped task; the first: its lastStatus is 'RUNNING'\n"
        )

    def test_a_line_may_hold_whatever_a_file_may_and_gets_one_line(self) -> None:
        oom, stopped_by_hand = a_task().stopped(OOM), a_task().stopped("Task stopped by user")
        lines = [{"tasks": [oom]}, {"tasks": [oom, stopped_by_hand]}, {"detail": oom}, {"tasks": []}, [], oom]

        result = CliRunner().invoke(explain, ["--jsonl"], input="\n".join(map(json.dumps, lines)))

        one, two, event, none, empty, bare = map(json.loads, result.stdout.splitlines())
        assert one == event == bare
        assert [each["category"] for each in two] == ["container.oom_killed", "user.stopped"]
        assert (none["error"], empty["error"]) == ("NotAStoppedTask", "NotAStoppedTask")
        assert result.exit_code == 2

    def test_a_file_with_a_byte_order_mark_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "tasks.json"
        file.write_bytes(b"\xef\xbb\xbf" + json.dumps(a_task().stopped(OOM)).encode())

        assert said(f"{file} --jsonl") == said("--jsonl", "\ufeff" + json.dumps(a_task().stopped(OOM)))

    def test_brackets_in_a_reason_are_no_markup(self) -> None:
        assert "[bold]x[/nonsense]" in said("-", json.dumps(a_task().stopped("[bold]x[/nonsense]")))

    @pytest.mark.parametrize("tasks", [1, 2])
    def test_what_aws_says_is_shown_as_it_is_and_cannot_steer_the_terminal(self, tasks: int) -> None:
        arn = "arn:aws:secretsmanager:eu-west-1:1:secret:orders/db-a1b2c3"
        reason = f"ResourceInitializationError: unable to retrieve secret \x1b[2J\x9b1m{arn}: not found"

        shown = said("-", json.dumps([a_task().stopped(reason)] * tasks))

        assert arn in "".join(shown.split())
        assert not set(shown) & {"\x1b", "\x9b"}

    @pytest.mark.parametrize(
        ("args", "content", "says"),
        [
            (["no-such-file"], b"", "cannot read no-such-file"),
            (["-"], b"not json", "the input is not JSON"),
            (["-"], b"", "the input is not JSON"),
            (["-"], b"\xff\xfe", "not UTF-8"),
            (["-"], b"[" * 100_000, "the input is not JSON"),
            (["-"], b'"text"', "a task must be a JSON object"),
            (["-"], b'{"detail-type": "ECS Service Action"}', "this is not a stopped task"),
            (["-"], b"[]", "the input holds no task"),
            (["-"], b'{"tasks": []}', "the output holds no task"),
            (["-"], b'{"tasks": [{"lastStatus": "RUNNING"}]}', "its lastStatus is 'RUNNING'"),
        ],
    )
    def test_bad_input_is_a_typed_error_with_exit_code_2(
        self, args: list[str], content: bytes, says: str
    ) -> None:
        result = CliRunner().invoke(explain, args, input=content)

        assert isinstance(result.exception, InputError)
        assert says in str(result.exception)
        assert result.exception.exit_code == 2


class TestStopped:
    @pytest.fixture(autouse=True)
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
        at = {"stoppedAt": "2999-01-01T00:00:00Z"}
        tasks = [orders_task(f"{n:032x}").stopped(OOM).container("app", 137).at(**at) for n in range(3)]
        fake = FakeAws(*tasks)
        fake.definitions = {"orders:7": orders_definition()}
        monkeypatch.setattr(stopped_module, "clients_for", lambda *_: fake)
        return fake

    def test_json_has_a_diagnosis_for_each_cause_with_its_tasks(self) -> None:
        result = CliRunner().invoke(stopped, ["--cluster", "prod", "--json"], catch_exceptions=False)

        (diagnosis,) = json.loads(result.stdout)
        assert diagnosis["category"] == "container.oom_killed"
        assert len(diagnosis["tasks"]) == 3

    def test_for_a_person_the_detail_has_a_timeline(self) -> None:
        result = CliRunner().invoke(
            stopped, ["--cluster", "prod", "--service", "orders"], catch_exceptions=False
        )

        assert "What to do" in result.stdout
        assert "Timeline" in result.stdout
        assert "2 more of the same cause" in result.stdout

    def test_another_account_is_read_by_its_role_and_external_id(self, aws: FakeAws) -> None:
        role = "arn:aws:iam::222222222222:role/taskmedic"
        there = ["--assume-role-arn", role, "--external-id", "x-1", "--region", "eu-west-1"]

        CliRunner().invoke(stopped, ["--cluster", "prod", *there], catch_exceptions=False)

        assert aws.accesses["describe_tasks"] == Access("eu-west-1", role, "x-1")

    def test_an_arn_brings_its_region_along(self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stop_module, "clients_for", lambda *_: aws)
        cluster = ["--cluster", "arn:aws:ecs:ap-south-1:123456789012:cluster/prod"]

        for command in (stopped, stop):
            task = ["--task", next(iter(aws.tasks))] if command is stop else []
            task = [word.replace("eu-west-1", "ap-south-1") for word in task]
            aws.accesses.clear()
            result = CliRunner().invoke(command, [*cluster, *task], catch_exceptions=False)
            assert result.exit_code == 0
            assert aws.accesses["describe_tasks"] == Access("ap-south-1")

            elsewhere = CliRunner().invoke(command, [*cluster, *task, "--region", "eu-west-1"])
            assert isinstance(elsewhere.exception, OptionInvalid)
            assert "ap-south-1 and eu-west-1" in str(elsewhere.exception)

    def test_nothing_stopped(self, aws: FakeAws) -> None:
        aws.tasks = {}

        result = CliRunner().invoke(stopped, ["--cluster", "prod"], catch_exceptions=False)

        assert result.stdout == "No task stopped in this time.\n"

    def test_a_duration_that_cannot_be_understood(self) -> None:
        result = CliRunner().invoke(stopped, ["--cluster", "prod", "--since", "yesterday"])

        assert isinstance(result.exception, OptionInvalid)
        assert isinstance(result.exception, TaskmedicError)
        assert "--since" in str(result.exception)
