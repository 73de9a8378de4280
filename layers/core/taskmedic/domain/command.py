"""One command in one container: what is asked, how it can end, and what is known afterwards."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum

from taskmedic.domain.errors import CommandInvalid

MAX_SCRIPT_BYTES = 128_000
"""Longest script, in bytes of UTF-8. Linux takes no argument of 128 KiB or more, and the container's shell
gets the script as one."""

MAX_TIMEOUT_S = 86_400
"""Session Manager ends every session after a day at the latest."""

MAX_OUTPUT_BYTES = 100_000_000
"""Default of CommandSpec.max_output_bytes: a Lambda function's /tmp holds 512 MB."""

# AWS's agent looks for this in the whole command line and asks SSM for the parameter with the task's role.
_PARAMETER_REFERENCE = re.compile(r"\{\{\s*ssm:[/\w.:-]+\s*\}\}")


class Outcome(StrEnum):
    """How a command ended, as far as that can be known."""

    EXITED = "exited"
    """Its end was seen, with its exit status, and all of its output arrived."""
    COULD_NOT_START = "could_not_start"
    """A session was opened, and the command was not seen to start."""
    NOT_REACHABLE = "not_reachable"
    """No session with the container came about."""
    TIMED_OUT = "timed_out"
    """It ran longer than it was allowed to, and was ended or told to end."""
    OUTPUT_INCOMPLETE = "output_incomplete"
    """The session ended in order, but without a sign that the command had ended and its output was whole."""
    CONNECTION_LOST = "connection_lost"
    """The connection broke or fell silent while the command ran, and could not be taken up again."""


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A command, checked: what AWS's agent would choke on is refused here, before anything is sent.

    Either ``script``, for the container's ``/bin/sh``, or ``argv``, a program and its arguments.
    With ``shell=False`` the program is started without any shell, for images that have none; then no exit
    status can be had, and the outcome is never ``exited``.

    Raises:
        CommandInvalid: There is nothing to run, or it cannot be delivered as it stands.
    """

    script: str = ""
    argv: tuple[str, ...] = ()
    shell: bool = True
    timeout_s: float = 60
    max_output_bytes: int = MAX_OUTPUT_BYTES

    def __post_init__(self) -> None:
        if self.script and self.argv:
            raise CommandInvalid(
                "both a script and an argv are given", where="script, argv", remedy="Give one."
            )
        if not self.shell and not self.argv:
            raise CommandInvalid(
                "a script needs a shell",
                where="shell: false",
                remedy="Give the program and its arguments as argv, or leave out shell: false.",
            )
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise CommandInvalid(
                f"a timeout of {self.timeout_s:g} s",
                where="timeout_s",
                remedy=f"Give 1 to {MAX_TIMEOUT_S} s.",
            )
        if self.max_output_bytes <= 0:
            raise CommandInvalid("no output would be allowed", where="max_output_bytes")
        _check_text(self.text, "script" if self.script else "argv")
        if self.argv and not self.argv[0].strip():
            raise CommandInvalid("the program's name is empty", where="argv[0]", remedy="Name a program.")

    @property
    def text(self) -> str:
        """The command as a script for ``/bin/sh``."""
        if not self.argv:
            return self.script
        # Unquoted, the first word could be an assignment, a keyword or an alias.
        first, *rest = self.argv
        quoted = shlex.quote(first)
        return " ".join([quoted if quoted != first else f"'{first}'", *map(shlex.quote, rest)])


def _check_text(text: str, where: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise CommandInvalid("the command is not text", where=where, why=error.reason) from error
    if "\0" in text:
        raise CommandInvalid(
            "the command holds a NUL character", where=where, remedy="No shell can take one: write it as \\0."
        )
    if size > MAX_SCRIPT_BYTES:
        raise CommandInvalid(
            f"the script has {size} bytes, more than {MAX_SCRIPT_BYTES}",
            where=where,
            remedy="Put it into the image or into S3, and let a short script fetch and run it.",
        )
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.split("\n")):
        raise CommandInvalid("there is nothing to run", where=where, why="it is empty or only a comment")
    if reference := _PARAMETER_REFERENCE.search(text):
        raise CommandInvalid(
            f"the command refers to {reference.group()}",
            where=where,
            why="AWS's agent would ask SSM for it with the task's role, and fall silent if refused",
            remedy="Read the parameter in the script itself, or pass its value as an option.",
        )


@dataclass(frozen=True)
class StreamSession:
    """What ``ecs:ExecuteCommand`` answers, and the target's id for KMS. Its secrets have no repr."""

    session_id: str
    stream_url: str = field(repr=False)
    token: str = field(repr=False)
    target_id: str
    """``ecs:<cluster name>_<task id>_<container runtime id>``"""


@dataclass(frozen=True)
class DataKey:
    """The answer of ``kms:GenerateDataKey`` for 64 bytes. No repr."""

    plaintext: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What is known of one command in one container after it ended, or after we gave up."""

    outcome: Outcome
    exit_code: int | None = None
    """Only with ``exited``. 128 + n: ended by signal n."""
    reason: str = ""
    remedy: str = ""
    head: bytes = b""
    """The first bytes of output: stdout and stderr as the terminal mixed them, line ends as written."""
    tail: bytes = b""
    """The last bytes of output that are not in ``head``."""
    total_bytes: int = 0
    duration_s: float = 0.0
    may_have_run: bool = True
    """False only where it is certain that the command never ran, so that another attempt repeats nothing."""
    left_open: str = ""
    """Why its session may still be there, in a sentence. Empty: it is over, or there was none."""
    agent_ready: bool = True
    """False where ECS said that its agent in the container is not connected: nothing ran, and there may be
    another way in. Not where the caller was refused."""

    @property
    def truncated(self) -> bool:
        """Whether ``head`` and ``tail`` are less than the output that went to the sink."""
        return self.total_bytes > len(self.head) + len(self.tail)

    @property
    def succeeded(self) -> bool:
        """Whether the command ended with status 0."""
        return self.outcome is Outcome.EXITED and self.exit_code == 0

    @property
    def output(self) -> str:
        """The output as text; what was left out in the middle is said so."""
        if not self.truncated:
            return (self.head + self.tail).decode(errors="replace")
        left_out = self.total_bytes - len(self.head) - len(self.tail)
        head, tail = self.head.decode(errors="replace"), self.tail.decode(errors="replace")
        return f"{head}\n[… {left_out} bytes left out …]\n{tail}"


_LEFT_OPEN = "left open: "


def note_left_open(error: BaseException, why: str) -> None:
    """Writes onto an error why the session that it cut off may still be there; empty: it is over."""
    if why:
        error.add_note(_LEFT_OPEN + why)


def why_left_open(error: BaseException) -> str:
    """What ``note_left_open`` wrote; empty when the session is over, or there was none."""
    notes = getattr(error, "__notes__", [])
    return " ".join(note.removeprefix(_LEFT_OPEN) for note in notes if note.startswith(_LEFT_OPEN))
