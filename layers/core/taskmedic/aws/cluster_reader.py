"""The tasks of one cluster: listed page by page, described by the hundred as soon as a hundred are known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from taskmedic.aws.errors import translated
from taskmedic.aws.fanout import Job
from taskmedic.aws.paging import TokenExpired, page, tokens_expire
from taskmedic.aws.plain_tasks import describe_tasks
from taskmedic.domain.arns import last_part
from taskmedic.domain.errors import ServiceNotFound, TaskmedicError

# The most ECS takes in one DescribeTasks, and gives in one page of ListTasks.
BATCH = 100


@dataclass(frozen=True)
class Query:
    """What ECS itself can narrow a listing by."""

    desired_status: str = "RUNNING"
    service: str = ""
    family: str = ""

    def request(self) -> dict[str, str]:
        asked = {"desiredStatus": self.desired_status, "serviceName": self.service, "family": self.family}
        return {key: value for key, value in asked.items() if value}


class Sink(Protocol):
    """Where what was read goes; called from several threads."""

    def tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None: ...

    def service_missing(self, service: str, cluster: str) -> None: ...

    def failed(self, error: TaskmedicError) -> None: ...


class ClusterReader:
    """Reads one cluster into a sink. Its listings share their batches, and each task is described once."""

    def __init__(self, ecs: Any, cluster: str, sink: Sink) -> None:
        self._ecs = ecs
        self._cluster = cluster
        self._sink = sink
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._waiting: list[str] = []
        self._open_listings = 0

    def listings(self, queries: Sequence[Query]) -> list[Job]:
        """The jobs that list the cluster and describe what they find."""
        self._open_listings = len(queries)
        return [partial(self._list, query) for query in queries]

    def descriptions(self, tasks: Sequence[str]) -> list[Job]:
        """The jobs that describe ``tasks``, given by id or ARN."""
        return [partial(self._describe, tasks[at : at + BATCH]) for at in range(0, len(tasks), BATCH)]

    def _list(self, query: Query, token: str = "", *, restarted: bool = False) -> Sequence[Job]:
        request = {"cluster": self._cluster, "maxResults": BATCH, **query.request()}
        try:
            with translated("cannot list the tasks", self._cluster):
                answer = page(self._ecs.list_tasks, request, token)
        except TokenExpired:
            if not restarted:  # the tasks known by now are not described again
                return (partial(self._list, query, restarted=True),)
            self._sink.failed(tokens_expire("the tasks", self._cluster))
            return self._close()
        except ServiceNotFound:
            self._sink.service_missing(query.service, self._cluster)
            return self._close()
        except TaskmedicError as error:
            self._sink.failed(error)
            return self._close()
        batches = self._take(answer.get("taskArns", ()))
        following = answer.get("nextToken")
        if not following:
            return [*batches, *self._close()]
        return [partial(self._list, query, following, restarted=restarted), *batches]

    def _take(self, arns: Sequence[str]) -> list[Job]:
        """Jobs for the full batches that ``arns`` complete. A task that is listed twice is taken once."""
        with self._lock:
            for arn in arns:
                task_id = last_part(arn)  # as good as the ARN, and a third of its length
                if task_id not in self._seen:
                    self._seen.add(task_id)
                    self._waiting.append(task_id)
            full = len(self._waiting) // BATCH * BATCH
            ready, self._waiting = self._waiting[:full], self._waiting[full:]
        return self.descriptions(ready)

    def _close(self) -> list[Job]:
        """One listing has ended; with the last of them goes what is left over."""
        with self._lock:
            self._open_listings -= 1
            if self._open_listings:
                return []
            rest, self._waiting = self._waiting, []
        return self.descriptions(rest)

    def _describe(self, tasks: Sequence[str]) -> Sequence[Job]:
        """A task that is gone since it was listed is in the answer's ``failures``: it is left out."""
        try:
            with translated("cannot describe the tasks", self._cluster):
                found = describe_tasks(self._ecs, self._cluster, tasks)
        except TaskmedicError as error:
            self._sink.failed(error)
        else:
            self._sink.tasks(found)
        return ()


def read_clusters(ecs: Any, on_cluster: Callable[[str], Sequence[Job]], sink: Sink) -> Job:
    """The job that lists every cluster; each gives the jobs of ``on_cluster``."""
    seen: set[str] = set()

    def read(token: str = "", *, restarted: bool = False) -> Sequence[Job]:
        try:
            with translated("cannot list the clusters"):
                answer = page(ecs.list_clusters, {"maxResults": BATCH}, token)
        except TokenExpired:
            if not restarted:
                return (partial(read, restarted=True),)
            sink.failed(tokens_expire("the clusters", ""))
            return ()
        except TaskmedicError as error:
            sink.failed(error)
            return ()
        new = [arn for arn in answer.get("clusterArns", ()) if arn not in seen]
        seen.update(new)
        jobs = [job for arn in new for job in on_cluster(arn)]
        following = answer.get("nextToken")
        return [partial(read, following, restarted=restarted), *jobs] if following else jobs

    return read
