"""The command line that is sent, run by real shells on a real terminal."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.ssm import shell_words, terminal
from tests.unit.ssm.terminal import Terminal

from taskmedic.domain.command import CommandSpec
from taskmedic.domain.errors import CommandInvalid
from taskmedic.ssm.command import MAX_COMMAND_LINE, UPLOAD_LINE, Invocation, encode_script, prepare

NONCE = "0123456789abcdef" * 2
# One that is not there is a skipped test, which is reported.
SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell.split()[0]), reason=f"no {shell}"))
    for shell in ("dash", "bash", "busybox ash")
]
AWKWARD = "'\"`$\\!#~&|;<>(){}[]*?% \t\n\r"

# Text that a person may put into a script: all of Unicode but NUL and lone surrogates, and much of what a
# shell or AWS's agent gives a meaning to.
texts = st.text(
    st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)


def shown(spec: CommandSpec, *, shell: str = "/bin/sh") -> terminal.Seen:
    return terminal.run(prepare(spec, NONCE), shell=shell)


def changed(invocation: Invocation, *changes: tuple[str, str]) -> Invocation:
    """The same invocation with other pieces of the wrapper."""
    command_line = invocation.command_line
    for piece, other in changes:
        assert piece in command_line
        command_line = command_line.replace(piece, other)
    return replace(invocation, command_line=command_line)


def impatient(spec: CommandSpec) -> Invocation:
    """``spec`` with a second between SIGTERM and SIGKILL instead of KILL_AFTER_S."""
    return changed(prepare(spec, NONCE), ("_n=5;while", "_n=1;while"))


EACH_SECOND = ("-gt 60 ]&&_i=60", "-gt 1 ]&&_i=1")  # a beat each second instead of each minute


def until_up(began: Terminal) -> list[psutil.Process]:
    """The processes of the session once the command says that it has started them."""
    assert any(found == b"up\n" for found in began)
    return [process for process in began.session() if process.pid != began.leader.pid]


def killed(processes: list[psutil.Process]) -> list[str]:
    """The command lines of those that still lived."""
    lived = [" ".join(process.cmdline()) for process in processes if process.is_running()]
    for process in processes:
        process.kill()
    return lived


def showing_the_script(invocation: Invocation) -> Invocation:
    """The same invocation, with a container that prints the script it received instead of running it."""
    run_it = 'exec /bin/sh -c "$_s"'
    assert run_it in invocation.command_line
    return replace(invocation, command_line=invocation.command_line.replace(run_it, 'printf "%s" "$_s"'))


@settings(deadline=None, max_examples=150)
@given(texts)
@example("\\")
@example("\\n\\0101 \\c \\\\")
@example("'")
@example('"$HOME" $$ `id` $(id) ${x} {{x}} \\$ \\\n')
@example("\n\n\nx\n\n\n")
@example("%s%d%%")
@example("é€😀\u2028")
@example("\x01\x02\x03\x04\x1a\x1b\x7f")
@example("~ !! *")
def test_the_container_receives_the_script_as_it_was_given(text: str) -> None:
    spec = CommandSpec(script=f"x{text}")

    seen = terminal.run(showing_the_script(prepare(spec, NONCE)))

    assert seen.output == f"x{text}".encode()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_byte_in_every_position_arrives_in_every_shell(shell: str) -> None:
    script = "".join(f"{first}{second}" for first in AWKWARD for second in AWKWARD)
    script += "".join(map(chr, range(1, 256)))

    seen = terminal.run(showing_the_script(prepare(CommandSpec(script=script), NONCE)), shell=shell)

    assert seen.output == script.encode()


@settings(deadline=None, max_examples=50)
@given(st.lists(texts, max_size=4))
@example(["", "a b", "'", '"', "\\", "$x", "-n", "*", "\n"])
def test_a_program_receives_its_arguments_as_they_were_given(arguments: list[str]) -> None:
    spec = CommandSpec(argv=("printf", "%s|", *arguments))

    assert shown(spec).output == "".join(f"{a}|" for a in arguments or [""]).encode()


@pytest.mark.parametrize(
    "argv",
    [("FOO=bar", "printenv", "FOO"), ("if", "x"), ("while", "x"), ("FOO=bar",), ("it's",), ("!", "false")],
)
def test_the_first_word_is_a_program_whatever_a_shell_would_make_of_it(argv: tuple[str, ...]) -> None:
    seen = shown(CommandSpec(argv=argv))

    assert (seen.status, b"not found" in seen.output) == (127, True)


@given(st.lists(texts, min_size=1, max_size=4))
def test_without_a_shell_the_agent_splits_the_line_into_the_same_words(words: list[str]) -> None:
    words[0] += "x"
    invocation = prepare(CommandSpec(argv=tuple(words), shell=False), NONCE)

    assert shell_words.split(invocation.command_line) == words
    assert invocation.nonce == b""


@pytest.mark.parametrize("shell", SHELLS)
class TestInEveryShell:
    def test_the_exit_status_comes_from_the_end_mark(self, shell: str) -> None:
        seen = shown(CommandSpec(script="echo hi; exit 3"), shell=shell)

        assert (seen.output, seen.status) == (b"hi\n", 3)

    def test_stderr_is_part_of_the_output(self, shell: str) -> None:
        assert shown(CommandSpec(script="echo oh >&2"), shell=shell).output == b"oh\n"

    def test_a_missing_command_has_its_usual_status(self, shell: str) -> None:
        assert shown(CommandSpec(script="/no/such/program 2>/dev/null"), shell=shell).status == 127

    def test_a_command_that_dies_of_a_signal_says_so_by_its_status_alone(self, shell: str) -> None:
        seen = shown(CommandSpec(script="kill -SEGV $$"), shell=shell)

        assert (seen.output, seen.status) == (b"", 139)

    def test_output_needs_no_newline_at_its_end(self, shell: str) -> None:
        assert shown(CommandSpec(script="printf 'no newline'"), shell=shell).output == b"no newline"

    def test_a_command_that_runs_too_long_is_ended(self, shell: str) -> None:
        seen = shown(CommandSpec(script="echo on; sleep 30; echo off", timeout_s=1), shell=shell)

        assert seen.output.startswith(b"on\n")
        assert b"off" not in seen.output
        assert "timeout" in seen.words
        assert seen.took_s < 10

    @pytest.mark.parametrize("name", ["TERM", "INT", "USR1", "USR2"])
    def test_a_command_that_signals_by_name_ends_neither_the_wrapper_nor_the_watchdog(
        self, shell: str, name: str
    ) -> None:
        # As `pkill -USR1 -f gunicorn` does, which finds the word in their arguments.
        script = f"trap '' {name}; kill -{name} 0; echo on; sleep 30"

        seen = shown(CommandSpec(script=script, timeout_s=1), shell=shell)

        assert seen.output == b"on\n"
        assert "timeout" in seen.words
        assert seen.words[-1].isdecimal()

    def test_a_command_that_ends_its_own_group_does_not_end_the_wrapper(self, shell: str) -> None:
        assert shown(CommandSpec(script="kill 0; sleep 5"), shell=shell).status == 128 + 15


STUBBORN = "trap '' TERM; echo stubborn; sleep 30; sleep 30; echo survived"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_cleans_up_after_sigterm_is_given_its_time(shell: str) -> None:
    child = "trap 'sleep 2; echo cleaned; exit' TERM; while :; do sleep 0.1; done"
    script = f"({child}) & trap 'sleep 0.4; exit 9' TERM; while :; do sleep 0.1; done"

    seen = terminal.run(prepare(CommandSpec(script=script, timeout_s=1), NONCE), shell=shell)

    assert seen.output.endswith(b"cleaned\n")
    assert seen.words[-2:] == ["timeout", "9"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_that_ignores_sigterm_is_killed_and_its_end_is_seen(shell: str) -> None:
    seen = terminal.run(impatient(CommandSpec(script=STUBBORN, timeout_s=1)), shell=shell)

    assert seen.output == b"stubborn\n"
    assert seen.words[-2:] == ["timeout", "137"]
    assert seen.took_s < 10


@pytest.mark.parametrize("shell", SHELLS)
def test_without_proc_the_process_group_is_killed_and_the_wrapper_with_it(shell: str) -> None:
    invocation = changed(
        impatient(CommandSpec(script=STUBBORN, timeout_s=1)), ("/proc/", "/nowhere/"), ("z 5&&", "z 1&&")
    )

    seen = terminal.run(invocation, shell=shell)

    assert seen.output == b"stubborn\n"
    assert seen.words[-1] == "timeout"
    assert seen.took_s < 10


# One makes a process group of its own, one ignores a hang-up, one ignores also a polite request.
SPREAD_OUT = (
    "timeout 1007 sleep 1007 & (trap '' HUP; exec sleep 1009) & (trap '' HUP TERM; exec sleep 1011) &"
    "echo up; wait; sleep 1013"
)


@pytest.mark.parametrize("shell", SHELLS)
class TestNothingOfTheSessionIsLeft:
    def test_when_the_time_is_over(self, shell: str) -> None:
        began = Terminal(impatient(CommandSpec(script=SPREAD_OUT, timeout_s=1)), shell=shell)
        started = until_up(began)

        _, left = psutil.wait_procs(started, timeout=15)
        assert not killed(left)
        began.terminate()

    @pytest.mark.parametrize("beats", [(), (EACH_SECOND,)], ids=["once", "after a beat"])
    def test_when_the_time_is_over_and_nobody_reads(
        self, shell: str, beats: tuple[tuple[str, str], ...]
    ) -> None:
        # The client is gone, the terminal is full, and whoever writes to it waits for ever.
        invocation = impatient(CommandSpec(script="echo up; sleep 0.3; yes", timeout_s=3))
        began = Terminal(changed(invocation, *beats), shell=shell)
        started = until_up(began)

        _, left = psutil.wait_procs(started, timeout=15)
        assert not killed(left)
        began.terminate()

    def test_when_the_session_is_ended_from_outside(self, shell: str) -> None:
        began = Terminal(impatient(CommandSpec(script=SPREAD_OUT, timeout_s=1000)), shell=shell)
        started = until_up(began)

        began.terminate()

        _, left = psutil.wait_procs(started, timeout=15)
        assert not killed(left)

    def test_when_the_end_of_the_terminal_shows_only_at_the_next_sign_of_life(self, shell: str) -> None:
        invocation = impatient(CommandSpec(script=SPREAD_OUT, timeout_s=1000))
        began = Terminal(changed(invocation, EACH_SECOND), shell=shell, controlling=False)
        started = until_up(began)

        began.terminate()

        _, left = psutil.wait_procs(started, timeout=15)
        assert not killed(left)


def test_what_makes_a_session_of_its_own_goes_on() -> None:
    script = "setsid sleep 1015 & echo $!; wait"
    began = Terminal(impatient(CommandSpec(script=script, timeout_s=1)))
    pid = next(int(found) for found in began if isinstance(found, bytes))
    left_its_session = psutil.Process(pid)

    psutil.wait_procs([process for process in began.session() if process.pid != began.leader.pid], timeout=15)

    assert killed([left_its_session])
    began.terminate()


def test_a_background_child_that_keeps_the_terminal_does_not_hold_up_the_end() -> None:
    # The reader here waits for the child, which holds the terminal; the agent ends with the leader.
    seen = shown(CommandSpec(script="sleep 1 & echo started"))

    assert seen.output == b"started\n"
    assert seen.status == 0


def test_the_command_can_read_nothing_from_the_terminal() -> None:
    assert shown(CommandSpec(script="cat; read -r x; echo $?")).output == b"1\n"


def test_programs_see_a_plain_wide_terminal_and_no_pager() -> None:
    seen = shown(CommandSpec(script='echo "$TERM $PAGER"; stty size <&1'))

    assert seen.output == b"dumb cat\n100 300\n"


def test_the_containers_environment_reaches_the_command_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*"abdeiklmnqrstwz"]
    for name in names:
        monkeypatch.setenv(name, f"<{name}>")

    seen = shown(CommandSpec(script="echo " + "".join(f"${name}" for name in names)))

    assert seen.output.decode() == "".join(f"<{name}>" for name in names) + "\n"


def test_a_silent_command_shows_signs_of_life() -> None:
    seen = terminal.run(changed(prepare(CommandSpec(script="sleep 2.5"), NONCE), EACH_SECOND))

    assert seen.words[:3] == ["start", "beat", "beat"]
    assert seen.status == 0


def test_the_wrapper_waits_at_its_end_until_it_is_let_go() -> None:
    invocation = prepare(CommandSpec(script="echo hi"), NONCE)
    patient = invocation.command_line.replace("z 30&&", "z 1&&")  # for a second instead of LINGER_S
    assert patient != invocation.command_line

    seen = terminal.run(replace(invocation, command_line=patient), says_goodbye=False)

    assert seen.status == 0
    assert 0.9 < seen.took_s < 10


LONG = "echo first\n" + "# ' \" \\ $x `y` {} é\n" * 1000 + "echo last; exit 7\n"


def test_a_long_script_goes_over_the_terminal_in_lines() -> None:
    invocation = prepare(CommandSpec(script=LONG), NONCE)

    assert len(invocation.command_line) < MAX_COMMAND_LINE
    assert len(invocation.upload) > 10
    assert all(len(line) <= UPLOAD_LINE + 1 and line.endswith(b"\n") for line in invocation.upload)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_long_script_arrives_whole(shell: str) -> None:
    invocation = prepare(CommandSpec(script=LONG), NONCE)

    shows = terminal.run(showing_the_script(invocation), shell=shell)
    runs = terminal.run(invocation, shell=shell)

    assert shows.output == LONG.encode()
    assert runs.before_start == b""  # no echo of it
    assert runs.output == b"first\nlast\n"
    assert runs.status == 7


def test_a_long_script_with_a_missing_line_is_not_run() -> None:
    invocation = prepare(CommandSpec(script=LONG), NONCE)
    lines = list(invocation.upload)
    lines[3] = b"\n"

    seen = terminal.run(replace(invocation, upload=tuple(lines)))

    assert seen.words == ["ready", "bad"]


def test_a_shell_whose_printf_fails_runs_nothing() -> None:
    invocation = prepare(CommandSpec(script="echo ran"), NONCE)
    broken = '/bin/sh -c \'printf(){ case $1 in %b.) return 1;;esac;command printf "$@";};'
    command_line = invocation.command_line.replace("/bin/sh -c '", broken, 1)

    seen = terminal.run(replace(invocation, command_line=command_line))

    assert seen.words == ["bad"]


def test_the_longest_script_that_is_allowed_arrives() -> None:
    script = "exit 5\n" + "#" * 127_990

    assert terminal.run(prepare(CommandSpec(script=script), NONCE)).status == 5


def test_no_quote_of_the_wrapper_is_lost_on_its_way_into_the_command_line() -> None:
    line = prepare(CommandSpec(script="date"), NONCE).command_line

    assert 'e(){ trap "" HUP ALRM;if [ $_o ];then k TERM;' in line
    assert '(trap "" TERM PIPE INT USR1 USR2;' in line


def test_the_command_line_gives_the_agent_nothing_to_replace() -> None:
    script = "echo {{x}} $$ '$$' {{ y }}"
    line = prepare(CommandSpec(script=script), NONCE).command_line

    assert "{{" not in line
    assert "$$" not in line
    assert line.count("'") == 2
    assert NONCE not in line


def test_an_encoded_script_holds_nothing_that_a_shell_would_read() -> None:
    encoded = encode_script("".join(map(chr, range(1, 0x250))))

    assert not re.search(r"""['"`${}]""", encoded)
    assert encoded.isascii()
    assert encoded.isprintable()


def test_without_a_shell_a_line_that_is_too_long_is_refused() -> None:
    spec = CommandSpec(argv=("program", "x" * MAX_COMMAND_LINE), shell=False)

    with pytest.raises(CommandInvalid, match="more than 4000 bytes"):
        prepare(spec, NONCE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a  b\tc\nd", ["a", "b", "c", "d"]),
        ("'a b' c", ["a b", "c"]),
        (r'"a\nb"', ["anb"]),
        (r"a\ b", ["a b"]),
        ("a # b\nc", ["a", "c"]),
        ("a#b", ["a#b"]),
        ("'$x;|>'", ["$x;|>"]),
        ("# only", []),
    ],
)
def test_the_stand_in_for_the_agents_splitter_follows_its_rules(line: str, words: list[str]) -> None:
    assert shell_words.split(line) == words


@pytest.mark.parametrize("line", ["'open", '"open', "end\\"])
def test_the_stand_in_refuses_what_the_agent_refuses(line: str) -> None:
    with pytest.raises(ValueError, match="EOF"):
        shell_words.split(line)
