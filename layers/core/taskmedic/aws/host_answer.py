"""What SSM Run Command says of a command that ran by ``docker exec``. Pure."""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taskmedic.domain.command import CommandResult, CommandSpec, Outcome
from taskmedic.ssm.capture import Capture
from taskmedic.ssm.command import Mark, MarkReader
from taskmedic.ssm.outcomes import Seen, timed_out
from taskmedic.ssm.run import OutputSink

MAX_STDOUT_CHARACTERS = 24_000  # of StandardOutputContent
LARGEST_OUTPUT = 32 * 1024 * 1024  # of what 24,000 characters may unpack to

_NEVER_STARTED = {
    "DeliveryTimedOut": "the host's agent did not take the command in time",
    "Undeliverable": "the host cannot be reached by Systems Manager",
    "InvalidPlatform": "the host is no Linux machine",
    "AccessDenied": "the host's agent may not run the document",
}


def read_answer(answer: Mapping[str, Any], spec: CommandSpec, nonce: str, sink: OutputSink) -> CommandResult:
    """What the last answer of GetCommandInvocation says of the command. Its output goes to ``sink``."""
    details = str(answer.get("StatusDetails", "")).replace(" ", "")
    if details in _NEVER_STARTED:
        return CommandResult(
            outcome=Outcome.NOT_REACHABLE,
            reason=f"SSM Run Command: {_NEVER_STARTED[details]} ({details}).",
            remedy="See that the instance is running and listed by `aws ssm describe-instance-information`.",
            may_have_run=False,
        )
    packed = answer.get("StandardOutputContent", "")
    cut = len(packed) >= MAX_STDOUT_CHARACTERS
    seen = _Reading(nonce, spec, sink)
    seen.output(unpacked(packed))
    seen.end(answer.get("StandardErrorContent", "").encode())
    result = seen.result(cut=cut, host_timed_out=details == "ExecutionTimedOut", details=details)
    return replace(
        result, head=seen.capture.head, tail=seen.capture.tail, total_bytes=seen.capture.total_bytes
    )


def unpacked(packed: str) -> bytes:
    """The output out of its gzip and base64, as far as it goes when it was cut."""
    whole = packed[: len(packed) // 4 * 4]
    try:
        return zlib.decompressobj(wbits=31).decompress(b64decode(whole, validate=True), LARGEST_OUTPUT)
    except (ValueError, zlib.error):
        return packed.encode()  # no pipe of ours wrote this: an error of the host, which a person should see


class _Reading:
    """What the wrapper's marks say, in the output and once more at its end."""

    def __init__(self, nonce: str, spec: CommandSpec, sink: OutputSink) -> None:
        self.capture = Capture(4096, 4096)
        self._nonce = nonce.encode()
        self._spec = spec
        self._sink = sink
        self._words: list[str] = []
        self._before = b""

    def output(self, data: bytes) -> None:
        if not self._spec.shell:
            self._keep(data)
            return
        reader = MarkReader(self._nonce)
        for found in [*reader.feed(data), reader.rest()]:
            if isinstance(found, Mark):
                self._words.append(found.word)
            elif "start" in self._words:
                self._keep(found)
            else:
                self._before += found

    def end(self, data: bytes) -> None:
        found = MarkReader(self._nonce).feed(data)
        self._words += [mark.word for mark in found if isinstance(mark, Mark)]
        if not self._before:
            self._before = data

    def _keep(self, data: bytes) -> None:
        if data:
            self.capture.write(data)
            self._sink.write(data)

    def result(self, *, cut: bool, host_timed_out: bool, details: str) -> CommandResult:
        status = next((int(word) for word in reversed(self._words) if word.isdecimal()), None)
        if host_timed_out or "timeout" in self._words:
            return timed_out(self._spec, Seen.NOTHING if status is None else Seen.ENDED)
        if not self._spec.shell:
            return CommandResult(
                outcome=Outcome.OUTPUT_INCOMPLETE,
                reason="The command ended. Without a shell it cannot be known with what status, "
                "nor whether all of its output arrived.",
            )
        if "start" not in self._words:
            text = " ".join(self._before.decode(errors="replace").split())[:500]
            return CommandResult(
                outcome=Outcome.COULD_NOT_START,
                reason=f"docker exec on the host did not start the command: {text or details}.",
                remedy="See that the container runs, that it has /bin/sh, and that the host has docker.",
                may_have_run=not text,
            )
        if status is None or cut:
            ended = "its end was not seen" if status is None else f"it ended with status {status}"
            return CommandResult(
                outcome=Outcome.OUTPUT_INCOMPLETE,
                reason=f"Part of the output is missing ({details}); {ended}.",
                remedy=f"SSM Run Command keeps {MAX_STDOUT_CHARACTERS} characters (compressed): write less, "
                "or use ECS Exec.",
            )
        return CommandResult(
            outcome=Outcome.EXITED,
            exit_code=status,
            reason="" if status == 0 else f"The command ended with status {status}.",
        )
