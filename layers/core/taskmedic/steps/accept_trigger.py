"""AcceptTrigger: normalise the input, drop what was seen before, choose a runbook, decide, write it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger

from taskmedic.aws.clients import Clients
from taskmedic.aws.executions import is_running
from taskmedic.aws.ledger import FAILED, Claim, Ledger
from taskmedic.aws.switch import read_switch
from taskmedic.domain.arns import Arn, last_part
from taskmedic.domain.attempts import AttemptLimit, Verdict
from taskmedic.domain.errors import TaskmedicError
from taskmedic.domain.policy import (
    Action,
    Decision,
    Facts,
    Spent,
    beyond_limit,
    decide,
    limited,
    needs_category,
)
from taskmedic.domain.runbooks.loading import load_folder
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.triggers import Received, Target, Trigger, is_own_stop, receive
from taskmedic.settings import AcceptTriggerSettings

# A stop of ours is written to the ledger just before the call, and its event comes within minutes.
OWN_STOPS_WITHIN = timedelta(hours=2)

# Step Functions may not know an execution yet that has just begun; after so long it does.
NEW_FOR = timedelta(minutes=5)

# ECS's stopCode of whatever was stopped through its API.
USER_INITIATED = "UserInitiated"

logger = Logger(child=True)
runbooks_in: Callable[[str], dict[str, Runbook]] = cache(load_folder)


def run(event: Mapping[str, Any], settings: AcceptTriggerSettings, clients: Clients) -> dict[str, Any]:
    """Decides on one trigger.

    Args:
        event: ``{"run": …, "input": …}`` as the state machine gives it.
        settings: The function's.
        clients: For DynamoDB, SSM and Secrets Manager.

    Raises:
        InvalidTrigger: the input is none of the three triggers.
        RunbookNotFound, OptionInvalid: a manual start names what there is not.
        Throttled, PagerDutyUnavailable: transient; the same execution may ask again.
    """
    execution_arn = event["run"]["execution_arn"]
    received = receive(
        event["input"],
        execution_name=event["run"]["execution_name"],
        started_at=event["run"]["started_at"],
        account=_account(execution_arn),
        region=settings.region,
    )
    ledger = Ledger(settings.ledger_table, clients.get("dynamodb"))
    claim = _claim(ledger, received.trigger, execution_arn, clients)
    try:
        trigger, decision = _decided(received, claim, execution_arn, ledger, settings, clients)
        ours = _record_decision(ledger, trigger, execution_arn, decision)
    except Exception as error:
        # The same execution may ask again. If it gives up, another one may take the trigger.
        reason = error.text() if isinstance(error, TaskmedicError) else type(error).__name__
        _record(ledger, received.trigger, execution_arn, FAILED, reason)
        raise
    if claim.won and not ours:
        decision = Decision(Action.SKIP, "seen before: another execution has taken this trigger over")
        _record_decision(ledger, trigger, execution_arn, decision)
    return {
        "decision": decision.action.value,
        "reason": decision.reason,
        "runbook": decision.runbook,
        "trigger": trigger.to_json(),
        "plan": decision.plan,
    }


def _decided(
    received: Received,
    claim: Claim,
    execution_arn: str,
    ledger: Ledger,
    settings: AcceptTriggerSettings,
    clients: Clients,
) -> tuple[Trigger, Decision]:
    """The trigger, completed as far as that is needed, and what to do about it."""
    trigger = received.trigger
    facts = Facts(
        account=_account(execution_arn),
        region=settings.region,
        repeated=_repeated(claim),
        own_stop=_own_stop(trigger, execution_arn, ledger) if claim.won else "",
    )
    switch = read_switch(clients.get("ssm"), settings.switch_parameter)
    if trigger.kind == "pagerduty" and claim.won and switch.enabled:
        from taskmedic.steps import incidents  # noqa: PLC0415 - only incidents need PagerDuty's client

        found = incidents.look_up(received, settings, clients)
        trigger, facts = found.trigger, replace(facts, ignored=found.ignored)
    runbooks = runbooks_in(settings.runbooks_dir)
    if trigger.task_detail is not None and needs_category(runbooks):
        facts = replace(facts, category=_category(trigger.task_detail))
    decision = decide(trigger, received.asked, facts, runbooks, switch)
    if book := limited(decision, received.asked, runbooks):
        spent = _spent(decision.plan or {}, book, trigger, execution_arn, ledger)
        decision = decide(trigger, received.asked, replace(facts, spent=spent), runbooks, switch)
    return trigger, decision


def _spent(
    plan: Mapping[str, Any], book: Runbook, trigger: Trigger, execution_arn: str, ledger: Ledger
) -> Spent | None:
    """That the runbook has acted too often; None when it may, which then is one of its attempts. An incident
    about several services counts in each that is worked on.
    """
    group = str((trigger.task_detail or {}).get("group", ""))  # of a task without a service
    targets = [Target(**target) for target in plan["targets"]]
    services = [(_cluster(target, execution_arn), target.service or group) for target in targets]
    limit = AttemptLimit(book.limit.attempts, book.limit.within)
    verdict, (cluster, service) = ledger.take_attempts(
        book.name, services, execution_arn=execution_arn, at=datetime.now(UTC), limit=limit
    )
    if verdict is Verdict.TAKEN:
        return None
    where = "/".join(filter(None, (last_part(cluster), service))) or "its nodes"
    # Each incident has its own readers, who have not been told yet.
    told = verdict is Verdict.TOLD_BEFORE and trigger.incident is None
    return Spent(book.name, beyond_limit(book, where), told=told)


def _claim(ledger: Ledger, trigger: Trigger, execution_arn: str, clients: Clients) -> Claim:
    """Claims the trigger, also from an execution that ended without deciding: its function was killed."""
    claim_trigger = partial(
        ledger.claim_trigger,
        trigger.key,
        execution_arn=execution_arn,
        at=datetime.now(UTC),
        task_arn=_stopped_task(trigger),
        version=trigger.version,
    )
    claim = claim_trigger()
    while (other := claim.undecided_by) and not _under_way(other, claim, clients):
        claim = claim_trigger(instead_of=other)
    return claim


def _under_way(execution_arn: str, claim: Claim, clients: Clients) -> bool:
    claimed_at = datetime.fromisoformat(claim.earlier["at"])
    return is_running(
        clients.get("stepfunctions"), execution_arn, new=datetime.now(UTC) - claimed_at < NEW_FOR
    )


def _account(execution_arn: str) -> str:
    arn = Arn.parse(execution_arn)
    return arn.account if arn else ""


def _cluster(target: Target, execution_arn: str) -> str:
    """The ARN of the target's cluster; what the target does not say is our own."""
    own = Arn.parse(execution_arn) or Arn("aws", "", "", "", "")
    return str(
        Arn(
            own.partition,
            "ecs",
            target.region or own.region,
            target.account or own.account,
            f"cluster/{last_part(target.cluster)}",
        )
    )


def _stopped_task(trigger: Trigger) -> str:
    return trigger.target.task if trigger.kind == "task_stopped" else ""


def _record_decision(ledger: Ledger, trigger: Trigger, execution_arn: str, decision: Decision) -> bool:
    return _record(
        ledger,
        trigger,
        execution_arn,
        decision.action.value,
        decision.reason,
        runbook=decision.runbook,
        not_chosen=[vars(other) for other in decision.not_chosen],
    )


def _record(
    ledger: Ledger, trigger: Trigger, execution_arn: str, decision: str, reason: str, **more: Any
) -> bool:
    """The decision and its reason, in the ledger and in the log; False when the trigger is another's."""
    ours = ledger.record_decision(
        trigger.key,
        execution_arn=execution_arn,
        at=datetime.now(UTC),
        decision=decision,
        task_arn=_stopped_task(trigger),
        reason=reason,
        kind=trigger.kind,
        cluster=trigger.target.cluster,
        service=trigger.target.service,
        task=trigger.target.task,
        incident_id=trigger.incident.id if trigger.incident else "",
        version=trigger.version,
        **more,
    )
    logger.info(reason, extra={"decision": decision, "runbook": more.get("runbook"), "trigger": trigger.key})
    return ours


def _repeated(claim: Claim) -> str:
    """Why the trigger is none to act on, when it was seen before; empty when it is new."""
    if claim.won:
        return ""
    run = str(claim.earlier.get("execution_arn", "")).rsplit(":", 1)[-1]
    if claim.other_event:
        version = claim.earlier.get("version")
        return f"seen before: execution {run} has the stop of this task, by version {version} of its event"
    return f"seen before: execution {run} has this trigger"


def _own_stop(trigger: Trigger, execution_arn: str, ledger: Ledger) -> str:
    """Why the stop is our own doing; empty when it is not."""
    if trigger.task_detail is None:
        return ""
    if is_own_stop(trigger.task_detail):
        return "our own stop: ECS's reason says so"
    if trigger.task_detail.get("stopCode", USER_INITIATED) != USER_INITIATED:
        return ""  # we may have wanted to stop it, and then it stopped by itself
    target = trigger.target
    since = datetime.now(UTC) - OWN_STOPS_WITHIN
    ours = ledger.recent_actions(_cluster(target, execution_arn), target.service, since)
    if any(last_part(str(action["task"])) == last_part(target.task) for action in ours):
        return "our own stop: the ledger says so"
    return ""


def _category(detail: Mapping[str, Any]) -> str:
    from taskmedic.domain.diagnosis import diagnose  # noqa: PLC0415 - most triggers need no diagnosis here

    return diagnose(detail).category
