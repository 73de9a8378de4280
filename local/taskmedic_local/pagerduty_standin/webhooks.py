"""Signed deliveries by PagerDuty's rules (its docs, "Webhook Behavior").

An answer within 5 s: any 2xx is done; a 5xx, a 429 or none is tried again for 48 h, and later deliveries of
the same incident wait behind it; any other answer is dropped. Three dropped in a row disable the
subscription for 24 h: what waits and what happens meanwhile is lost. How often PagerDuty tries again it
does not say; here after one minute, then each time after twice as long, up to an hour.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3
from urllib3.exceptions import HTTPError

ANSWER_S: Final = 5.0
KEEP_HOURS: Final = 48.0
DISABLED_HOURS: Final = 24.0
DROPS_TO_DISABLE: Final = 3
MAX_BODY_BYTES: Final = 256 * 1024
WORKERS: Final = 8


@dataclass
class Delivery:
    """One webhook on its way. ``state`` is waiting, delivered, dropped or discarded."""

    id: str
    event_type: str
    resource_id: str
    body: bytes = field(repr=False)
    state: str = "waiting"
    answers: list[str] = field(default_factory=list)
    """The status of each attempt, or what went wrong."""
    first_at: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "event_type": self.event_type,
            "resource_id": self.resource_id,
            "state": self.state,
            "answers": self.answers,
        }


class Webhooks:
    """One webhook subscription for all events of the account.

    Args:
        url: Where deliveries go; nothing is sent while it is empty.
        secrets: Each delivery is signed with every one of them.
        seconds_per_hour: How long an hour of PagerDuty's waiting takes here.
    """

    def __init__(self, url: str, secrets: list[str], seconds_per_hour: float) -> None:
        self.url = url
        self.secrets = secrets
        self.subscription_id = "PSUBSCR"
        self.deliveries: list[Delivery] = []
        self._hour = seconds_per_hour
        self._queues: dict[str, deque[Delivery]] = {}
        self._due: list[tuple[float, int, str]] = []
        self._count = itertools.count()
        self._drops = 0
        self._disabled_until = 0.0
        self._closed = False
        self._changed = threading.Condition()
        self._pool = urllib3.PoolManager(maxsize=WORKERS)
        self._threads: list[threading.Thread] = []

    @property
    def temporarily_disabled(self) -> bool:
        return time.monotonic() < self._disabled_until

    def enable(self) -> None:
        """Ends the time for which the subscription is disabled."""
        with self._changed:
            self._disabled_until, self._drops = 0.0, 0

    def send(self, resource_id: str, document: dict[str, Any]) -> Delivery:
        """Sends one event, behind those of the same resource that wait."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        event_type = document.get("event", {}).get("event_type", "")
        delivery = Delivery(str(uuid.uuid4()), event_type, resource_id, body)
        with self._changed:
            self.deliveries.append(delivery)
            if not self.url or self.temporarily_disabled or self._closed or len(body) > MAX_BODY_BYTES:
                delivery.state = "discarded"
                return delivery
            queue = self._queues.setdefault(resource_id, deque())
            queue.append(delivery)
            if len(queue) == 1:
                self._schedule(resource_id, 0.0)
            self._start()
        return delivery

    def settled(self, timeout_s: float) -> bool:
        """Waits until nothing waits to be delivered; whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queues, timeout_s)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(ANSWER_S + 1)
        self._pool.clear()

    def _start(self) -> None:
        while len(self._threads) < min(WORKERS, len(self._queues)):
            thread = threading.Thread(target=self._work, name="pagerduty-webhooks", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _schedule(self, resource_id: str, wait_s: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + wait_s, next(self._count), resource_id))
        self._changed.notify()

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            answer = self._attempt(delivery)
            with self._changed:
                self._after(delivery, answer)
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """The next delivery that is due; None when all is over."""
        with self._changed:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    resource_id = heapq.heappop(self._due)[2]
                    if queue := self._queues.get(resource_id):  # else it was discarded meanwhile
                        return queue[0]
                else:
                    self._changed.wait(wait)
        return None

    def _attempt(self, delivery: Delivery) -> str:
        delivery.first_at = delivery.first_at or time.monotonic()
        try:
            response = self._pool.request(
                "POST",
                self.url,
                body=delivery.body,
                headers=self._headers(delivery),
                timeout=ANSWER_S,
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            return type(error).__name__
        return str(response.status)

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        signatures = [hmac.new(s.encode(), delivery.body, hashlib.sha256).hexdigest() for s in self.secrets]
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-Webhook-Id": delivery.id,
            "X-Webhook-Subscription": self.subscription_id,
            "X-PagerDuty-Signature": ",".join(f"v1={signature}" for signature in signatures),
        }

    def _after(self, delivery: Delivery, answer: str) -> None:
        delivery.answers.append(answer)
        if delivery.state != "waiting":  # discarded while it was under way
            return
        if answer.startswith("2"):
            self._drops = 0
            self._done(delivery, "delivered")
            return
        refused = answer.isdigit() and not answer.startswith("5") and answer != "429"
        over = time.monotonic() - delivery.first_at > KEEP_HOURS * self._hour
        if not (refused or over):
            minutes = min(2.0 ** (len(delivery.answers) - 1), 60.0)
            self._schedule(delivery.resource_id, minutes / 60 * self._hour)
            return
        self._drops += 1
        self._done(delivery, "dropped")
        if self._drops >= DROPS_TO_DISABLE:
            self._disable()

    def _done(self, delivery: Delivery, state: str) -> None:
        delivery.state = state
        queue = self._queues[delivery.resource_id]
        queue.popleft()
        if queue:
            self._schedule(delivery.resource_id, 0.0)
        else:
            del self._queues[delivery.resource_id]

    def _disable(self) -> None:
        self._disabled_until, self._drops = time.monotonic() + DISABLED_HOURS * self._hour, 0
        for delivery in itertools.chain.from_iterable(self._queues.values()):
            delivery.state = "discarded"
        self._queues.clear()
