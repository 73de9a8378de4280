"""As whom a step reads what it names, where the nodes do not say it: the account, the role, the region.

A name means another thing in another account. So what is in another account is read by the step's own role,
or by the role of the node source that reads there, or it is refused; it is never looked up in ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskmedic.domain.arns import Arn, cluster_of_task, last_part
from taskmedic.domain.errors import OptionInvalid
from taskmedic.domain.node_source import NodeSource
from taskmedic.domain.runbooks.context import PLACEHOLDER
from taskmedic.domain.runbooks.models import Runbook
from taskmedic.domain.triggers import Target


@dataclass(frozen=True)
class Reach:
    """What the steps of one execution can reach for one target.

    ``target`` is what the trigger is about. An event says for certain where that is; an alert that names no
    account counts as ours. ``sources`` are those of the nodes, filled in for that target.
    """

    target: Target
    of_event: bool
    sources: Sequence[NodeSource]
    own_account: str

    def of_stopped_tasks(self, step: str, spec: Mapping[str, Any]) -> dict[str, str]:
        """Region, role and external id for a `stopped_tasks` step.

        Raises:
            OptionInvalid: it is in another account and no role is known there, or several are.
        """
        tasks = spec["tasks"]
        cluster = spec["cluster"] or (cluster_of_task(tasks[0]) if tasks else "") or self.target.cluster
        names = [] if self.of_event and not spec["cluster"] else [spec["cluster"], *tasks]
        account, region = self._place(names, cluster, spec["assume_role_arn"])
        region = spec["region"] or region
        if spec["assume_role_arn"]:
            self._check_role(step, spec["assume_role_arn"], account)
            return {"region": region}
        readers = self._readers(account, last_part(cluster))
        readers = [source for source in readers if region and _region(source, cluster) == region] or readers
        roles = {(source.assume_role_arn, source.external_id) for source in readers}
        if len(roles) > 1:
            named = " and by ".join(sorted(role or "our own role" for role, _ in roles))
            raise _refusal(
                step,
                f"cluster {last_part(cluster)} may be in several accounts",
                f"the nodes read it by {named}",
            )
        if not roles and self._foreign(account):
            raise self._elsewhere(step, account, "neither the step nor a node source names a role there")
        role, external_id = roles.pop() if roles else ("", "")
        regions = {_region(source, cluster) for source in readers}
        region = region or (regions.pop() if len(regions) == 1 else "")
        return {"region": region, "assume_role_arn": role, "external_id": external_id}

    def check_stop(self, step: str, spec: Mapping[str, Any]) -> None:
        """That a `stop_task` step which names its task is not about a task of another account.

        Raises:
            OptionInvalid: it is, and the step names no role there.
        """
        names = [spec["task"], spec["cluster"]]
        account, _ = self._place(names, spec["cluster"], spec["assume_role_arn"])
        self._check_role(step, spec["assume_role_arn"], account)

    def _place(self, names: Sequence[str], cluster: str, role: str) -> tuple[str, str]:
        """Account and region of what is named; empty where they are not known.

        An ARN says it. Other names are as a rule in the trigger's account; where the step has a role of its
        own, only the target's is.
        """
        for arn in map(Arn.parse, names):
            if arn:
                return arn.account, arn.region
        about_target = not cluster or last_part(cluster) == last_part(self.target.cluster)
        foreign = self._foreign(self.target.account)
        if (about_target and (foreign or self.of_event)) or (foreign and not role):
            return self.target.account, self.target.region
        return "", ""

    def _readers(self, account: str, cluster: str) -> list[NodeSource]:
        """The node sources by which the cluster can be read; in another account any that is there will do."""
        there = [source for source in self.sources if account in {"", account_of(source, self.own_account)}]
        by_name = [source for source in there if _reads(source, cluster)]
        return by_name or (there if self._foreign(account) else [])

    def _check_role(self, step: str, role: str, account: str) -> None:
        arn = Arn.parse(role)
        reached = arn.account if arn else self.own_account
        if account and self.own_account and account != reached:
            why = f"{role} is in account {reached}" if arn else "the step names no role there"
            raise self._elsewhere(step, account, why)

    def _foreign(self, account: str) -> bool:
        return bool(account and self.own_account) and account != self.own_account

    def _elsewhere(self, step: str, account: str, why: str) -> OptionInvalid:
        return _refusal(step, f"the target is in account {account}, and this is {self.own_account}", why)


def _refusal(step: str, what: str, why: str) -> OptionInvalid:
    remedy = "Give the step an assume_role_arn of the account meant, or name the cluster by its ARN."
    return OptionInvalid(what, where=f"step {step}", why=why, remedy=remedy)


def out_of_reach(book: Runbook, source: Mapping[str, Any], filled: Mapping[str, Any], account: str) -> bool:
    """Whether a source with names of the trigger's would look for them in an account that is not theirs."""
    role = Arn.parse(str(filled.get("assume_role_arn", "")))
    return bool(role and role.account != account) and any(
        found["scope"] == "trigger"
        or (found["name"] in book.options and "${trigger." in (book.options[found["name"]].default or ""))
        for found in PLACEHOLDER.finditer(json.dumps(source))
    )


def account_of(source: NodeSource, own_account: str) -> str:
    """The account that a node source reads."""
    role = Arn.parse(source.assume_role_arn)
    return role.account if role else own_account


def _reads(source: NodeSource, cluster: str) -> bool:
    """Whether the cluster is among those of the source; one that is named only later may be any."""
    if source.all_clusters or PLACEHOLDER.search(cluster):
        return True
    return cluster in {*map(last_part, source.clusters), *map(cluster_of_task, source.tasks)}


def _region(source: NodeSource, cluster: str) -> str:
    """The region in which the source reads the cluster: an ARN's, or its own."""
    arns = (Arn.parse(name) for name in source.clusters if last_part(name) == last_part(cluster))
    return next((arn.region for arn in arns if arn), source.region)
