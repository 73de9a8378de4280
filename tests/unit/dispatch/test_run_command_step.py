"""The run_command function's two calls: a batch, and the summary of all batches."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import boto3
import pytest
from moto import mock_aws

from taskmedic.aws.clients import Clients
from taskmedic.aws.evidence import EvidenceStore
from taskmedic.aws.ledger import Ledger
from taskmedic.domain.command import CommandResult, CommandSpec, Outcome
from taskmedic.domain.dispatch import NodeResult
from taskmedic.domain.errors import AwsRefused
from taskmedic.domain.nodes import Node
from taskmedic.settings import RunCommandSettings
from taskmedic.ssm.run import OutputSink
from taskmedic.steps import run_command
from taskmedic.steps.on_node import OnNode
from taskmedic.steps.run_command import run

SETTINGS = RunCommandSettings(ledger_table="ledger", evidence_bucket="evidence")
RUN = {"execution_arn": "arn:x:run-1", "execution_name": "run-1", "started_at": "", "state_machine_arn": ""}


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="evidence")
        boto3.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        yield


class Killed(BaseException):
    """The end of the function's process, for which no code of ours can do anything."""


class Shell:
    """Pretends to run a script: ``echo x`` writes, ``exit n`` ends so, ``die`` takes the function with it."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.scripts: list[str] = []

    async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
        self.ran.append(node.name)
        self.scripts.append(spec.text)
        word, _, rest = spec.text.partition(" ")
        if word == "die":
            raise Killed
        await asyncio.sleep(0)
        output = (
            f"{rest}\n".encode()
            if word == "echo"
            else (b"x" * 99 + b"\n") * (int(rest) // 100)
            if word == "fill"
            else b""
        )
        sink.write(output)
        code = int(rest) if word == "exit" else 0
        result = CommandResult(outcome=Outcome.EXITED, exit_code=code, total_bytes=len(output), duration_s=1)
        return replace(result, head=output[:4096], tail=output[4096:][-4096:])


def node(number: int, **attributes: str) -> dict[str, Any]:
    return {
        "name": f"t{number}/app",
        "attributes": {
            "ECS:Container-Runtime-ID": f"rt-{number}",
            "ECS:Container-Status": "RUNNING",
            "ECS:Exec-Enabled": "true",
            "ECS:Exec-Agent-Status": "RUNNING",
            "ECS:Launch-Type": "EC2",
            **attributes,
        },
        "tags": [],
    }


def a_batch(script: str, count: int = 2, **changes: Any) -> dict[str, Any]:
    spec = {"script": script, "shell": True, "timeout_s": 60, **changes.pop("spec", {})}
    return {
        "run": RUN,
        "trigger": {},
        "step": {"name": "dump", "type": "command", "on_failure": "stop", "spec": spec},
        "batch": [node(number) for number in range(count)],
        "threads": 1,
        "outcomes": [],
        "dispatch": {"threads": 1, "keep_going": True},
        **changes,
    }


def visit(event: Mapping[str, Any], shell: Shell | None = None) -> dict[str, Any]:
    return run(event, SETTINGS, Clients(), exec_runner=shell or Shell(), host_runner=Shell())


def left_by(answer: Mapping[str, Any]) -> dict[str, str]:
    """What the state machine keeps of a batch's answer."""
    return {"key": answer["results_ref"]["key"]}


def summed(
    *batches: Mapping[str, Any], spec: Mapping[str, Any] | None = None, **where: Any
) -> dict[str, Any]:
    step = {"name": "dump", "type": "command", "spec": spec or {}}
    event = {"run": RUN, "step": step, "summarize": list(batches), "batches": [], "batches_ref": None} | where
    return run(json.loads(json.dumps(event)), SETTINGS, Clients())


def stored(ref: Mapping[str, str]) -> str:
    body: bytes = boto3.client("s3").get_object(Bucket=ref["bucket"], Key=ref["key"])["Body"].read()
    return body.decode()


def test_a_batch_answers_with_counts_results_and_the_place_of_the_whole() -> None:
    answer = visit(a_batch("echo hello"))

    assert answer["counts"] == {"exited": 2}
    first = answer["results"][0]
    assert (first["node"], first["outcome"], first["exit_code"], first["head"]) == (
        "t0/app",
        "exited",
        0,
        "hello\n",
    )
    assert first["output"]["key"] == "commands/run-1/dump/t0/app.txt"
    assert stored(first["output"]) == "hello\n"
    assert len(json.loads(stored(answer["results_ref"]))["results"]) == 2


def test_output_of_any_length_lies_whole_in_s3_and_bounded_in_the_answer() -> None:
    answer = visit(a_batch("fill 12000000", count=1))

    (result,) = answer["results"]
    assert len(stored(result["output"])) == 12_000_000
    assert result["bytes"] == 12_000_000
    assert 1_900 < len(result["head"]) == len(result["tail"]) <= 2_000
    assert result["truncated"]


def test_output_of_which_nothing_is_missing_is_not_called_truncated() -> None:
    answer = visit(a_batch("fill 3000", count=1))

    (result,) = answer["results"]
    assert len(result["head"] + result["tail"]) == 3_000
    assert not result["truncated"]


def test_what_looks_like_a_secret_is_hidden_in_the_answer_and_kept_in_s3() -> None:
    answer = visit(a_batch("echo DB_PASSWORD=hunter2hunter2", count=1))

    (result,) = answer["results"]
    assert "hunter2" not in json.dumps(answer)
    assert "hunter2" not in stored(answer["results_ref"])
    assert "hunter2hunter2" in stored(result["output"])


def test_the_answer_of_a_large_batch_stays_small() -> None:
    answer = visit(a_batch("fill 9000", count=50, threads=50))

    assert len(json.dumps(answer)) < 22_000


def test_each_node_gets_its_own_text_quoted_for_its_shell() -> None:
    shell = Shell()
    event = a_batch("echo ${node.name} ${node.ECS:Service-Name} ${steps.errors.summary}")
    event["outcomes"] = [{"name": "errors", "summary": "2 stopped; it's bad"}]
    event["batch"] = [node(1, **{"ECS:Service-Name": "check out"})]

    visit(event, shell)

    assert shell.scripts == ["""echo t1/app 'check out' '2 stopped; it'"'"'s bad'"""]


def test_a_text_that_cannot_be_completed_is_that_nodes_outcome() -> None:
    answer = visit(a_batch("echo ${node.ECS:Service-Name}", count=1))

    assert answer["counts"] == {"could_not_start": 1}
    assert "this node has no such attribute" in answer["results"][0]["reason"]


@pytest.mark.parametrize("script", ["# only a comment", "echo {{ssm:/prod/password}}"])
def test_what_hangs_awss_agent_is_never_sent(script: str) -> None:
    shell = Shell()

    answer = visit(a_batch(script), shell)

    assert answer["counts"] == {"could_not_start": 2}
    assert not shell.ran


def test_a_call_repeated_after_a_crash_runs_only_what_never_began() -> None:
    crashed, again = Shell(), Shell()
    event = a_batch("die", count=3)
    with pytest.raises(BaseExceptionGroup):
        visit(event, crashed)
    assert crashed.ran == ["t0/app"]

    event["step"]["spec"]["script"] = "echo hi"
    answer = visit(event, again)

    assert again.ran == ["t1/app", "t2/app"]
    assert answer["counts"] == {"exited": 2, "connection_lost": 1}


def test_what_may_repeat_is_repeated() -> None:
    again = Shell()
    event = a_batch("die", count=2, spec={"may_repeat": True})
    with pytest.raises(BaseExceptionGroup):
        visit(event, Shell())

    event["step"]["spec"]["script"] = "echo hi"
    visit(event, again)

    assert again.ran == ["t0/app", "t1/app"]


def test_a_container_that_another_execution_holds_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_command, "OnNode", partial(OnNode, lock_wait_s=0))
    ledger = Ledger("ledger", boto3.client("dynamodb"))
    ledger.acquire_lock("exec#rt-0", "another execution", 60, time.time())
    shell = Shell()

    answer = visit(a_batch("echo hi"), shell)

    assert shell.ran == ["t1/app"]
    assert answer["counts"] == {"not_reachable": 1, "exited": 1}
    assert ledger.acquire_lock("exec#rt-1", "another execution", 60, time.time())  # given back


def test_a_failure_without_keep_going_halts_the_other_batches() -> None:
    first = a_batch("exit 3", dispatch={"keep_going": False})
    second = a_batch("echo hi", dispatch={"keep_going": False})
    second["batch"] = [node(7), node(8)]
    shell = Shell()

    visit(first)
    answer = visit(second, shell)

    assert answer["counts"] == {"not_started": 2}
    assert answer["results"][0]["reason"] == "another batch of this step ended the dispatch"
    assert not shell.ran


def test_a_ledger_that_does_not_answer_halts_the_batch_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell, down = Shell(), AwsRefused("cannot read the ledger", why="down")
    answers: Iterator[bool | Exception] = iter([False, down])

    def halted(_: Ledger, __: str) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Ledger, "halted", halted)

    answer = visit(a_batch("echo hi", 3), shell)

    assert answer["counts"] == {"not_started": 2, "exited": 1}
    assert shell.ran == ["t0/app"]
    assert all("down" in row["reason"] for row in answer["results"] if row["outcome"] == "not_started")


def test_a_halt_that_cannot_be_written_down_hides_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def halt(_: Ledger, __: str) -> None:
        raise AwsRefused("cannot write to the ledger", why="down")

    monkeypatch.setattr(Ledger, "halt", halt)

    answer = visit(a_batch("exit 3", 2, dispatch={"keep_going": False}))

    assert answer["counts"] == {"exited": 1, "not_started": 1}
    assert "other batches could not be told" in answer["results"][1]["reason"]


def test_first_success_ends_the_step_over_all_batches() -> None:
    spec = {"first_success": True}
    one, two = a_batch("echo hi", spec=spec), a_batch("echo hi", spec=spec)
    two["batch"] = [node(7)]
    shell = Shell()

    first, second = visit(one, shell), visit(two, shell)

    assert shell.ran == ["t0/app"]
    assert summed(left_by(first), left_by(second), spec=spec)["outcome"] == "succeeded"


def test_the_time_for_all_nodes_counts_from_the_steps_start() -> None:
    event = a_batch("echo hi", dispatch={"timeout": 600, "keep_going": True})

    late = visit({**event, "step_started_at": "2026-01-01T00:00:00+00:00"})

    assert late["counts"] == {"not_started": 2}


def test_nothing_is_begun_that_lambda_would_cut_off() -> None:
    shell = Shell()

    answer = run(a_batch("echo hi"), SETTINGS, Clients(), 150_000, exec_runner=shell, host_runner=shell)

    assert answer["counts"] == {"not_started": 2}
    assert not shell.ran


def test_the_summary_is_the_steps_outcome() -> None:
    answers = [visit(a_batch("echo hi")), visit(a_batch("exit 3", batch=[node(5)]))]

    outcome = summed(*map(left_by, answers))

    assert (outcome["name"], outcome["type"], outcome["outcome"]) == ("dump", "command", "failed")
    assert outcome["summary"] == "2 of 3 nodes exited 0; 1 x exit 3"
    assert outcome["data"]["counts"] == {"exited": 3}
    assert outcome["data"]["results"][0]["node"] == "t5/app"  # the failed first
    assert outcome["data"]["slowest"][0] == {"node": "t0/app", "duration_s": 1}
    assert outcome["started_at"] <= outcome["ended_at"]
    assert len(json.loads(stored(outcome["evidence"][0]))) == 3


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("Runtime.ExitError", "connection_lost"),
        ("States.Timeout", "connection_lost"),
        (
            "AwsRefused",
            "connection_lost",
        ),  # the results could not be written down, after the commands had run
        ("ExceptionGroup", "connection_lost"),
        ("StepInvalid", "could_not_start"),
        ("Lambda.TooManyRequestsException", "could_not_start"),
    ],
)
@pytest.mark.parametrize("far", [False, True])
def test_each_container_of_a_batch_that_broke_off_is_named_with_what_may_have_happened(
    error: str, outcome: str, far: bool
) -> None:
    """A command whose function died may have run, and nobody may think that it did not."""
    batches = [[node(0), node(1)], [node(8), node(9)]]
    where: dict[str, Any] = {"batches": batches}
    if far:
        boto3.client("s3").put_object(Bucket="evidence", Key="batches.json", Body=json.dumps(batches))
        where = {"batches": [], "batches_ref": {"key": "batches.json"}}
    ended = visit(a_batch("echo hi"))

    whole = summed(left_by(ended), {"at": 1, "error": error, "why": "no answer"}, **where)

    assert whole["outcome"] == "failed"
    assert whole["summary"] == f"2 of 4 nodes exited 0; 2 x {outcome}"
    failed = whole["data"]["results"][:2]
    assert [row["node"] for row in failed] == ["t8/app", "t9/app"]
    assert {row["reason"] for row in failed} == {f"{error}: no answer"}
    assert ("may have run" in failed[0]["remedy"]) is (outcome == "connection_lost")


def test_what_had_ended_before_a_call_broke_off_is_in_the_summary() -> None:
    """The first node's command ended, the second took the function with it, the third had no turn."""

    class DiesAtItsSecond(Shell):
        async def run(self, node: Node, spec: CommandSpec, sink: OutputSink) -> CommandResult:
            return await super().run(node, replace(spec, script="die") if self.ran else spec, sink)

    event = a_batch("echo hi", count=3)
    with pytest.raises(BaseExceptionGroup):
        visit(event, DiesAtItsSecond())

    whole = summed({"at": 0, "error": "Runtime.ExitError", "why": "killed"}, batches=[event["batch"]])

    assert whole["summary"] == "1 of 3 nodes exited 0; 2 x connection_lost"
    ended = whole["data"]["results"][-1]
    assert (ended["node"], ended["exit_code"], ended["head"]) == ("t0/app", 0, "hi\n")
    assert stored(ended["output"]) == "hi\n"
    assert json.loads(stored(whole["evidence"][0]))[0] == ended  # and so is the whole record


def test_an_output_that_is_whole_is_named_although_its_commands_end_was_not_written_down() -> None:
    key = "commands/run-1/dump/t0/app.txt"
    boto3.client("s3").put_object(Bucket="evidence", Key=key, Body=b"hi\n")

    whole = summed({"at": 0, "error": "Runtime.ExitError", "why": "killed"}, batches=[[node(0)]])

    (row,) = whole["data"]["results"]
    assert row["outcome"] == "connection_lost"
    assert stored(row["output"]) == "hi\n"


def test_a_repeated_call_that_begins_nothing_leaves_the_first_ones_result_in_its_place() -> None:
    event = a_batch("exit 3", count=1)
    visit(event)
    visit(event)  # it answers that the command may have run

    whole = summed({"at": 0, "error": "States.Timeout", "why": ""}, batches=[event["batch"]])

    assert whole["summary"] == "0 of 1 nodes exited 0; 1 x exit 3"


def test_a_repeated_call_does_not_hide_what_the_first_one_saw() -> None:
    event = a_batch("echo hello")
    visit(event)

    whole = summed(left_by(visit(event)))

    assert whole["summary"] == "2 of 2 nodes exited 0"
    assert [row["head"] for row in whole["data"]["results"]] == ["hello\n", "hello\n"]


def test_the_result_of_an_earlier_run_is_not_taken_for_that_of_a_repetition_that_broke_off() -> None:
    spec = {"may_repeat": True}
    visit(a_batch("echo hello", count=1, spec=spec))
    with pytest.raises(BaseExceptionGroup):
        visit(a_batch("die", count=1, spec=spec))

    whole = summed({"at": 0, "error": "Runtime.ExitError", "why": "killed"}, spec=spec, batches=[[node(0)]])

    (row,) = whole["data"]["results"]
    assert (row["outcome"], row["head"], row["output"]) == ("connection_lost", "", None)


def test_a_ledger_that_fails_at_the_lock_does_not_keep_a_later_call_from_running_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acquire = Ledger.acquire_lock

    def throttled(ledger: Ledger, key: str, *arguments: Any) -> bool:
        if key.startswith("exec#"):
            raise AwsRefused("cannot write to the ledger", why="throttled")
        return acquire(ledger, key, *arguments)

    with monkeypatch.context() as bad:
        bad.setattr(Ledger, "acquire_lock", throttled)
        assert visit(a_batch("echo hi", count=1))["counts"] == {"not_reachable": 1}

    assert visit(a_batch("echo hi", count=1))["counts"] == {"exited": 1}


def test_a_result_that_cannot_be_written_down_at_once_is_in_the_batchs_own_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def put_json(self: EvidenceStore, key: str, value: Any, *, title: str) -> Any:
        if key.endswith("/app.json"):
            raise AwsRefused("cannot store the evidence")
        return at_first(self, key, value, title=title)

    at_first = EvidenceStore.put_json
    monkeypatch.setattr(EvidenceStore, "put_json", put_json)

    assert visit(a_batch("echo hi"))["counts"] == {"exited": 2}


def test_the_step_data_of_500_nodes_is_bounded() -> None:
    rows = [NodeResult(f"t{n}/app", "exited", exit_code=0, head="x" * 2000).to_json() for n in range(500)]
    boto3.client("s3").put_object(Bucket="evidence", Key="many.json", Body=json.dumps({"results": rows}))

    outcome = summed({"key": "many.json"})

    assert len(json.dumps(outcome["data"])) <= 20_000
    assert outcome["data"]["counts"] == {"exited": 500}
    assert len(outcome["data"]["results"]) + outcome["data"]["results_left_out"] == 500
