"""The ledger, over moto's DynamoDB in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws

from taskmedic.aws.ledger import FAILED, RECENT_STOPS, Ledger, stamp
from taskmedic.domain.attempts import AttemptLimit, Verdict
from taskmedic.domain.errors import AwsRefused

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TASK = "arn:aws:ecs:us-east-1:123456789012:task/prod/1d0c7a5e9b8f4c2e"
FIRST, SECOND = "arn:aws:states:us-east-1:1:execution:remediation:first", "arn:…:second"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
        )


@pytest.fixture
def dynamodb(client: Any) -> Iterator[Any]:
    client.create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield client
    client.delete_table(TableName="ledger")


@pytest.fixture
def ledger(dynamodb: Any) -> Ledger:
    return Ledger("ledger", dynamodb)


def items(dynamodb: Any) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in dynamodb.scan(TableName="ledger")["Items"]}


def decision_on(dynamodb: Any, key: str) -> dict[str, Any]:
    item = items(dynamodb)[f"trigger#{key}", "decision"]
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def test_a_trigger_is_claimed_once(ledger: Ledger) -> None:
    assert ledger.claim_trigger("k", execution_arn=FIRST, at=NOON).won

    again = ledger.claim_trigger("k", execution_arn=SECOND, at=NOON)

    assert not again.won
    assert not again.other_event
    assert again.undecided_by == FIRST


def test_a_trigger_whose_decision_failed_may_be_taken_by_another_execution(ledger: Ledger) -> None:
    """What waits in the dead-letter queue can be started again; only one execution can have it."""
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON)
    ledger.record_decision("k", execution_arn=FIRST, at=NOON, decision=FAILED, reason="PagerDuty is down")

    assert ledger.claim_trigger("k", execution_arn=SECOND, at=NOON).won
    assert not ledger.claim_trigger("k", execution_arn=FIRST, at=NOON).won


def test_a_repeat_is_kept_under_its_own_execution(ledger: Ledger, dynamodb: Any) -> None:
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON)

    assert not ledger.claim_trigger("k", execution_arn=SECOND, at=NOON).won
    ledger.record_decision("k", execution_arn=SECOND, at=NOON, decision="skip", reason="seen before")

    assert ("trigger#k", "repeat#second") in items(dynamodb)
    assert decision_on(dynamodb, "k")["execution_arn"] == FIRST


def test_the_same_execution_may_claim_twice(ledger: Ledger) -> None:
    """Step Functions calls the function again when it died after claiming."""
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON, task_arn=TASK, version=7)

    assert ledger.claim_trigger("k", execution_arn=FIRST, at=NOON, task_arn=TASK, version=7).won


def test_a_claim_without_a_decision_may_be_taken_from_an_execution_that_is_gone(ledger: Ledger) -> None:
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON, task_arn=TASK, version=7)

    claim = ledger.claim_trigger(
        "k", execution_arn=SECOND, at=NOON, task_arn=TASK, version=7, instead_of=FIRST
    )

    assert claim.won
    # Only one can: what another has taken is no longer the first one's.
    third = ledger.claim_trigger("k", execution_arn="arn:third", at=NOON, instead_of=FIRST)
    assert (third.won, third.undecided_by) == (False, SECOND)
    # And the first, should it still live, decides nothing any more.
    assert not ledger.record_decision("k", execution_arn=FIRST, at=NOON, decision="run", reason="a zombie")
    assert ledger.claim_trigger("k", execution_arn=FIRST, at=NOON).undecided_by == SECOND


def test_a_decided_trigger_is_never_taken(ledger: Ledger) -> None:
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON)
    ledger.record_decision("k", execution_arn=FIRST, at=NOON, decision="run", reason="why")

    claim = ledger.claim_trigger("k", execution_arn=SECOND, at=NOON, instead_of=FIRST)

    assert (claim.won, claim.undecided_by) == (False, "")


@pytest.mark.parametrize("version", [6, 8])
def test_the_stop_of_a_task_is_taken_once_whatever_the_version_of_its_event(
    ledger: Ledger, version: int
) -> None:
    ledger.claim_trigger(f"{TASK}#7", execution_arn=FIRST, at=NOON, task_arn=TASK, version=7)

    claim = ledger.claim_trigger(
        f"{TASK}#{version}", execution_arn=SECOND, at=NOON, task_arn=TASK, version=version
    )

    assert (claim.won, claim.other_event, claim.undecided_by) == (False, True, FIRST)
    assert claim.earlier["version"] == 7


def test_the_stop_of_a_task_whose_decision_failed_may_be_taken_by_another_event(ledger: Ledger) -> None:
    first, second = f"{TASK}#7", f"{TASK}#8"
    ledger.claim_trigger(first, execution_arn=FIRST, at=NOON, task_arn=TASK, version=7)
    ledger.record_decision(
        first, execution_arn=FIRST, at=NOON, decision=FAILED, task_arn=TASK, version=7, reason="a bug"
    )

    assert ledger.claim_trigger(second, execution_arn=SECOND, at=NOON, task_arn=TASK, version=8).won


def test_the_decision_on_a_stop_holds_for_its_other_events(ledger: Ledger) -> None:
    first, second = f"{TASK}#7", f"{TASK}#8"
    ledger.claim_trigger(first, execution_arn=FIRST, at=NOON, task_arn=TASK, version=7)
    ledger.record_decision(
        first, execution_arn=FIRST, at=NOON, decision="run", task_arn=TASK, version=7, reason="why"
    )

    claim = ledger.claim_trigger(
        second, execution_arn=SECOND, at=NOON, task_arn=TASK, version=8, instead_of=FIRST
    )

    assert (claim.won, claim.undecided_by) == (False, "")


@pytest.mark.parametrize(("pk", "tries"), [("trigger#", ["run"]), ("newest#", ["run", FAILED])])
def test_a_decision_that_was_not_written_whole_leaves_the_trigger_to_another(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, pk: str, tries: list[str]
) -> None:
    """What waits in the dead-letter queue can be started again, whichever item could not be written."""
    key = f"{TASK}#7"
    claim: dict[str, Any] = {"at": NOON, "task_arn": TASK, "version": 7}
    ledger.claim_trigger(key, execution_arn=FIRST, **claim)
    write = ledger._table.write_item

    def refuse(at: str, *rest: Any) -> bool:
        if at.startswith(pk):
            raise AwsRefused("cannot write to the ledger")
        return write(at, *rest)

    monkeypatch.setattr(ledger._table, "write_item", refuse)
    for decision in tries:
        with pytest.raises(AwsRefused):
            ledger.record_decision(key, execution_arn=FIRST, decision=decision, reason="why", **claim)
    monkeypatch.setattr(ledger._table, "write_item", write)

    assert ledger.claim_trigger(key, execution_arn=SECOND, instead_of=FIRST, **claim).won


def test_a_decision_is_kept_with_its_reason(ledger: Ledger, dynamodb: Any) -> None:
    ledger.claim_trigger("k", execution_arn=FIRST, at=NOON)

    ledger.record_decision(
        "k",
        execution_arn=FIRST,
        at=NOON,
        decision="run",
        reason="why",
        runbook="diagnose",
        not_chosen=[{"runbook": "other", "reason": "diagnose comes first"}],
        version=7,
    )

    decision = decision_on(dynamodb, "k")
    assert (decision["decision"], decision["reason"], decision["runbook"]) == ("run", "why", "diagnose")
    assert decision["not_chosen"] == [{"runbook": "other", "reason": "diagnose comes first"}]
    assert decision["at"] == "2026-11-21T12:00:00.000Z"
    assert decision["version"] == 7
    assert int(items(dynamodb)["trigger#k", "decision"]["expires_at"]["N"]) > NOON.timestamp()


def test_stops_of_a_service_come_back_oldest_first_and_only_since_then(ledger: Ledger) -> None:
    for minutes in (50, 10, 30):
        ledger.record_stop(
            "prod",
            "checkout",
            f"{TASK}{minutes}",
            NOON - timedelta(minutes=minutes),
            category="container.oom_killed",
            revision="checkout:42",
            execution_arn=FIRST,
        )
    ledger.record_stop("prod", "search", TASK, NOON, category="c", revision="r", execution_arn=FIRST)

    stops = ledger.recent_stops("prod", "checkout", NOON - timedelta(minutes=40))

    assert [stop["at"] for stop in stops] == ["2026-11-21T11:30:00.000Z", "2026-11-21T11:50:00.000Z"]
    assert stops[0]["category"] == "container.oom_killed"


def test_services_of_one_name_in_two_accounts_are_kept_apart(ledger: Ledger) -> None:
    one, other = (f"arn:aws:ecs:us-east-1:{account * 12}:cluster/prod" for account in "12")
    ledger.record_stop(one, "checkout", TASK, NOON, category="c", revision="r", execution_arn=FIRST)

    assert len(ledger.recent_stops(one, "checkout", NOON)) == 1
    assert ledger.recent_stops(other, "checkout", NOON) == []


def test_of_a_storm_of_stops_only_the_newest_are_read(ledger: Ledger, dynamodb: Any) -> None:
    for second in range(RECENT_STOPS + 5):
        at = NOON + timedelta(seconds=second)
        ledger.record_stop(
            "prod", "checkout", f"{TASK}{second}", at, category="c", revision="r", execution_arn=FIRST
        )
    asked: list[dict[str, Any]] = []
    dynamodb.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params)
    )

    stops = ledger.recent_stops("prod", "checkout", NOON)

    assert [stops[0]["task"], stops[-1]["task"]] == [f"{TASK}5", f"{TASK}{RECENT_STOPS + 4}"]
    assert [query["Limit"] for query in asked] == [RECENT_STOPS]


def test_one_stop_written_twice_is_one_stop(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.record_stop("prod", "checkout", TASK, NOON, category="c", revision="r", execution_arn=FIRST)

    assert len(ledger.recent_stops("prod", "checkout", NOON)) == 1


def test_actions_are_kept_apart_from_stops(ledger: Ledger) -> None:
    ledger.record_action("prod", "", TASK, NOON, reason="Taskmedic: hung", execution_arn=FIRST)

    assert ledger.recent_stops("prod", "", NOON) == []
    (action,) = ledger.recent_actions("prod", "", NOON)
    assert (action["task"], action["reason"]) == (TASK, "Taskmedic: hung")


LIMIT = AttemptLimit(attempts=2, within_s=3600)


def attempts_of(ledger: Ledger, *runs: str, service: str = "checkout", minutes: int = 0) -> list[Verdict]:
    at = NOON + timedelta(minutes=minutes)
    return [taken_in(ledger, run, service, at=at)[0] for run in runs]


def taken_in(ledger: Ledger, run: str, *services: str, at: datetime = NOON) -> tuple[Verdict, str]:
    places = [("prod", service) for service in services]
    verdict, (_, service) = ledger.take_attempts("replace", places, execution_arn=run, at=at, limit=LIMIT)
    return verdict, service


def test_attempts_are_counted_by_runbook_and_service(ledger: Ledger) -> None:
    assert attempts_of(ledger, "1", "2", "3", "4") == [
        Verdict.TAKEN, Verdict.TAKEN, Verdict.REFUSED, Verdict.TOLD_BEFORE,
    ]  # fmt: skip
    assert attempts_of(ledger, "5", service="search") == [Verdict.TAKEN]
    assert attempts_of(ledger, "6", minutes=61) == [Verdict.TAKEN]


def test_an_attempt_in_several_services_is_taken_in_all_of_them_or_in_none(ledger: Ledger) -> None:
    """An incident about both must not use up the attempts of the one because the other has none left."""
    attempts_of(ledger, "1", "2", service="search")

    assert taken_in(ledger, "3", "checkout", "search") == (Verdict.REFUSED, "search")
    assert taken_in(ledger, "3", "checkout", "search") == (Verdict.REFUSED, "search")
    assert taken_in(ledger, "4", "checkout", "search") == (Verdict.TOLD_BEFORE, "search")
    assert attempts_of(ledger, "5", "6", "7") == [Verdict.TAKEN, Verdict.TAKEN, Verdict.REFUSED]


class OneCallAtATime:
    """DynamoDB checks a condition and writes in one step; moto in two, between which threads come."""

    def __init__(self, client: Any) -> None:
        self._client, self._lock = client, threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            with self._lock:
                return getattr(self._client, operation)(**request)

        return call


def test_of_many_executions_at_once_no_more_than_the_limit_act(dynamodb: Any) -> None:
    ledger = Ledger("ledger", OneCallAtATime(dynamodb))

    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda run: attempts_of(ledger, str(run))[0], range(40)))

    assert verdicts.count(Verdict.TAKEN) == 2
    assert verdicts.count(Verdict.REFUSED) == 1


def test_an_attempt_that_another_took_in_between_is_seen(ledger: Ledger, monkeypatch: Any) -> None:
    """Both read that one attempt is left; the second to write must look again."""
    attempts_of(ledger, "1")
    read = ledger._table.read_item
    late: list[bool] = []

    def slow(pk: str, sk: str) -> dict[str, Any]:
        item = read(pk, sk)
        if not late:
            late.append(True)
            attempts_of(ledger, "2")
        return item

    monkeypatch.setattr(ledger._table, "read_item", slow)

    assert attempts_of(ledger, "3") == [Verdict.REFUSED]


def test_a_lock_has_one_owner(ledger: Ledger) -> None:
    assert ledger.acquire_lock("node", "one", 60, now=1000)

    assert not ledger.acquire_lock("node", "two", 60, now=1030)


def test_a_lock_is_free_once_its_time_is_over(ledger: Ledger) -> None:
    ledger.acquire_lock("node", "one", 60, now=1000)

    assert ledger.acquire_lock("node", "two", 60, now=1062)


def test_its_owner_may_prolong_a_lock(ledger: Ledger) -> None:
    ledger.acquire_lock("node", "one", 60, now=1000)

    assert ledger.acquire_lock("node", "one", 60, now=1030)
    assert not ledger.acquire_lock("node", "two", 60, now=1085)


def test_a_lock_given_back_is_free_and_anothers_is_not_given_back(ledger: Ledger) -> None:
    ledger.acquire_lock("node", "one", 60, now=1000)

    ledger.release_lock("node", "two")
    assert not ledger.acquire_lock("node", "two", 60, now=1001)

    ledger.release_lock("node", "one")
    assert ledger.acquire_lock("node", "two", 60, now=1001)


def test_a_dispatch_is_halted_from_the_moment_it_is_said(ledger: Ledger) -> None:
    assert not ledger.halted("run-1/dump")

    ledger.halt("run-1/dump")

    assert ledger.halted("run-1/dump")
    assert not ledger.halted("run-1/other")


def test_a_run_remembers_its_note(ledger: Ledger) -> None:
    assert ledger.note_of("Q1", "run-1") is None

    ledger.remember_note("Q1", "run-1", "PNOTE")

    assert ledger.note_of("Q1", "run-1") == "PNOTE"
    assert ledger.note_of("Q1", "run-2") is None


def test_a_table_that_is_not_there_is_an_error_of_ours(dynamodb: Any) -> None:
    with pytest.raises(AwsRefused, match=r"cannot write to the ledger \(trigger#k\)"):
        Ledger("other", dynamodb).claim_trigger("k", execution_arn=FIRST, at=NOON)


def test_a_time_is_written_in_utc_and_one_width() -> None:
    assert stamp(datetime.fromisoformat("2026-01-02T03:04:05.6+02:00")) == "2026-01-02T01:04:05.600Z"
