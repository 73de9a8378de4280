"""One stop step at a time in a service: two at once could leave it without any running task."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from taskmedic.aws.ledger import Ledger
from taskmedic.domain.arns import last_part

# Seconds beyond a step's own deadline, for its last look and the tries of that: then the lock ends by itself.
MARGIN_S = 300


@dataclass(frozen=True)
class Turns:
    """The locks of one step of one execution: ``services`` are (cluster ARN, service), ``owner`` is the step.

    The same owner may take them again, so a step whose function died goes on where it was.
    """

    ledger: Ledger
    owner: str
    services: Sequence[tuple[str, str]]

    def taken(self, until: float) -> str:
        """Takes all of them, or none and says why not: one of the services is another's for now.

        Args:
            until: The step's deadline, epoch seconds.
        """
        now = time.time()
        for number, (cluster, service) in enumerate(self.services):
            if not self.ledger.acquire_lock(
                _key(cluster, service), self.owner, max(0, until - now) + MARGIN_S, now
            ):
                Turns(self.ledger, self.owner, self.services[:number]).give_back()
                return f"another run was replacing a task of service {last_part(cluster)}/{service}"
        return ""

    def give_back(self) -> None:
        for cluster, service in self.services:
            self.ledger.release_lock(_key(cluster, service), self.owner)


def _key(cluster: str, service: str) -> str:
    return f"stop#{cluster}/{service}"
