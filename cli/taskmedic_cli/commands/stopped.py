"""``taskmedic stopped``: the stopped tasks of a cluster or service, each with its diagnosis."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from taskmedic.aws.clients import Access
from taskmedic.aws.stopped import Query, collect
from taskmedic.domain.errors import OptionInvalid
from taskmedic_cli.common import account_options, clients_for, print_json, region_of

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.command()
@click.option("--cluster", required=True, help="Cluster name or ARN.")
@click.option("--service", default="", help="Only this service's tasks.")
@click.option("--family", default="", help="Only tasks of this task definition family.")
@click.option("--task", default="", help="Only these tasks: ids or ARNs, comma-separated.")
@click.option("--since", default="1h", show_default=True, help="How far back: 90s, 30m, 1h, 2d.")
@click.option(
    "--log-lines",
    default=50,
    show_default=True,
    type=click.IntRange(0, 500),
    help="Last lines read of a failed container's log.",
)
@click.option("--json", "as_json", is_flag=True, help="An array of diagnoses.")
@account_options
def stopped(
    cluster: str,
    service: str,
    family: str,
    task: str,
    since: str,
    log_lines: int,
    as_json: bool,
    assume_role_arn: str,
    external_id: str,
    profile: str | None,
    region: str | None,
) -> None:
    """Says why tasks of CLUSTER stopped. Tasks that stopped for one cause are shown as one.

    ECS forgets a stopped task after about an hour.
    """
    tasks = tuple(part.strip() for part in task.split(",") if part.strip())
    query = Query(
        cluster=cluster,
        service=service,
        family=family,
        tasks=tasks,
        since=_duration(since),
        access=Access(region_of(region, cluster, *tasks), assume_role_arn, external_id),
    )
    collection = collect(query, clients_for(profile, region), now=datetime.now(UTC), log_lines=log_lines)
    if as_json:
        print_json(
            [
                {**case.group.diagnosis.to_json(), "tasks": [r.task_arn for r in case.group.records]}
                for case in collection.cases
            ]
        )
        return
    from taskmedic_cli.diagnosis_view import show_cases  # noqa: PLC0415 - rich is not needed for JSON

    show_cases(collection)


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not found:
        raise OptionInvalid(
            "the duration cannot be understood",
            where="--since",
            why=f"it is {text!r}",
            remedy="Write 90s, 30m, 1h or 2d.",
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
