"""What is sent to run one command unattended, and how its end is read back.

AWS's agent gives no exit status, splits the command line itself (google/shlex: no variables, no pipes), and
connects the program to a terminal. So the command line is always ``/bin/sh -c`` and one quoted word, and that
word is a small script of ours, the wrapper, which prints *marks* around the command's output:

    ready     it waits for the lines of a long script
    start     it has the script and runs it; output follows
    beat      still running; sent every BEAT_S seconds, so that a dead session is told from a silent command,
              and so that ECS does not end the session after its 20 idle minutes
    timeout   the command ran too long and is being killed
    bad       the script did not arrive whole; nothing was run
    <number>  the exit status; the end

A mark is ``<nonce>:<word>:\\n``, with one newline only, because some shells write each line on its own, and
the command's output would come between. The nonce is made for this one run, and the wrapper holds it in two
halves, so that no echo of the command line can be taken for a mark.

The script travels as the text of ``printf %b``: that is a builtin of every common shell, where ``base64`` is
one more program that an image may lack, and the command stays readable in CloudTrail. A script that would
make the command line longer than MAX_COMMAND_LINE goes over the terminal after ``ready``, in lines.

**Assumed**: the length that ``ecs:ExecuteCommand`` takes, which is not documented.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from typing import Final

from taskmedic.domain.command import CommandSpec
from taskmedic.domain.errors import CommandInvalid

MAX_COMMAND_LINE: Final = 4_000
"""Bytes of ``command`` in one call of ecs:ExecuteCommand. Assumed: 125 kB worked with the agent alone."""
UPLOAD_LINE: Final = 1_000
"""Bytes of a script in one line of input; a terminal cuts lines at 4,095, a frame takes 1,024."""
BEAT_S: Final = 60
KILL_AFTER_S: Final = 5
"""Between SIGTERM and SIGKILL when the time is over."""
LINGER_S: Final = 30
"""How long the wrapper waits at its end for a client that still misses output."""

_NONCE: Final = re.compile("[0-9a-f]{32}")
_MARK_WORD: Final = re.compile(rb":([a-z0-9]{1,8}):\n")
_LONGEST_MARK_END: Final = len(":12345678:\n")

# Named pieces, because the order matters and the reasons differ. No single quote may occur: the whole becomes
# one word in single quotes. No "{{" and no "$$": the agent's document would replace them. Variables begin
# with "_": one that the container's environment has too would reach the command with our value.
_MARK = r'_a={first};_b={second};m(){{ printf "%s%s:%s:\n" $_a $_b $1;}};'
# Without echo an uploaded script does not come back; without a size, programs take the terminal as 0 x 0.
_TERMINAL = "stty -echo cols 300 rows 100 2>/dev/null;"
# Nobody is there to leave a pager, and colours are noise in a report.
_ENVIRONMENT = "export TERM=dumb PAGER=cat;"
_INLINE = '_s=$(printf "%b." "{script}");'
_UPLOAD = (
    "m ready;_s=;_n={lines};"
    "while [ $_n -gt 0 ]&&IFS= read -r _l;do _s=$_s$_l;_n=$((_n-1));done;"
    '[ ${{#_s}} -eq {length} ]||{{ m bad;exit 1;}};_s=$(printf "%b." "$_s");'
)
# The full stop keeps newlines at the script's end, which $() would take away; without it, printf failed: it
# is no builtin of some shells, and a program takes no long argument. From here on the wrapper's own stderr is
# closed, so that its shell says nothing about a command that died of a signal.
_START = "case $_s in *.);;*)m bad;exit 1;;esac;_s=${_s%.};m start;exec 3>&2 2>/dev/null;"
# Sends signal $1 to every process of our session but its leader, the wrapper, and the watchdog; is there any?
# All that the command started is in it, in whatever process group, unless it made a session of its own.
_SESSION = (
    "k(){{ _f=1;for _i in /proc/[0-9]*/stat;do read -r _l<$_i||continue;"
    "_p=${{_l%% *}};set -- $1 ${{_l##*) }};"
    'case "$2 $5" in [ZX]*);;*" $_o")[ $_p = $_o ]||[ $_p = $_w ]||{{ kill -$1 $_p&&_f=0;}};;esac;done;'
    "return $_f;}};"
)
# The end of all that the command started: SIGTERM, then SIGKILL. Where /proc is not there, or is another's,
# to the process group, and with it to the wrapper itself. The last wait is for what has been killed by then.
_END = (
    'e(){{ trap "" HUP ALRM;if [ $_o ];then k TERM;_n={kill_after};'
    "while [ $_n -gt 0 ]&&k 0;do z 1||break;_n=$((_n-1));done;k KILL&&k KILL;wait;"
    "else kill -TERM 0;z {kill_after}&&kill -9 0;fi;exit;}};"
)
# The watchdog ends the command when its time is over, and when the session is: SIGHUP tells that the terminal
# was hung up, or a beat that cannot be written. Marks are written by processes that it does not wait for: a
# terminal that nobody reads is full, and holds up for ever who writes to it. ``e`` takes the one that writes
# "timeout" for a process of the session, and so kills nothing before it is done, or KILL_AFTER_S are over.
# The wrapper and the watchdog outlive the signals of a command that looks for its target by name
# (``pkill -USR1 -f gunicorn``): it stands in their arguments, too. SIGALRM ends the watchdog, and the sleep
# that it waits for with it: in a container without an init, nobody else would reap it.
_WATCHDOG = (
    "trap : TERM INT USR1 USR2;q(){{ kill -9 $!;wait $!;exit;}};z(){{ sleep $1& wait $!;}};"
    + _SESSION
    + _END
    + "command -v sleep >/dev/null&&m beat;"
    '(trap "" TERM PIPE INT USR1 USR2;_o=${{$}};_l=;read -r _l</proc/self/stat;'
    "_w=${{_l%% *}};set -- ${{_l##*) }};"
    "[ $_o = $4 ]||{{ _o=;_w=0;}};trap e HUP;trap q ALRM;_n={seconds};"
    "while [ $_n -gt 0 ];do _i=$_n;[ $_i -gt {beat} ]&&_i={beat};"
    "z $_i||exit;_n=$((_n-_i));[ $_n -gt 0 ]&&{{ m beat||kill -HUP $_w;}}& done;"
    "m timeout& e)& _d=$!;"
)
# In the foreground, where SIGINT is not ignored; not with the terminal as input: nobody would answer.
_RUN = '(exec /bin/sh -c "$_s" </dev/null 2>&3 3>&-);_r=$?;kill -ALRM $_d;wait $_d;m $_r;'
# Waits for a line of input, GOODBYE, but not for ever: when the session's leader exits, the agent gives its
# last frames two seconds to be acknowledged and then drops them.
_LEAVE = "(trap q ALRM;z {linger}&&kill -9 0)& _d=$!;read -r _l;kill -ALRM $_d;wait $_d"
GOODBYE: Final = b"\n"
"""Input that lets the wrapper go, once its end mark and all before it have arrived."""


@dataclass(frozen=True)
class Invocation:
    """How one run of a command is asked for."""

    command_line: str
    """For ``ecs:ExecuteCommand``."""
    nonce: bytes
    """Starts every mark. Empty without a shell: then there are no marks."""
    upload: tuple[bytes, ...] = ()
    """Lines of input to send once the wrapper is ready for them."""


def prepare(spec: CommandSpec, nonce: str, max_command_line: int = MAX_COMMAND_LINE) -> Invocation:
    """The invocation of ``spec``; ``nonce`` is 32 random hexadecimal digits, never used before.

    A script that would make the command line longer than ``max_command_line`` bytes is put into ``upload``.

    Raises:
        CommandInvalid: Without a shell, the program and its arguments are longer than MAX_COMMAND_LINE.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is 32 hexadecimal digits")
    if not spec.shell:
        return _without_shell(spec)
    script = encode_script(spec.text)
    inline = _command_line(spec, nonce, _INLINE.format(script=script))
    if len(inline) <= max_command_line:
        return Invocation(inline, nonce.encode())
    lines = [script[i : i + UPLOAD_LINE] for i in range(0, len(script), UPLOAD_LINE)]
    upload = _UPLOAD.format(lines=len(lines), length=len(script))
    return Invocation(
        _command_line(spec, nonce, upload), nonce.encode(), tuple(line.encode() + b"\n" for line in lines)
    )


def _without_shell(spec: CommandSpec) -> Invocation:
    command_line = shlex.join(spec.argv)
    if len(command_line.encode()) > MAX_COMMAND_LINE:
        raise CommandInvalid(
            f"the program and its arguments have more than {MAX_COMMAND_LINE} bytes",
            where="argv",
            remedy="Shorten them; only with a shell can a command be longer.",
        )
    return Invocation(command_line, b"")


def _command_line(spec: CommandSpec, nonce: str, get_script: str) -> str:
    wrapper = (
        _MARK.format(first=nonce[:16], second=nonce[16:])
        + _TERMINAL
        + _ENVIRONMENT
        + get_script
        + _START
        + _WATCHDOG.format(seconds=math.ceil(spec.timeout_s), beat=BEAT_S, kill_after=KILL_AFTER_S)
        + _RUN
        + _LEAVE.format(linger=LINGER_S)
    )
    return f"/bin/sh -c '{wrapper}'"


_ENCODED: Final = {
    **{code: f"\\0{code:03o}" for code in (*range(32), *range(127, 256), *b"\\'\"$`{}")},
    ord("\n"): "\\n",
    ord("\t"): "\\t",
}


def encode_script(script: str) -> str:
    """``script`` as printable ASCII from which ``printf %b`` makes the same bytes.

    The result holds no quote, no ``$``, no backquote and no brace, so it stands unharmed in double quotes
    inside single quotes, and gives the agent nothing to replace.
    """
    return script.encode().decode("latin-1").translate(_ENCODED)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the wrapper, at its place between pieces of output."""

    word: str


class LineEnds:
    """Undoes what a terminal does to line ends: ``\\n`` became ``\\r\\n``."""

    def __init__(self) -> None:
        self._held = b""  # a carriage return, which belongs to the newline that may come next

    def feed(self, data: bytes) -> bytes:
        """What was written, as far as it is certain."""
        data = self._held + data
        cut = len(data) - 1 if data.endswith(b"\r") else len(data)
        self._held = data[cut:]
        return data[:cut].replace(b"\r\n", b"\n")

    def rest(self) -> bytes:
        """What was held back, when nothing will follow."""
        held, self._held = self._held, b""
        return held


class MarkReader:
    """Tells a command's output from the wrapper's marks, in a stream that is cut anywhere.

    Takes the marks out, so that what remains is what the command wrote.
    """

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce
        self._line_ends = LineEnds()
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Mark]:
        """Output and marks, in order. The end is held back while it may be the beginning of a mark."""
        text = self._held + self._line_ends.feed(data)
        found: list[bytes | Mark] = []
        at = 0
        while (start := text.find(self._nonce, at)) >= 0:
            mark = _MARK_WORD.match(text, start + len(self._nonce))
            if mark:
                _append(found, text[at:start])
                found.append(Mark(mark.group(1).decode()))
                at = mark.end()
            elif len(text) - start < len(self._nonce) + _LONGEST_MARK_END:
                break
            else:  # the nonce, but no mark
                _append(found, text[at : start + 1])
                at = start + 1
        keep = start if start >= 0 else self._beginning_of_mark(text, at)
        _append(found, text[at:keep])
        self._held = text[keep:]
        return found

    def rest(self) -> bytes:
        """What was held back, when nothing will follow."""
        held, self._held = self._held + self._line_ends.rest(), b""
        return held

    def _beginning_of_mark(self, text: bytes, at: int) -> int:
        """Where the end of ``text`` may be the beginning of a nonce, or its length."""
        begin = max(at, len(text) - len(self._nonce) + 1)
        while (begin := text.find(self._nonce[:1], begin)) >= 0:
            if self._nonce.startswith(text[begin:]):
                return begin
            begin += 1
        return len(text)


def _append(found: list[bytes | Mark], output: bytes) -> None:
    if output:
        found.append(output)
