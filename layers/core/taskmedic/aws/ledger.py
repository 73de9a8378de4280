"""The ledger: one DynamoDB table of what was decided, done and locked. Keys `pk` and `sk`, TTL `expires_at`.

    pk                           sk                        what
    trigger#<key>                decision                  a trigger, its decision and the reason
    trigger#<key>                repeat#<execution>        an execution that saw the same trigger again
    newest#<task ARN>            newest                    the event of a task's stop that was taken
    service#<cluster>/<service>  stop#<time>#<task id>     a stop that was diagnosed
    service#<cluster>/<service>  action#<time>#<task id>   a stop of our own
    attempts#<runbook>           <cluster>/<service>       when it acted there by itself, of late
    lock#<key>                   lock                      who works on it, and until when
    halt#<id>                    halt                      a dispatch that must start nothing more
    report#<incident>#<run>      note                      the note that belongs to a run

A <cluster> is its ARN: another account may have one of the same name. Times in keys are UTC of one width, so
that they sort as text. DynamoDB removes an item up to two days after `expires_at`, so locks compare their own
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from taskmedic.aws.items import Table
from taskmedic.domain.arns import last_part
from taskmedic.domain.attempts import AttemptLimit, Verdict, attempt
from taskmedic.domain.errors import Throttled

DAY_S = 24 * 60 * 60
# As long as Step Functions reserves an execution's name, and far beyond PagerDuty's 48 hours of repeats.
KEEP_TRIGGER_S = 90 * DAY_S
FAILED = "failed"
KEEP_STOP_S = 30 * DAY_S
KEEP_LOCK_S = DAY_S
# What is read of a service's stops, at most: in a storm each must not be dearer than the one before.
RECENT_STOPS = 200
# Each try that fails is another's that succeeded, and beyond the limit nothing more is written.
ATTEMPT_TRIES = 10


@dataclass(frozen=True)
class Claim:
    """What became of claiming a trigger.

    ``won``: the trigger belongs to this execution, also when the same execution claims it twice. Else
    ``earlier`` is the decision of the execution that has it, and ``other_event`` says that it has the stop of
    the same task by another event, of another version.
    """

    won: bool
    earlier: dict[str, Any] = field(default_factory=dict)
    other_event: bool = False

    @property
    def undecided_by(self) -> str:
        """The ARN of the execution that claimed and has not decided; empty when there is none."""
        return "" if self.won or "decision" in self.earlier else str(self.earlier.get("execution_arn", ""))


def stamp(at: datetime) -> str:
    """``at`` in UTC, of one width: ``2026-11-21T09:30:00.000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Ledger:
    """Reads and writes the ledger. ``dynamodb`` is a low-level client."""

    def __init__(self, table_name: str, dynamodb: Any) -> None:
        self._table = Table(table_name, dynamodb)

    # triggers

    def claim_trigger(
        self,
        key: str,
        *,
        execution_arn: str,
        at: datetime,
        task_arn: str = "",
        version: int = 0,
        instead_of: str = "",
    ) -> Claim:
        """Takes the trigger for this execution, once and for all, unless its decision turns out ``FAILED``.

        The stop of a task is claimed besides, whatever the version of its event: a task stops only once.

        Args:
            key: The trigger's key: ``taskArn#version``, a delivery id or an execution's name.
            execution_arn: Who claims.
            at: When it was claimed.
            task_arn: The task of an ECS event; empty for other triggers.
            version: Its ``detail.version``.
            instead_of: An execution that has ended without deciding; what it claimed may be taken from it.
        """
        item = {"execution_arn": execution_arn, "at": stamp(at), "version": version}
        pk = f"trigger#{key}"
        if not self._claim(pk, "decision", item, instead_of):
            return Claim(won=False, earlier=self._table.read_item(pk, "decision"))
        if task_arn and not self._claim(f"newest#{task_arn}", "newest", item, instead_of):
            return Claim(
                won=False, earlier=self._table.read_item(f"newest#{task_arn}", "newest"), other_event=True
            )
        return Claim(won=True)

    def _claim(self, pk: str, sk: str, item: dict[str, Any], instead_of: str) -> bool:
        return self._table.write_item(
            pk,
            sk,
            item,
            KEEP_TRIGGER_S,
            "attribute_not_exists(pk) OR execution_arn = :me OR decision = :failed"
            " OR (execution_arn = :gone AND attribute_not_exists(decision))",
            {
                ":me": {"S": item["execution_arn"]},
                ":failed": {"S": FAILED},
                ":gone": {"S": instead_of},
            },
        )

    def record_decision(
        self, key: str, *, execution_arn: str, at: datetime, decision: str, task_arn: str = "", **facts: Any
    ) -> bool:
        """Writes the decision on a claimed trigger, with ``reason``, ``runbook``, ``cluster``, …; False when
        the trigger is another execution's.

        A repeat's own decision is kept beside the first one's, under the execution that made it. ``task_arn``
        is that of the claim; the decision is then one on the stop of that task, too.
        """
        run = execution_arn.rsplit(":", 1)[-1]
        item = {"execution_arn": execution_arn, "at": stamp(at), "decision": decision, **facts}
        owner = "execution_arn = :me", {":me": {"S": execution_arn}}
        if not self._table.write_item(f"trigger#{key}", "decision", item, KEEP_TRIGGER_S, *owner):
            self._table.write_item(f"trigger#{key}", f"repeat#{run}", item, KEEP_TRIGGER_S)
            return False
        if task_arn:  # last: a stop that is decided and a trigger that is not would be nobody's
            stop = {name: item[name] for name in ("execution_arn", "at", "decision", "version")}
            self._table.write_item(f"newest#{task_arn}", "newest", stop, KEEP_TRIGGER_S, *owner)
        return True

    # stops and actions of a service

    def record_stop(
        self,
        cluster: str,
        service: str,
        task: str,
        at: datetime,
        *,
        category: str,
        revision: str,
        execution_arn: str,
        evidence: str = "",
    ) -> None:
        """Writes down that ``task`` of the service stopped at ``at``. Writing it twice changes nothing.

        ``cluster`` is an ARN, here and for every service. ``evidence`` is where the proof lies, ``s3://…``.
        """
        item = {"task": task, "category": category, "revision": revision, "execution_arn": execution_arn}
        item |= {"evidence": evidence} if evidence else {}
        self._table.write_item(
            _service_key(cluster, service), f"stop#{stamp(at)}#{last_part(task)}", item, KEEP_STOP_S
        )

    def recent_stops(self, cluster: str, service: str, since: datetime) -> list[dict[str, Any]]:
        """The service's newest stops since then, up to 200, oldest first, each with its time ``at``."""
        return self._since(cluster, service, "stop", since, RECENT_STOPS)

    def record_action(
        self, cluster: str, service: str, task: str, at: datetime, *, reason: str, execution_arn: str
    ) -> None:
        """Writes down that we stop ``task``; done before the call, so that its event is always recognised."""
        item = {"task": task, "reason": reason, "execution_arn": execution_arn}
        self._table.write_item(
            _service_key(cluster, service), f"action#{stamp(at)}#{last_part(task)}", item, KEEP_STOP_S
        )

    def recent_actions(self, cluster: str, service: str, since: datetime) -> list[dict[str, Any]]:
        """All our own stops in the service since then, oldest first, each with its time ``at`` as text."""
        return self._since(cluster, service, "action", since)

    # attempts

    def take_attempts(
        self,
        runbook: str,
        services: Sequence[tuple[str, str]],
        *,
        execution_arn: str,
        at: datetime,
        limit: AttemptLimit,
    ) -> tuple[Verdict, tuple[str, str]]:
        """Whether ``runbook`` may act by itself once more in all the services; that it does is written down.

        Of several executions that ask at once, each sees what the others have taken. When one service is free
        and another is not, the attempts of the free one are not used up.

        Args:
            runbook: Its name.
            services: Each a cluster's ARN and a service, one at least.
            execution_arn: Who asks.
            at: When.
            limit: The runbook's.

        Returns:
            The verdict, and the service that it is about.

        Raises:
            Throttled: so many ask at once that this one came to nothing.
        """
        pk, now = f"attempts#{runbook}", int(at.timestamp())
        keys = {service: "/".join(service) for service in services}
        full = [
            service
            for service, sk in keys.items()
            if attempt(self._table.read_item(pk, sk), execution_arn, now, limit)[0] is not Verdict.TAKEN
        ]
        verdict = Verdict.TAKEN
        for service in (*full, *services):
            verdict = self._take_attempt(pk, keys[service], execution_arn, now, limit)
            if verdict is not Verdict.TAKEN:
                break
        return verdict, service

    def _take_attempt(self, pk: str, sk: str, execution_arn: str, now: int, limit: AttemptLimit) -> Verdict:
        for _ in range(ATTEMPT_TRIES):
            record = self._table.read_item(pk, sk)
            revision = record.get("revision", 0)
            verdict, after = attempt(record, execution_arn, now, limit)
            if after == record or self._table.write_item(
                pk,
                sk,
                {**after, "revision": revision + 1},
                limit.within_s + KEEP_LOCK_S,
                "attribute_not_exists(pk) OR revision = :revision",
                {":revision": {"N": str(revision)}},
            ):
                return verdict
        raise Throttled("cannot count the attempts of the runbook", where=f"{pk}, {sk}")

    # locks and halts

    def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool:
        """Takes the lock for ``seconds`` from ``now`` (epoch seconds); its owner may prolong it so."""
        item = {"owner": owner, "lock_until": int(now + seconds) + 1}
        return self._table.write_item(
            f"lock#{key}",
            "lock",
            item,
            int(seconds) + KEEP_LOCK_S,
            "attribute_not_exists(pk) OR lock_until < :now OR #owner = :owner",
            {":now": {"N": str(int(now))}, ":owner": {"S": owner}},
            {"#owner": "owner"},
        )

    def release_lock(self, key: str, owner: str) -> None:
        """Gives the lock back; nothing happens when it is another's by now."""
        self._table.remove_item(
            f"lock#{key}", "lock", "#owner = :owner", {":owner": {"S": owner}}, {"#owner": "owner"}
        )

    def halt(self, id_: str) -> None:
        """From now on ``halted(id_)`` is true: no batch of that dispatch starts another node."""
        self._table.write_item(f"halt#{id_}", "halt", {}, KEEP_LOCK_S)

    def halted(self, id_: str) -> bool:
        """Whether the dispatch was halted; read consistently."""
        return bool(self._table.read_item(f"halt#{id_}", "halt"))

    # notes

    def note_of(self, incident: str, run: str) -> str | None:
        """The id of the note that this run keeps on the incident, when there is one."""
        return self._table.read_item(f"report#{incident}#{run}", "note").get("note_id")

    def remember_note(self, incident: str, run: str, note_id: str) -> None:
        """The note that this run keeps up to date on the incident."""
        self._table.write_item(f"report#{incident}#{run}", "note", {"note_id": note_id}, KEEP_TRIGGER_S)

    def _since(
        self, cluster: str, service: str, kind: str, since: datetime, limit: int | None = None
    ) -> list[dict[str, Any]]:
        pk = _service_key(cluster, service)
        found = self._table.newest_items(pk, f"{kind}#{stamp(since)}", f"{kind}#~", limit)
        return [{**item, "at": item["sk"].split("#")[1]} for item in found]


def _service_key(cluster: str, service: str) -> str:
    return f"service#{cluster}/{last_part(service)}"
