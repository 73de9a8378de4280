"""What exit codes say, and which container stopped first.

ECS gives no stop time of a container. When an essential container stops, ECS sends SIGTERM to the others and
SIGKILL after their stopTimeout, so 143, 137 and often 0 are the marks of ECS's own clean-up; any other code
is a process that ended by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from taskmedic.domain.diagnosis.facts import container_definition
from taskmedic.domain.diagnosis.model import DiagnosisContext
from taskmedic.domain.task_record import STOP_TIMES, ContainerRecord, TaskRecord

CLEAN_UP = frozenset({0, 137, 143})
DEFAULT_STOP_TIMEOUT_S = 30
_EXIT_IN_TEXT = re.compile(
    r"\bexit(?:ed)?,?(?: with)?(?: exit)?(?: non-zero)? (?:code|status):? {0,2}(\d{1,10})\b", re.IGNORECASE
)


@dataclass(frozen=True)
class ExitMeaning:
    """What a code stands for, and what to try first. Sources: POSIX sh, signal(7), Docker run reference,
    NTSTATUS.
    """

    meaning: str
    advice: str = ""


MEANINGS: Mapping[int, ExitMeaning] = {
    1: ExitMeaning("It ended with the general error code: an exception nobody caught, or exit 1"),
    2: ExitMeaning(
        "It ended with code 2: mostly a wrong argument or a shell's syntax error",
        "Compare command and entryPoint of the task definition with what the program takes.",
    ),
    125: ExitMeaning("The container runtime itself failed to run the command"),
    126: ExitMeaning(
        "The command was found and could not be executed",
        "Check the file's mode, its interpreter and its CPU architecture.",
    ),
    127: ExitMeaning(
        "The command was not found inside the container",
        "Check command, entryPoint and PATH; a shell script may call a tool that the image does not have.",
    ),
    128: ExitMeaning("It ended with code 128: exit was called with an invalid argument"),
    129: ExitMeaning("It was ended by SIGHUP"),
    130: ExitMeaning("It was ended by SIGINT"),
    131: ExitMeaning("It was ended by SIGQUIT"),
    132: ExitMeaning(
        "It was ended by SIGILL: an instruction that this CPU does not know",
        "Check that the binary is built for the CPU architecture and generation of the task.",
    ),
    134: ExitMeaning(
        "It aborted itself (SIGABRT): a failed assertion, a broken heap, or a runtime's fatal error"
    ),
    135: ExitMeaning(
        "It was ended by SIGBUS: memory that is not there, often /dev/shm or a file that shrank"
    ),
    136: ExitMeaning("It was ended by SIGFPE: an arithmetic error"),
    137: ExitMeaning(
        "It was killed (SIGKILL): by the kernel for memory, or by ECS after it ignored SIGTERM for the "
        "stopTimeout. AWS does "
        "not say that it was memory",
        "Look at the memory of the container before the stop; if it was low, the process ignored SIGTERM.",
    ),
    139: ExitMeaning(
        "It crashed by a segmentation fault (SIGSEGV)",
        "Look for a native library that changed, or does not fit the CPU.",
    ),
    141: ExitMeaning("It was ended by SIGPIPE: it wrote to a pipe nobody read"),
    143: ExitMeaning("It was asked to end (SIGTERM) and did"),
    255: ExitMeaning(
        "It ended with code 255: mostly a wrapper or entry point script that reports a failure of its own"
    ),
    3221225477: ExitMeaning("It crashed by an access violation (0xC0000005)"),
    3221225786: ExitMeaning("It was ended by Ctrl-C or the host's shutdown (0xC000013A)"),
    3221226505: ExitMeaning("It crashed by a buffer overrun or fail-fast (0xC0000409)"),
}


def meaning_of(code: int) -> ExitMeaning:
    """What ``code`` says. Windows codes are taken as unsigned; 129 to 159 are 128 and a signal."""
    unsigned = code & 0xFFFFFFFF if -(2**31) <= code < 0 else code
    known = MEANINGS.get(unsigned)
    if known:
        return known
    if 128 < code < 160:
        return ExitMeaning(f"It was ended by signal {code - 128}")
    return ExitMeaning(f"It ended by itself with code {code}, which has the meaning the application gives it")


def first_to_exit(record: TaskRecord, context: DiagnosisContext) -> ContainerRecord | None:
    """The container that most likely stopped first; None when none has an exit code.

    A container that ended by itself comes before one with the marks of clean-up, an essential one before a
    helper. Killed (137) may be clean-up only when the stop lasted as long as the container's stopTimeout.
    """
    ended = [c for c in record.containers if c.exit_code is not None]
    essential = [c for c in ended if container_definition(context, c).get("essential", True) is not False]
    for group in (essential, ended):
        if group:
            return min(group, key=lambda c: _lateness(c, record, context))
    return None


def exit_in_text(reason: str) -> ContainerRecord | None:
    """A container without a name, whose exit code only the reason gives: ``… exited with code 3``."""
    found = _EXIT_IN_TEXT.search(reason[:1000])
    return ContainerRecord(name="", exit_code=int(found[1])) if found else None


def _lateness(container: ContainerRecord, record: TaskRecord, context: DiagnosisContext) -> int:
    code = container.exit_code
    if code not in CLEAN_UP:
        return 0
    if code == 137 and _stop_lasted(record) < _stop_timeout(container, context):
        return 1  # nobody had the time to send SIGKILL after SIGTERM: it was killed from outside
    if code == 0:
        return 2
    return 3 if code == 137 else 4


def _stop_timeout(container: ContainerRecord, context: DiagnosisContext) -> float:
    """Seconds from ECS's SIGTERM to its SIGKILL."""
    seconds = container_definition(context, container).get("stopTimeout")
    return seconds if isinstance(seconds, int | float) else DEFAULT_STOP_TIMEOUT_S


def _stop_lasted(record: TaskRecord) -> float:
    """Seconds that the stop lasted at the most; infinite when that is not known.

    executionStoppedAt is when the first essential container ended, which is before stoppingAt when that is
    why the task stops. stoppedAt comes after the last container, on Fargate some seconds after.
    """
    times = [at for name in STOP_TIMES if (at := record.time(name))]
    return (max(times) - min(times)).total_seconds() if len(times) > 1 else math.inf
