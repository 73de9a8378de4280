"""How a command is spread over nodes: batches for Lambda calls, and the summary of what came back. Pure.

The words are Rundeck's: threads (thread count), keep going, rank order. The order itself is made by the node
source; here nodes are taken as they come.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from taskmedic.domain.errors import StepInvalid, TooManyTargets

CALL_BUDGET_S = (
    14 * 60
)  # a Lambda call ends after 15 minutes at the latest; one minute is for reading and writing
NODE_OVERHEAD_S = 140  # beside the command itself, at worst: the lock, throttling, the start, the end
MAX_TIMEOUT_S = CALL_BUDGET_S - NODE_OVERHEAD_S
MAX_SESSIONS_PER_CALL = 50
MAX_BATCH_BYTES = (
    120_000  # as JSON; Step Functions hands 256 KiB to a state, and the trigger and outcomes travel too
)
MAX_LANES = 40  # Lambda calls of one step at a time
INLINE_NODES = 40  # more nodes than this go through a distributed map
# What a batch leaves behind, up to 230 bytes, comes back in one state of 256 KiB, beside the step's script.
MAX_BATCHES = 800

WHOLE_EXCERPT = 6 * 2_000  # bytes of a head or a tail as JSON, at worst: control characters only

# Not an outcome of a command: the dispatch ended before the node's turn (Rundeck: NOT STARTED).
NOT_STARTED = "not_started"


class JsonNode(Protocol):
    """What a batch holds: anything that can be written as JSON."""

    def to_json(self) -> Mapping[str, Any]: ...


T = TypeVar("T", bound=JsonNode)


@dataclass(frozen=True)
class DispatchPlan(Generic[T]):
    """Batches, each for one Lambda call: ``map_concurrency`` calls at a time, ``threads`` nodes each."""

    batches: tuple[tuple[T, ...], ...]
    threads: int
    map_concurrency: int

    @property
    def mode(self) -> str:
        """``none``, ``inline`` or ``distributed``: which map of the state machine takes the batches."""
        if not self.batches:
            return "none"
        return "inline" if sum(map(len, self.batches)) <= INLINE_NODES else "distributed"


def plan_batches(
    nodes: Sequence[T],
    dispatch: Mapping[str, Any] | None,
    timeout_s: float,
    *,
    first_success: bool = False,
) -> DispatchPlan[T]:
    """Batches such that one Lambda call ends within 14 minutes even when every node takes all its time.

    Never more than ``dispatch["threads"]`` nodes are at work at once over all batches. Nodes that come first
    in ``nodes`` start first: those of batches that run side by side are dealt out like cards.

    Args:
        nodes: In the order in which they are to be visited.
        dispatch: ``threads`` (default 1).
        timeout_s: The longest time-out of the steps, in seconds.
        first_success: One node at a time, because the next is visited only if the one before failed.

    Raises:
        StepInvalid: one command alone may take longer than a Lambda call.
        TooManyTargets: the nodes do not go into ``MAX_BATCHES``.
    """
    check_timeout(timeout_s)
    if not nodes:
        return DispatchPlan(batches=(), threads=1, map_concurrency=1)
    threads = 1 if first_success else max(1, int((dispatch or {}).get("threads") or 1))
    largest = max(len(json.dumps(node.to_json())) for node in nodes)
    most = max(1, MAX_BATCH_BYTES // largest)
    rounds_per_call = int(CALL_BUDGET_S // (timeout_s + NODE_OVERHEAD_S))
    lanes, each, size = _shape(len(nodes), threads, rounds_per_call, most)
    batches: list[tuple[T, ...]] = []
    for start in range(0, len(nodes), lanes * size):
        block = nodes[start : start + lanes * size]
        batches += [tuple(block[lane::lanes]) for lane in range(lanes) if lane < len(block)]
    if len(batches) > MAX_BATCHES:
        raise TooManyTargets(
            f"a command in {len(nodes)} containers takes {len(batches)} calls, and {MAX_BATCHES} is the most",
            where="dispatch.threads, timeout",
            why=f"{threads} threads with a time-out of {timeout_s:g} s put so few containers into one call",
            remedy="Raise the threads, shorten the time-out, or narrow the nodes.",
        )
    return DispatchPlan(batches=tuple(batches), threads=each, map_concurrency=lanes)


def check_timeout(timeout_s: float) -> None:
    """Refuses a time-out that no Lambda call can hold.

    Raises:
        StepInvalid: ``timeout_s`` is not between 1 and ``MAX_TIMEOUT_S``.
    """
    if not 1 <= timeout_s <= MAX_TIMEOUT_S:
        raise StepInvalid(
            f"a command's time-out of {timeout_s:g} s does not fit into one Lambda call",
            where="timeout",
            why=f"it must be from 1 to {MAX_TIMEOUT_S} s",
            remedy="For longer work start it in the background (`setsid … &`), look again in a later step.",
        )


def _shape(count: int, threads: int, rounds_per_call: int, most: int) -> tuple[int, int, int]:
    """Lanes (calls side by side), threads of each, nodes of a batch: the shape that ends first.

    Time is counted in rounds of one command. A call ends only with its slowest node, while its other threads
    have nothing to do: that counts as half a round, and a round that is not full as a whole one. So batches
    are of whole rounds where there is room. Among equals the shape with the fewest lanes wins.
    """
    best: tuple[tuple[float, int], tuple[int, int, int]] | None = None
    for lanes in range(1, min(threads, count, MAX_LANES) + 1):
        each = min(threads // lanes, MAX_SESSIONS_PER_CALL)
        room = min(each * rounds_per_call, most)
        calls_in_a_row = _ceil(count, lanes * room)
        size = _ceil(count, lanes * calls_in_a_row)
        if (whole_rounds := each * _ceil(size, each)) <= room:
            size = whole_rounds
        full_calls, rest = divmod(count, lanes * size)
        rounds = full_calls * _ceil(size, each) + _ceil(_ceil(rest, lanes), each)
        cost = (rounds + 0.5 * calls_in_a_row, lanes)
        if best is None or cost < best[0]:
            best = (cost, (lanes, each, size))
    assert best is not None
    return best[1]


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class NodeResult:
    """What became of the command on one node. ``outcome`` is one of ``CommandResult``'s, or ``not_started``.

    ``head`` and ``tail`` are text, ``bytes`` counts the whole output, ``output`` says where all of it lies.
    """

    node: str
    outcome: str
    exit_code: int | None = None
    head: str = ""
    tail: str = ""
    bytes: int = 0
    truncated: bool = False
    output: dict[str, str] | None = None
    reason: str = ""
    remedy: str = ""
    duration_s: float = 0.0

    @property
    def succeeded(self) -> bool:
        """The command was seen to end with status 0."""
        return self.outcome == "exited" and self.exit_code == 0

    @property
    def label(self) -> str:
        """The outcome in a word: ``exit 3``, ``timed_out``."""
        return f"exit {self.exit_code}" if self.outcome == "exited" else self.outcome

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NodeResult:
        return cls(**value)


# Errors of a call by which no session was opened. All others, of AWS too, may have come after commands ran.
NEVER_STARTED = frozenset(
    {"StepInvalid", "CommandInvalid", "SettingMissing", "Lambda.TooManyRequestsException"}
)


def broken_off(nodes: Iterable[str], error: str, why: str) -> list[NodeResult]:
    """The results of a batch whose Lambda call failed, one for each of ``nodes``.

    A command whose function died may have run, and nobody may think that it did not.
    """
    never = error in NEVER_STARTED
    return [
        NodeResult(
            node=node,
            outcome="could_not_start" if never else "connection_lost",
            reason=f"{error}: {why}",
            remedy=""
            if never
            else "The command may have run: look in the container before running it again.",
        )
        for node in nodes
    ]


@dataclass(frozen=True)
class DispatchSummary:
    """The outcome of a command over all its nodes."""

    succeeded: bool
    line: str
    counts: dict[str, int]
    slowest: tuple[NodeResult, ...]
    failed: tuple[NodeResult, ...]


def count_outcomes(results: Iterable[NodeResult]) -> dict[str, int]:
    """How often each outcome came, the most frequent first."""
    return dict(Counter(result.outcome for result in results).most_common())


def summarise(results: Sequence[NodeResult], *, first_success: bool = False) -> DispatchSummary:
    """The summary of a dispatch.

    It succeeded when every node's command ended with status 0; with ``first_success``, when one did.
    """
    good = [result for result in results if result.succeeded]
    failed = [r for r in results if not r.succeeded and r.outcome != NOT_STARTED]
    waiting = len(results) - len(good) - len(failed)
    succeeded = bool(good) if first_success else bool(good) and len(good) == len(results)
    line = f"{len(good)} of {len(results)} nodes exited 0"
    if failed:
        labels = Counter(result.label for result in failed).most_common()
        line += "; " + ", ".join(f"{count} x {label}" for label, count in labels)
    if waiting:
        line += f"; {waiting} not started"
    started = [r for r in results if r.outcome != NOT_STARTED]
    return DispatchSummary(
        succeeded=succeeded,
        line=line,
        counts=count_outcomes(results),
        slowest=tuple(sorted(started, key=lambda r: -r.duration_s)[:3]),
        failed=tuple(failed),
    )


def bounded(results: Sequence[NodeResult], limit_bytes: int) -> list[dict[str, Any]]:
    """``results`` as JSON of at most ``limit_bytes``: failed ones first, then as many others as fit.

    Output is shortened before a node is left out, and nodes are left out from the end.
    """
    ordered = sorted(results, key=lambda r: (r.succeeded, r.outcome == NOT_STARTED))
    for cut in (WHOLE_EXCERPT, 2_000, 400, 0):
        rows = [_cut(result, cut).to_json() for result in ordered]
        if sum(map(_json_size, rows)) <= limit_bytes:
            return rows
    kept: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        size += _json_size(row)
        if size > limit_bytes:
            break
        kept.append(row)
    return kept


def _json_size(row: Mapping[str, Any]) -> int:
    return len(json.dumps(row)) + 2  # the comma and blank of the list


def _cut(result: NodeResult, length: int) -> NodeResult:
    """``result`` with at most ``length`` bytes (as JSON) of head and of tail."""
    head, tail = _fit(result.head, length), _fit(result.tail, length, from_end=True)
    shortened = (head, tail) != (result.head, result.tail)
    return replace(result, head=head, tail=tail, truncated=result.truncated or shortened)


def _fit(text: str, length: int, *, from_end: bool = False) -> str:
    """The beginning (or end) of ``text`` that takes at most ``length`` bytes as JSON."""
    if length <= 0:
        return ""
    text = text[-length:] if from_end else text[:length]
    while len(json.dumps(text)) - 2 > length:
        keep = max(0, min(len(text) - 1, len(text) * length // len(json.dumps(text))))
        text = text[len(text) - keep :] if from_end else text[:keep]
    return text
