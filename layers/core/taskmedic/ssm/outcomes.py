"""How a session's end is named: pure functions from what was seen to a CommandResult without its output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from taskmedic.domain.command import CommandResult, CommandSpec, Outcome

_LOOK_FIRST: Final = "See what it did before running it again."
PERHAPS_OPENED: Final = "Whether a session was opened is not known."
_PERHAPS: Final = f"It is not known whether the command ran. {_LOOK_FIRST}"


@dataclass(frozen=True)
class Progress:
    """What had been seen of the command when its session ended."""

    started: bool = False
    """The wrapper's start mark was seen; without a shell, any output."""
    script_sent: bool = True
    """False while a long script is still to be sent: then nothing of it has run."""
    timed_out: bool = False
    """The wrapper said that it ends the command."""


# What AWS's agent has been seen or reported to say, and what helps. The first match counts.
_AGENT_SAYS: Final[tuple[tuple[str, bool, str], ...]] = (
    # text, whether it proves that the command did not run, remedy
    (
        "/bin/sh",  # "fork/exec /bin/sh: no such file or directory", in the words of the agent's Go version
        True,
        "The image has no shell: give the program and its arguments as argv with shell: false.",
    ),
    ("executable file not found", True, "Give the program's full path, or one that the image has."),
    ("Unable to start command", True, "Check the command and the image's file system."),
    (
        "KMSEncryption",
        True,
        "Allow kms:GenerateDataKey to the caller and kms:Decrypt to the task role on the cluster's key.",
    ),
    (
        "initiating handshake",
        True,
        "Check the cluster's execute-command configuration and the KMS key's policy.",
    ),
    ("Plugin with name", True, "Check the container's free disk space and /tmp, and its CPU architecture."),
    (
        "encryption is not set up on the selected CloudWatch Logs",
        True,
        "Encrypt the log group, or allow the task role logs:DescribeLogGroups.",
    ),
    (
        "Setting up data channel",
        True,
        "Check the task role's ssmmessages permissions and the route to ssmmessages.",
    ),
)
_IDLE: Final = "due to inactivity"


def exited(code: int) -> CommandResult:
    """The end mark was seen."""
    reason = "" if code == 0 else f"The command ended with status {code}."
    return CommandResult(outcome=Outcome.EXITED, exit_code=code, reason=reason)


def not_opened(reason: str, remedy: str, *, may_have_run: bool) -> CommandResult:
    """``ecs:ExecuteCommand`` was refused or gave no answer."""
    return CommandResult(
        outcome=Outcome.NOT_REACHABLE,
        reason=reason,
        remedy=remedy,
        may_have_run=may_have_run,
        left_open=PERHAPS_OPENED if may_have_run else "",
    )


def not_connected(reason: str) -> CommandResult:
    """The session was opened, but its data channel could not be reached. The agent starts without us."""
    return CommandResult(
        outcome=Outcome.NOT_REACHABLE,
        reason=f"The session's data channel could not be opened: {reason}.",
        remedy=f"Check the route to ssmmessages (endpoint, proxy, security group). {_PERHAPS}",
    )


def closed(message: str, gap: bool, progress: Progress, spec: CommandSpec) -> CommandResult:
    """The gateway said that the session is over, and no end mark had been seen."""
    if progress.timed_out:
        return timed_out(spec, Seen.KILLED)
    if _IDLE in message:
        return CommandResult(
            outcome=Outcome.TIMED_OUT,
            reason=f"ECS ended the session: {message}",
            remedy=f"The command itself may still be running. {_LOOK_FIRST}",
        )
    if message and not progress.started:
        return _refused(message)
    if not progress.started:
        return CommandResult(
            outcome=Outcome.COULD_NOT_START if spec.shell else Outcome.OUTPUT_INCOMPLETE,
            reason="The session ended before the command was seen to start." if spec.shell else _NO_SHELL,
            remedy=_PERHAPS if spec.shell else "",
            may_have_run=progress.script_sent,
        )
    return _ended_early(message, gap, progress, spec)


_NO_SHELL: Final = (
    "The session ended. Without a shell it cannot be known with what status the program ended, "
    "nor whether all of its output arrived."
)


def _refused(message: str) -> CommandResult:
    text = " ".join(message.replace("----------ERROR-------", " ").split())
    for part, did_not_run, remedy in _AGENT_SAYS:
        if part in message:
            return CommandResult(
                outcome=Outcome.COULD_NOT_START,
                reason=f"The agent in the container says: {text}",
                remedy=remedy,
                may_have_run=not did_not_run,
            )
    return CommandResult(
        outcome=Outcome.COULD_NOT_START, reason=f"The agent in the container says: {text}", remedy=_PERHAPS
    )


def _ended_early(message: str, gap: bool, progress: Progress, spec: CommandSpec) -> CommandResult:
    if not spec.shell and not message and not gap:
        return CommandResult(outcome=Outcome.OUTPUT_INCOMPLETE, reason=_NO_SHELL)
    reason = "The session ended before the command's end was seen"
    if gap:
        reason += ", and part of the output never arrived"
    if message:
        reason += f": {' '.join(message.split())}"
    return CommandResult(
        outcome=Outcome.OUTPUT_INCOMPLETE,
        reason=f"{reason}.",
        remedy="Its shell was killed, its task stopped, or the end of its output was lost. " + _LOOK_FIRST,
        may_have_run=progress.script_sent,
    )


def not_started(after_s: float, progress: Progress, *, heard: bool) -> CommandResult:
    """The start deadline passed; ``heard`` tells whether the agent sent anything."""
    said = "did not start the command" if heard else "sent nothing"
    return CommandResult(
        outcome=Outcome.COULD_NOT_START,
        reason=f"The agent in the container {said} within {after_s:g} s.",
        remedy=f"Another session may hold its place, or the agent hangs (a new task helps). {_PERHAPS}",
        may_have_run=progress.script_sent,
    )


def script_damaged() -> CommandResult:
    """A long script did not arrive whole in the container."""
    return CommandResult(
        outcome=Outcome.COULD_NOT_START,
        reason="The script did not arrive whole in the container, so it was not run.",
        remedy="Try again; if it stays so, put the script into the image or into S3.",
        may_have_run=False,
    )


class Seen(Enum):
    """What was seen of the end of a command whose time was over."""

    ENDED = " and was ended in the container."
    """Its end mark: the watchdog ended all of its session."""
    KILLED = " and was killed in the container, with its shell."
    """The session's end, after the watchdog had said that it ends the command."""
    NOTHING = ", and its end was not seen."


def timed_out(spec: CommandSpec, seen: Seen) -> CommandResult:
    """The command ran longer than ``timeout_s``."""
    perhaps = "" if seen is Seen.ENDED else " What it started may still run: see to that first."
    return CommandResult(
        outcome=Outcome.TIMED_OUT,
        reason=f"The command ran longer than {spec.timeout_s:g} s{seen.value}",
        remedy=f"Raise the step's timeout, or let the command do less.{perhaps}",
    )


def unheard(spec: CommandSpec, after_s: float) -> CommandResult:
    """The command's time is over, and the wrapper, which would have said so, fell silent before."""
    return CommandResult(
        outcome=Outcome.CONNECTION_LOST,
        reason=f"Nothing was heard from the container for {after_s:.0f} s, "
        f"not even that the command's time of {spec.timeout_s:g} s is over.",
        remedy="Its task may have stopped, or its network broken; the command may have gone on. "
        + _LOOK_FIRST,
    )


def silent(after_s: float) -> CommandResult:
    """The wrapper's signs of life stopped coming."""
    return CommandResult(
        outcome=Outcome.CONNECTION_LOST,
        reason=f"No sign of life from the container for {after_s:g} s.",
        remedy=f"Its task may have stopped, or its network broken. {_LOOK_FIRST}",
    )


def lost(reason: str, progress: Progress, *, heard: bool) -> CommandResult:
    """The connection broke, and the session could not be taken up again."""
    if not heard:
        return CommandResult(
            outcome=Outcome.NOT_REACHABLE,
            reason=f"The data channel was closed before the agent said anything: {reason}.",
            remedy=_PERHAPS,
            may_have_run=progress.script_sent,
        )
    return CommandResult(
        outcome=Outcome.CONNECTION_LOST,
        reason=f"The connection to the container was lost: {reason}.",
        remedy=_PERHAPS
        if not progress.started
        else f"The command may have been ended half-way. {_LOOK_FIRST}",
        may_have_run=progress.script_sent,
    )


def broken(reason: str) -> CommandResult:
    """The agent sent something that its own protocol forbids, or that does not decrypt."""
    return CommandResult(
        outcome=Outcome.CONNECTION_LOST,
        reason=f"The agent's messages make no sense: {reason}.",
        remedy=f"Nothing that came can be trusted. {_PERHAPS}",
    )


def too_much_output(limit: int) -> CommandResult:
    """The output passed its limit and the command was ended."""
    return CommandResult(
        outcome=Outcome.OUTPUT_INCOMPLETE,
        reason=f"The command wrote more than {limit} bytes, and no more is taken of one; it was cut off.",
        remedy="Let it write less, or into a file that it copies to where you need it, for example to S3.",
    )
