"""The part of a command's output that travels: into an execution's history, outcome and notes. Pure."""

from __future__ import annotations

from typing import NamedTuple

from taskmedic.domain.command import CommandResult
from taskmedic.domain.masking import mask

SHOWN_BYTES = 2_000


class Excerpt(NamedTuple):
    """The beginning and the end of an output, and whether something between them is missing."""

    head: str
    tail: str
    left_out: bool


def head_and_tail(result: CommandResult) -> Excerpt:
    """The first and the last 2,000 bytes, or a little less, of a command's output as text, secrets masked.

    They do not overlap; ``tail`` is empty when ``head`` holds all. More is kept of the output than is shown:
    it is masked first and then cut. Where the output is longer than what is kept, the line that was cut
    there is left out, since a part of a secret does not look like one.
    """
    if not result.truncated:
        whole = _masked(result.head + result.tail)
        head = _first(whole)
        rest = whole[len(head) :]
        return Excerpt(head, _last(rest), left_out=len(rest.encode()) > SHOWN_BYTES)
    head, tail = _masked(result.head), _masked(result.tail)
    head = head[: head.rfind("\n") + 1] or head[: len(head) // 2]  # of one long line the end is left out
    tail = tail.partition("\n")[2]
    return Excerpt(_first(head), _last(tail), left_out=True)


def _masked(output: bytes) -> str:
    return mask(output.decode(errors="replace"))


def _first(text: str) -> str:
    return text.encode()[:SHOWN_BYTES].decode(errors="ignore")


def _last(text: str) -> str:
    return text.encode()[-SHOWN_BYTES:].decode(errors="ignore")
