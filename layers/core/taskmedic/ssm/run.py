"""One run of a command over a session, without a socket: frames and the time in, frames and a result out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from taskmedic.domain.command import CommandResult, CommandSpec, DataKey
from taskmedic.ssm import outcomes
from taskmedic.ssm.capture import Capture
from taskmedic.ssm.command import BEAT_S, GOODBYE, KILL_AFTER_S, Invocation, LineEnds, Mark, MarkReader
from taskmedic.ssm.outcomes import Progress, Seen
from taskmedic.ssm.session import (
    Broken,
    Closed,
    DataKeyWanted,
    ErrorOutput,
    ExitStatus,
    Output,
    Session,
)


class OutputSink(Protocol):
    """Takes the whole output of one command, in order."""

    def write(self, data: bytes, /) -> object:
        """Takes the next piece. Must not block for long: the event loop waits."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long to wait, in seconds, and how much to keep, in bytes."""

    connect_s: float = 10
    """For the websocket's handshake; the session's token lives only a little longer."""
    start_s: float = 45
    """From the opened session to the command's start. The agent needs 1 to 2 s, with KMS up to 30 s."""
    silence_s: float = 3 * BEAT_S
    """Without a sign of life from a wrapper that gives them."""
    grace_s: float = 10
    """For the watchdog inside the container to end the command, before its session is ended from outside."""
    terminate_s: float = 10
    """For ssm:TerminateSession and for ssm:ResumeSession."""
    head_bytes: int = 4096
    tail_bytes: int = 4096

    def longest_s(self, timeout_s: float) -> float:
        """The longest that one run can take, from the opened session to its result."""
        running_s = timeout_s + KILL_AFTER_S + self.grace_s
        return 2 * self.connect_s + self.start_s + running_s + 2 * self.terminate_s


class CommandRun:
    """Drives a Session until the command's result is known.

    ``result`` is None until then. ``over`` tells whether the session needs no ssm:TerminateSession: the
    gateway closed it, or the wrapper came to its end.
    """

    def __init__(
        self,
        spec: CommandSpec,
        invocation: Invocation,
        session: Session,
        *,
        sink: OutputSink,
        limits: Limits,
        now: float,
    ) -> None:
        self.result: CommandResult | None = None
        self.over = False
        self.data_key_wanted: DataKeyWanted | None = None
        self._spec = spec
        self._session = session
        self._sink = sink
        self._limits = limits
        self._upload = invocation.upload
        self._marks = MarkReader(invocation.nonce) if spec.shell else None
        self._line_ends = LineEnds()
        self._progress = Progress(script_sent=not invocation.upload)
        self._capture = self._new_capture()
        self._beats = False
        self._heard_at = now
        # Without marks a silent program cannot be told from one that did not start.
        self._deadline = now + limits.start_s + (0 if spec.shell else spec.timeout_s)

    def outgoing(self) -> list[str | bytes]:
        """What is to be sent now."""
        return self._session.outgoing()

    def receive(self, raw_frames: Iterable[bytes], now: float) -> None:
        """Takes what arrived."""
        output: list[bytes] = []
        for event in self._session.receive(raw_frames, now):
            if isinstance(event, Output):
                output.append(event.data)
                continue
            self._take_output(output, now)
            self._take_event(event, now)
        self._take_output(output, now)

    def tick(self, now: float) -> None:
        """Lets time pass: sends again what was not acknowledged, and gives up when a deadline is over."""
        self._session.tick(now)
        if self.result is not None:
            return
        if now >= self._deadline:
            self._end(self._late(now))
        elif now >= self._silence_deadline:
            self._end(outcomes.silent(self._limits.silence_s))

    @property
    def resend_at(self) -> float | None:
        """When something of ours is to be sent again; None when the agent has all of it."""
        return self._session.wake_at

    @property
    def wake_at(self) -> float:
        """When ``tick`` is to be called if nothing arrives before."""
        return min(self._deadline, self._silence_deadline, self.resend_at or self._deadline)

    def provide_data_key(self, key: DataKey, now: float) -> None:
        """Answers ``data_key_wanted``."""
        self.data_key_wanted = None
        self._session.provide_data_key(key, now)

    def refuse_data_key(self, reason: str, now: float) -> None:
        """Answers ``data_key_wanted``: there is none. The agent then ends the session and says why."""
        self.data_key_wanted = None
        self._session.refuse_data_key(reason, now)

    def reconnected(self, token: str, now: float) -> None:
        """Goes on over a new connection."""
        self._heard_at = now
        self._session.reconnected(token)

    def lost(self, reason: str) -> CommandResult:
        """The connection broke and there is no other."""
        return self._end(outcomes.lost(reason, self._progress, heard=self._session.heard))

    def _take_event(
        self, event: ErrorOutput | ExitStatus | DataKeyWanted | Closed | Broken, now: float
    ) -> None:
        match event:
            case ErrorOutput(data):  # beside the terminal's stream, so there are no marks in it
                if self._marks is None:
                    self._started_without_mark(now)
                self._keep(self._line_ends.feed(data))
            case DataKeyWanted():
                self.data_key_wanted = event
            case ExitStatus(code) if self._marks is None:
                # It comes in its turn, after all output, so it proves as much as an end mark.
                self._end(outcomes.exited(code), over=True)
            case Closed(message, gap):
                self._take_rest()
                self._end(outcomes.closed(message, gap, self._progress, self._spec), over=True)
            case Broken(reason):
                self._end(outcomes.broken(reason))
            case ExitStatus():
                pass  # the wrapper's; the command's comes by its end mark

    def _take_output(self, pieces: list[bytes], now: float) -> None:
        if not pieces:
            return
        data = b"".join(pieces)
        pieces.clear()
        self._heard_at = now
        if self._marks is None:
            self._started_without_mark(now)
            self._keep(self._line_ends.feed(data))
            return
        for found in self._marks.feed(data):
            if isinstance(found, Mark):
                self._take_mark(found.word, now)
            else:
                self._keep(found)

    def _started_without_mark(self, now: float) -> None:
        """The first output shows that the program runs, so it has its time and no more."""
        if not self._progress.started:
            self._note(started=True)
            self._deadline = min(self._deadline, now + self._spec.timeout_s)

    def _take_mark(self, word: str, now: float) -> None:
        if self.result is not None:
            return
        match word:
            case "ready":
                self._send_script(now)
            case "start":
                self._note(started=True)
                self._capture = self._new_capture()
                self._deadline = now + self._spec.timeout_s + self._patience_s
            case "beat":
                self._beats = True
            case "timeout":
                self._note(timed_out=True)
            case "bad":
                self._end(outcomes.script_damaged(), over=True)
            case _ if word.isdecimal():
                self._session.send_input(GOODBYE, now)
                timed_out = self._progress.timed_out
                self._end(
                    outcomes.timed_out(self._spec, Seen.ENDED) if timed_out else outcomes.exited(int(word)),
                    over=True,
                )

    def _send_script(self, now: float) -> None:
        upload, self._upload = self._upload, ()
        for line in upload:
            self._session.send_input(line, now)
        self._note(script_sent=True)

    def _take_rest(self) -> None:
        self._keep((self._marks.rest() if self._marks else b"") + self._line_ends.rest())

    def _keep(self, output: bytes) -> None:
        if self.result is not None or not output:
            return
        self._capture.write(output)
        if not self._progress.started:
            return  # what comes before the start mark is not the command's
        self._sink.write(output)
        if self._capture.total_bytes > self._spec.max_output_bytes:
            self._end(outcomes.too_much_output(self._spec.max_output_bytes))

    def _late(self, now: float) -> CommandResult:
        if self._progress.started or self._marks is None:
            silence_s = now - self._heard_at
            # A watchdog that gave signs of life would have said that the time is over.
            if self._beats and not self._progress.timed_out and silence_s > self._patience_s:
                return outcomes.unheard(self._spec, silence_s)
            return outcomes.timed_out(self._spec, Seen.NOTHING)
        return outcomes.not_started(self._limits.start_s, self._progress, heard=self._session.heard)

    @property
    def _patience_s(self) -> float:
        """How long the watchdog may take for the end of a command whose time is over."""
        return KILL_AFTER_S + self._limits.grace_s

    @property
    def _silence_deadline(self) -> float:
        return self._heard_at + self._limits.silence_s if self._beats else self._deadline

    def _end(self, result: CommandResult, *, over: bool = False) -> CommandResult:
        """Keeps the first result, with what there is of the output."""
        if self.result is None:
            self.over = over
            self.result = replace(
                result,
                head=self._capture.head,
                tail=self._capture.tail,
                total_bytes=self._capture.total_bytes,
            )
        return self.result

    def _note(self, **seen: bool) -> None:
        self._progress = replace(self._progress, **seen)

    def _new_capture(self) -> Capture:
        return Capture(self._limits.head_bytes, self._limits.tail_bytes)
