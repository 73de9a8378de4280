"""A burst of webhooks on the local cloud: one execution for each incident, and how fast is the answer?

    python benchmarks/webhook.py

1,000 webhooks: 850 new ones, 100 repeats of those, 50 forged. Among them, turn by turn, as many requests to
an empty function behind the same HTTP API. The executions that are started wait at their first function
until the burst is over: in AWS they run elsewhere, here they would take the cores from what is measured.
Then they end with the decision to do nothing, since the kill switch is off. Both functions are warm, with
all their clients; benchmarks/imports.py has the cold start. The local cloud and the senders share a process,
whose garbage collector rests during the burst: a pause of it stops whatever is under way for a third of a
second, and a percentile of a thousand answers would tell how often that was a webhook.

Of the difference, most is the local Step Functions: a forged webhook is answered without it.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
import json
import random
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import boto3
import urllib3

from taskmedic_local.cloud import LocalCloud
from taskmedic_local.functions import Function
from taskmedic_local.http_api import HttpApi
from taskmedic_local.lambdas import Result

NEW, REPEATED, FORGED = 850, 100, 50
SENDERS = 4
WARM_UP = 64
EMPTY = 'def handler(event, context):\n    return {"statusCode": 202}\n'


@dataclass(frozen=True)
class Post:
    """One request of the burst."""

    kind: str
    incident: str
    url: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    kind: str
    incident: str
    status: int
    seconds: float


def webhook(cloud: LocalCloud, kind: str, incident: str, delivery_id: str, secret: str) -> Post:
    event = {
        "event": {
            "id": incident,
            "event_type": "incident.triggered",
            "resource_type": "incident",
            "occurred_at": "2026-11-21T03:12:44.310Z",
            "agent": None,
            "client": None,
            "data": {"id": incident, "type": "incident", "title": "burst", "status": "triggered"},
        }
    }
    body = json.dumps(event).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Id": delivery_id,
        "X-PagerDuty-Signature": f"v1={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
    }
    return Post(kind, incident, cloud.info["webhook_url"], body, headers)


def burst(cloud: LocalCloud, empty_url: str) -> list[Post]:
    """The requests in the order of sending: repeats come after what they repeat, all else is shuffled."""
    shuffled = random.Random(6)
    new = [webhook(cloud, "new", f"QNEW{n:04}", str(uuid.uuid4()), cloud.webhook_secret) for n in range(NEW)]
    repeats = [replace(post, kind="repeat") for post in shuffled.sample(new, REPEATED)]
    forged = [webhook(cloud, "forged", f"QBAD{n:04}", str(uuid.uuid4()), "wrong") for n in range(FORGED)]
    posts = [*new, *forged]
    shuffled.shuffle(posts)
    for repeat in repeats:
        first = next(place for place, post in enumerate(posts) if post.incident == repeat.incident)
        posts.insert(shuffled.randint(first + 1, len(posts)), repeat)
    empty = Post("empty", "", empty_url, new[0].body, {"Content-Type": "application/json"})
    return [post for one in posts for post in (one, empty)]


def warm_up(cloud: LocalCloud, empty: Post) -> list[Post]:
    """Every way of a webhook and the empty function's, until each process has its clients."""
    own = [webhook(cloud, "warm", f"QWARM{n}", f"warm-{n}", cloud.webhook_secret) for n in range(WARM_UP)]
    return [one for post in own for one in (post, replace(post, headers={}), empty)]


def send(pool: urllib3.PoolManager, post: Post) -> Answer:
    start = time.perf_counter()
    response = pool.request("POST", post.url, body=post.body, headers=post.headers, retries=False, timeout=30)
    return Answer(post.kind, post.incident, response.status, time.perf_counter() - start)


def deploy_empty(cloud: LocalCloud, folder: Path) -> str:
    """A function that does nothing, behind the same HTTP API; its URL."""
    (folder / "app.py").write_text(EMPTY)
    receiver = next(f for f in cloud.lambdas.functions.values() if "ReceiveWebhook" in f.logical_id)
    function = replace(
        receiver,
        logical_id="Empty",
        name="empty",
        handler="app.handler",
        task_root=folder,
        log_group="/empty",
    )
    cloud.lambdas.deploy({"empty": function})
    route = {("POST", "/empty"): lambda payload: cloud.lambdas.invoke(function, payload)}
    cloud.front.mount_path("/empty", HttpApi(route))
    return f"{cloud.endpoint}/empty"


def client(cloud: LocalCloud, service: Literal["ssm", "stepfunctions"]) -> Any:
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")
    return session.client(service, endpoint_url=cloud.endpoint)


def switch_off(cloud: LocalCloud) -> None:
    ssm = client(cloud, "ssm")
    accept = next(f for f in cloud.lambdas.functions.values() if "AcceptTrigger" in f.logical_id)
    ssm.put_parameter(
        Name=accept.environment["SWITCH_PARAMETER"], Value='{"enabled": false}', Type="String", Overwrite=True
    )


def hold_executions(cloud: LocalCloud) -> threading.Event:
    """Executions wait at their first function until the event is set."""
    released, invoke = threading.Event(), cloud.lambdas.invoke

    def held(function: Function, payload: bytes) -> Result:
        if "AcceptTrigger" in function.logical_id:
            released.wait()
        return invoke(function, payload)

    cloud.lambdas.invoke = held  # type: ignore[method-assign]
    return released


def incidents_executed(cloud: LocalCloud) -> Counter[str]:
    """How many executions each incident has, when none runs any more."""
    states = client(cloud, "stepfunctions")
    machine = cloud.info["state_machines"]["remediation"]
    pages = states.get_paginator("list_executions")
    while any(
        True for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING") if page["executions"]
    ):
        time.sleep(0.5)
    found: Counter[str] = Counter()
    for page in pages.paginate(stateMachineArn=machine):
        for one in page["executions"]:
            given = json.loads(states.describe_execution(executionArn=one["executionArn"])["input"])
            found[given["event"]["data"]["id"]] += 1
    return found


def percentile(answers: list[Answer], share: float) -> float:
    seconds = sorted(answer.seconds for answer in answers)
    return seconds[min(int(len(seconds) * share), len(seconds) - 1)]


def main() -> None:
    with LocalCloud() as cloud, tempfile.TemporaryDirectory() as folder:
        switch_off(cloud)
        released = hold_executions(cloud)
        empty_url = deploy_empty(cloud, Path(folder))
        posts = burst(cloud, empty_url)
        pool = urllib3.PoolManager(maxsize=SENDERS)
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(lambda post: send(pool, post), warm_up(cloud, posts[1])))
            gc.collect()
            gc.freeze()
            gc.disable()
            start = time.perf_counter()
            answers = list(senders.map(lambda post: send(pool, post), posts))
            took = time.perf_counter() - start
            gc.enable()
        released.set()
        executed = incidents_executed(cloud)
    report(answers, executed, took)


def report(answers: list[Answer], executed: Counter[str], took: float) -> None:
    webhooks = [answer for answer in answers if answer.kind != "empty"]
    empty = [answer for answer in answers if answer.kind == "empty"]
    statuses = Counter((answer.kind, answer.status) for answer in webhooks)
    once = sum(executed[f"QNEW{n:04}"] == 1 for n in range(NEW))
    forged = sum(count for incident, count in executed.items() if incident.startswith("QBAD"))
    print(f"{len(webhooks)} webhooks and {len(empty)} empty requests, {SENDERS} at a time: {took:.1f} s")
    for (kind, status), count in sorted(statuses.items()):
        print(f"  {kind:7} answered {status}: {count}")
    print(f"  new incidents with exactly one execution: {once} of {NEW}")
    print(f"  executions of forged webhooks: {forged} (goal 0)")
    forgeries = [answer for answer in webhooks if answer.kind == "forged"]
    print(
        f"  median of all: {compared(webhooks, empty, 0.5)}; of the forged: {compared(forgeries, empty, 0.5)}"
    )
    print(f"  p99 of all: {compared(webhooks, empty, 0.99)} (goal <= 2)")


def compared(ours: list[Answer], base: list[Answer], share: float) -> str:
    """A percentile of both, and their ratio."""
    one, other = percentile(ours, share), percentile(base, share)
    return f"{one * 1000:.1f} ms to an empty function's {other * 1000:.1f} ms, ratio {one / other:.2f}"


if __name__ == "__main__":
    main()
