"""One command, from the call to its outcome, over the scripted agent."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from tests.unit.ssm.scripted_agent import Behaviour, Collected, ScriptedAgent, a_command, run

from taskmedic.domain.command import (
    CommandResult,
    CommandSpec,
    DataKey,
    Outcome,
    StreamSession,
    why_left_open,
)
from taskmedic.domain.errors import (
    AccessDenied,
    AwsRefused,
    CommandInvalid,
    CommandMayHaveRun,
    TaskmedicError,
)
from taskmedic.ssm import frames
from taskmedic.ssm.client import run_command
from taskmedic.ssm.frames import PayloadType
from taskmedic.ssm.run import Limits
from taskmedic.ssm.transport import ConnectionBroken

SESSION = "ecs-execute-command-0123456789abcdefg"


class TestACommandThatEnds:
    async def test_gives_its_status_and_its_output(self) -> None:
        agent, sink = ScriptedAgent(Behaviour(output=b"one\ntwo\r\n\tthree", status=3)), Collected()

        result = await run(agent, sink=sink)

        assert result.outcome is Outcome.EXITED
        assert result.exit_code == 3
        assert result.reason == "The command ended with status 3."
        assert sink.whole == result.head == b"one\ntwo\r\n\tthree"
        assert (result.tail, result.total_bytes, result.truncated) == (b"", 15, False)

    async def test_with_status_0_needs_no_reason(self) -> None:
        result = await run(ScriptedAgent())

        assert (result.outcome, result.exit_code, result.reason, result.remedy) == (Outcome.EXITED, 0, "", "")
        assert result.succeeded

    async def test_needs_no_handshake(self) -> None:
        # A cluster without a KMS key: the first frame is output, and nobody waits for anything else.
        agent = ScriptedAgent()

        await run(agent)

        assert agent.handshake_response is None

    async def test_is_ended_by_itself_and_its_wrapper_let_go(self) -> None:
        agent = ScriptedAgent()

        await run(agent)
        while not agent.closed:
            agent.world.advance(60)

        assert agent.terminated == []
        assert agent.input == b"\n"
        assert agent.world.now < 10  # and not after LINGER_S

    async def test_is_known_as_soon_as_its_end_mark_is_there(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x" * 1000))

        result = await run(agent)

        # 0.1 s to start, 1 s that the agent sleeps, a round trip of 10 ms for the goodbye.
        assert result.duration_s == pytest.approx(1.12, abs=0.02)

    async def test_may_write_nothing_for_minutes(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"", takes_s=600, beats=True))

        result = await run(agent, a_command(timeout_s=900))

        assert result.succeeded
        assert result.duration_s > 600

    async def test_may_write_much_more_than_is_kept(self) -> None:
        output = b"".join(b"%07d\n" % n for n in range(20_000))
        agent, sink = ScriptedAgent(Behaviour(output=output)), Collected()

        result = await run(agent, sink=sink, limits=Limits(head_bytes=80, tail_bytes=40))

        assert sink.whole == output
        assert (result.head, result.tail) == (output[:80], output[-40:])
        assert result.total_bytes == 160_000
        assert len(set(agent.acknowledgements)) == agent.acknowledgements[-1] + 1  # every one of them

    async def test_may_write_characters_that_are_split_over_frames(self) -> None:
        text = "Ünïcödé €uro 😀 " * 50
        agent, sink = ScriptedAgent(Behaviour(output=text.encode(), chunk=7)), Collected()

        result = await run(agent, sink=sink)

        assert sink.whole.decode() == result.output == text

    async def test_is_not_judged_by_what_the_terminal_said_before_it_started(self) -> None:
        agent, sink = (
            ScriptedAgent(Behaviour(output=b"mine\n", before_start=b"welcome\r\n:0:\r\n")),
            Collected(),
        )

        assert (await run(agent, sink=sink)).head == sink.whole == b"mine\n"

    async def test_may_be_a_long_script_sent_in_lines(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"done\n"))

        result = await run(agent, a_command("# a line\n" * 5000 + "echo done"))

        assert result.succeeded
        assert agent.input.count(b"\n") > 50
        assert len(agent.command_lines) == 1

    async def test_is_heard_to_its_end_although_the_clock_says_it_is_late(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x", takes_s=64))

        assert (await run(agent, a_command(timeout_s=60))).succeeded


class TestACommandThatDoesNotStart:
    @pytest.mark.parametrize(
        ("message", "remedy", "may_have_run"),
        [
            (
                "\n-----ERROR------\nUnable to start command: fork/exec /bin/sh: no such file or directory",
                "shell: false",
                False,
            ),
            ("Plugin with name InteractiveCommands not found. Step name: InteractiveCommands", "disk", False),
            ("Setting up data channel with id x failed: y", "ssmmessages", False),
            ("Something new", "It is not known whether the command ran.", True),
        ],
    )
    async def test_has_the_agents_words_and_a_remedy(
        self, message: str, remedy: str, may_have_run: bool
    ) -> None:
        agent = ScriptedAgent(Behaviour(starts=False, close_message=message))

        result = await run(agent)

        assert result.outcome is Outcome.COULD_NOT_START
        assert message.rsplit(maxsplit=1)[-1] in result.reason
        assert "\n" not in result.reason
        assert remedy in result.remedy
        assert result.may_have_run is may_have_run
        assert agent.terminated == []  # it is over

    async def test_because_the_agent_is_silent_is_ended_after_a_while(self) -> None:
        agent = ScriptedAgent(Behaviour(starts=False, close_message=None))

        result = await run(agent)

        assert result.outcome is Outcome.COULD_NOT_START
        assert "sent nothing within 45 s" in result.reason
        assert result.duration_s == pytest.approx(45)
        assert result.may_have_run
        assert agent.terminated == [SESSION]

    async def test_because_its_long_script_was_damaged_did_not_run(self) -> None:
        agent = ScriptedAgent(Behaviour(marks=((0.0, "bad"),), before_start=b"x"))
        agent._program = lambda: agent._mark("bad")  # type: ignore[method-assign]

        result = await run(agent, a_command("# a line\n" * 1000 + "echo"))

        assert result.outcome is Outcome.COULD_NOT_START
        assert "did not arrive whole" in result.reason
        assert not result.may_have_run

    async def test_because_the_session_ends_at_once_says_that_it_may_have_run(self) -> None:
        result = await run(ScriptedAgent(Behaviour(starts=False, close_message="")))

        assert result.outcome is Outcome.COULD_NOT_START
        assert result.may_have_run

    async def test_shows_what_its_shell_said(self) -> None:
        behaviour = Behaviour(before_start=b"sh: syntax error\r\n", status=None)
        agent = ScriptedAgent(behaviour)
        agent._program = agent._end  # type: ignore[method-assign]

        result = await run(agent)

        assert result.outcome is Outcome.COULD_NOT_START
        assert result.head == b"sh: syntax error\n"

    async def test_is_refused_before_anything_is_sent(self) -> None:
        agent = ScriptedAgent()

        with pytest.raises(CommandInvalid):
            await run(agent, a_command("echo {{ssm:secret}}"))

        assert agent.command_lines == []


class TestAContainerThatCannotBeReached:
    @pytest.mark.parametrize(
        ("error", "may_have_run"),
        [
            (AccessDenied("no", why="because", remedy="Allow it."), False),
            (CommandMayHaveRun("no answer"), True),
        ],
    )
    async def test_because_no_session_is_opened(self, error: TaskmedicError, may_have_run: bool) -> None:
        agent = ScriptedAgent()

        async def refuse(command_line: str) -> StreamSession:
            raise error

        agent.open_session = refuse  # type: ignore[method-assign]
        result = await run(agent)

        assert result.outcome is Outcome.NOT_REACHABLE
        assert error.what in result.reason
        assert result.remedy == error.remedy
        assert result.may_have_run is may_have_run
        assert bool(result.left_open) is may_have_run
        assert agent.terminated == []

    async def test_because_its_data_channel_is_not_there_ends_the_session(self) -> None:
        agent = ScriptedAgent()
        agent.connect_error = "no route"

        result = await run(agent)

        assert result.outcome is Outcome.NOT_REACHABLE
        assert "no route" in result.reason
        assert result.may_have_run  # the agent does not wait for us
        assert agent.terminated == [SESSION]

    async def test_because_the_gateway_hangs_up_at_once(self) -> None:
        agent = ScriptedAgent(Behaviour(starts=False, close_message=None))
        agent.world.later(0.5, agent.cut)

        result = await run(agent)

        assert result.outcome is Outcome.NOT_REACHABLE
        assert agent.terminated == [SESSION]


class TestACommandThatRunsTooLong:
    async def test_is_ended_inside_the_container_first(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"partly", takes_s=61, marks=((60, "timeout"),), status=143))

        result = await run(agent)

        assert result.outcome is Outcome.TIMED_OUT
        assert result.exit_code is None
        assert "60 s and was ended in the container" in result.reason
        assert result.head == b"partly"
        assert agent.terminated == []

    async def test_and_is_killed_with_its_wrapper(self) -> None:
        agent = ScriptedAgent(Behaviour(takes_s=65, marks=((60, "timeout"),), status=None))

        result = await run(agent)

        assert result.outcome is Outcome.TIMED_OUT
        assert "in the container" in result.reason

        assert "What it started may still run" in result.remedy

    async def test_is_ended_from_outside_when_there_is_no_watchdog(self) -> None:
        agent = ScriptedAgent(Behaviour(takes_s=10_000))

        result = await run(agent)

        assert result.outcome is Outcome.TIMED_OUT
        assert result.reason == "The command ran longer than 60 s, and its end was not seen."
        assert "may still run" in result.remedy
        assert result.duration_s == pytest.approx(1.1 + 60 + 5 + 10, abs=0.1)
        assert agent.terminated == [SESSION]

    async def test_and_its_watchdog_said_so_but_its_end_is_not_seen_is_not_said_to_be_ended(self) -> None:
        agent = ScriptedAgent(Behaviour(marks=((0, "beat"), (60, "timeout")), takes_s=10_000))

        result = await run(agent)

        assert result.outcome is Outcome.TIMED_OUT
        assert "its end was not seen" in result.reason
        assert agent.terminated == [SESSION]

    async def test_and_still_writes_although_its_watchdog_is_gone_has_timed_out(self) -> None:
        agent = ScriptedAgent(Behaviour(marks=((0, "beat"), (70, "late")), takes_s=10_000))

        assert (await run(agent)).outcome is Outcome.TIMED_OUT

    @pytest.mark.parametrize("timeout_s", [5, 60, 160])
    async def test_because_its_task_stopped_is_lost_and_not_said_to_be_ended(self, timeout_s: int) -> None:
        # Nobody tells a client: the signs of life end, and with them what the watchdog would say.
        agent = ScriptedAgent(Behaviour(output=b"begun", marks=((0, "beat"),), takes_s=10_000))

        result = await run(agent, a_command(timeout_s=timeout_s))

        assert result.outcome is Outcome.CONNECTION_LOST
        assert f"for {timeout_s + 15} s" in result.reason
        assert "may have gone on" in result.remedy
        assert "ended" not in result.reason
        assert result.head == b"begun"
        assert agent.terminated == [SESSION]

    async def test_in_silence_is_ended_by_ecs(self) -> None:
        message = "Your session timed out due to inactivity and has been terminated."
        agent = ScriptedAgent(Behaviour(takes_s=1200, status=None, close_message=message))

        result = await run(agent, a_command(timeout_s=3600))

        assert result.outcome is Outcome.TIMED_OUT
        assert message in result.reason
        assert "may still be running" in result.remedy

    async def test_and_floods_us_is_ended_on_time_all_the_same(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"y\n" * 40_000, chunk=8, takes_s=10_000))

        assert (await run(agent, a_command(timeout_s=5))).outcome is Outcome.TIMED_OUT


class TestAnEndThatIsNotSeen:
    async def test_because_the_wrapper_was_killed(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"half", status=None))

        result = await run(agent)

        assert result.outcome is Outcome.OUTPUT_INCOMPLETE
        assert result.exit_code is None
        assert result.head == b"half"
        assert result.may_have_run

    async def test_because_a_frame_never_came_is_no_success(self) -> None:
        # The end mark arrived, early, but what was before it did not.
        agent, sink = (
            ScriptedAgent(Behaviour(output=b"x" * 5000, lost_for_ever=frozenset({3}), close_message="")),
            Collected(),
        )
        agent.world.later(8, agent._leader_exits)

        result = await run(agent, sink=sink)

        assert result.outcome is Outcome.OUTPUT_INCOMPLETE
        assert "part of the output never arrived" in result.reason
        assert sink.whole == b"x" * 2048

    async def test_because_it_wrote_too_much_ends_the_command(self) -> None:
        agent, sink = ScriptedAgent(Behaviour(output=b"y\n" * 50_000)), Collected()

        result = await run(agent, a_command(max_output_bytes=10_000), sink=sink)

        assert result.outcome is Outcome.OUTPUT_INCOMPLETE
        assert "more than 10000 bytes" in result.reason
        assert "max_output_bytes" not in result.remedy  # no field and no flag sets it
        assert 10_000 < len(sink.whole) < 12_000
        assert agent.terminated == [SESSION]


class TestAConnectionThatBreaks:
    async def test_is_taken_up_again_where_it_was(self) -> None:
        output = bytes(range(32, 127)) * 100
        agent, sink = ScriptedAgent(Behaviour(output=output, cut_after=4), resumable=True), Collected()

        result = await run(agent, sink=sink)

        assert result.succeeded
        assert sink.whole == output
        assert agent.resumed == [SESSION]
        assert [hello["TokenValue"] for hello in agent.hellos] == ["token-1", "token-2"]
        assert len({hello["ClientId"] for hello in agent.hellos}) == 1
        assert len({hello["RequestId"] for hello in agent.hellos}) == 2
        assert len(agent.command_lines) == 1

    async def test_while_a_long_script_was_sent_loses_nothing_of_it(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"ran\n", cut_after=1), resumable=True)

        result = await run(agent, a_command("# a line\n" * 3000 + "echo ran"))

        assert result.succeeded
        assert len(agent.connections) == 2

    async def test_and_cannot_be_resumed_is_lost(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x" * 5000, takes_s=5))
        agent.world.later(3, agent.cut)

        result = await run(agent)

        assert result.outcome is Outcome.CONNECTION_LOST
        assert "cut; the session is over" in result.reason
        assert result.may_have_run
        assert len(agent.command_lines) == 1
        assert agent.terminated == [SESSION]

    async def test_after_the_end_had_arrived_has_ended_all_the_same(self) -> None:
        # Sending an acknowledgement fails first, while frames that came before are still to be read.
        agent = ScriptedAgent(Behaviour(output=b"x" * 5000, status=3))

        async def connect(url: str, timeout_s: float) -> Any:
            connection = await agent.connect(url, timeout_s)
            really_send, sent = connection.send, 0

            async def send(messages: Any) -> None:
                nonlocal sent
                sent += 1
                if sent > 2:  # the token, and the acknowledgement of the first frames
                    while agent.world.advance(agent.world.now + 0.5) and not agent.closed:
                        pass
                    raise ConnectionBroken("cut")
                await really_send(messages)

            connection.send = send  # type: ignore[method-assign]
            return connection

        result = await run(agent, connect=connect)

        assert (result.outcome, result.exit_code, result.total_bytes) == (Outcome.EXITED, 3, 5000)
        assert agent.terminated == [SESSION]  # the wrapper could not be let go

    async def test_and_may_not_be_resumed_says_why(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x" * 5000, cut_after=4))

        async def refuse(session_id: str) -> str | None:
            raise AccessDenied("cannot resume the session", why="ssm:ResumeSession is not allowed")

        agent.resume = refuse  # type: ignore[method-assign]
        result = await run(agent)

        assert "ssm:ResumeSession is not allowed" in result.reason

    async def test_twice_is_lost(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x" * 9000, cut_after=4, takes_s=30), resumable=True)
        agent.world.later(5, agent.cut)

        result = await run(agent)

        assert result.outcome is Outcome.CONNECTION_LOST
        assert len(agent.resumed) == 1

    async def test_into_silence_is_noticed_by_the_missing_signs_of_life(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x", marks=((0, "beat"), (60, "beat")), takes_s=10_000))

        result = await run(agent, a_command(timeout_s=3600))

        assert result.outcome is Outcome.CONNECTION_LOST
        assert "No sign of life from the container for 180 s" in result.reason
        assert result.duration_s == pytest.approx(1.1 + 60 + 180, abs=0.1)
        assert agent.terminated == [SESSION]


class TestASessionThatIsEnded:
    async def test_when_the_call_is_cancelled(self) -> None:
        agent = ScriptedAgent(Behaviour(takes_s=1e9))
        task = asyncio.ensure_future(run(agent, a_command(timeout_s=1000)))
        agent.world.later(10, task.cancel)

        with pytest.raises(asyncio.CancelledError):
            await task

        assert agent.terminated == [SESSION]
        assert agent.connections[0].closed_by_client

    async def test_in_vain_when_the_call_is_cancelled_says_so(self) -> None:
        async def refuse(session_id: str) -> None:
            raise AwsRefused("cannot end the session", why="down")

        agent = ScriptedAgent(Behaviour(marks=((0, "beat"), (20, "beat")), takes_s=1e9))
        task = asyncio.ensure_future(run(agent, a_command(timeout_s=1000), terminate=refuse))
        agent.world.later(10, task.cancel)

        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task

        assert why_left_open(cancelled.value) == (
            "Its session could not be ended: cannot end the session: down."
        )

    @pytest.mark.parametrize(
        ("cancelled_again", "known"), [(False, "no answer from"), (True, "not waited for")]
    )
    async def test_when_a_call_is_cancelled_that_ends_it_already_says_what_is_known(
        self, cancelled_again: bool, known: str
    ) -> None:
        asked = asyncio.Event()

        async def never(session_id: str) -> None:
            asked.set()
            await asyncio.Event().wait()

        limits = Limits(terminate_s=5 if cancelled_again else 0.05)
        task = asyncio.ensure_future(
            run(ScriptedAgent(Behaviour(takes_s=1e9)), terminate=never, limits=limits)
        )
        await asked.wait()
        task.cancel()
        await asyncio.sleep(0)
        if cancelled_again:
            task.cancel()

        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task

        assert known in why_left_open(cancelled.value)

    async def test_of_which_it_is_not_known_whether_it_was_opened_is_said_so(self) -> None:
        agent, asked, answered = ScriptedAgent(), asyncio.Event(), asyncio.Event()

        async def no_answer(command_line: str) -> StreamSession:
            asked.set()
            with suppress(asyncio.CancelledError):  # the call is made, and no answer comes
                await asyncio.Event().wait()
            await answered.wait()
            raise CommandMayHaveRun("no answer")

        agent.open_session = no_answer  # type: ignore[method-assign]
        task = asyncio.ensure_future(run(agent))
        await asked.wait()
        task.cancel()
        answered.set()

        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task

        assert why_left_open(cancelled.value) == "Whether a session was opened is not known."

    async def test_when_the_call_is_cancelled_while_the_session_opens(self) -> None:
        agent, opening = ScriptedAgent(), asyncio.Event()
        really_open = agent.open_session

        async def slowly(command_line: str) -> StreamSession:
            with suppress(asyncio.CancelledError):  # the call is made, and its answer comes
                await asyncio.Event().wait()
            await opening.wait()
            return await really_open(command_line)

        agent.open_session = slowly  # type: ignore[method-assign]
        task = asyncio.ensure_future(run(agent))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        opening.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert agent.terminated == [SESSION]

    async def test_one_that_was_not_asked_for_yet_is_not_asked_for_any_more(self) -> None:
        agent = ScriptedAgent()
        really_open = agent.open_session

        async def later(command_line: str) -> StreamSession:
            await asyncio.Event().wait()  # for a free thread, or after throttling
            return await really_open(command_line)

        agent.open_session = later  # type: ignore[method-assign]
        task = asyncio.ensure_future(run(agent))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

        assert agent.command_lines == []
        assert agent.terminated == []

    async def test_when_the_sink_fails(self) -> None:
        class Full:
            def write(self, data: bytes) -> None:
                raise OSError("no space left on device")

        agent = ScriptedAgent(Behaviour(output=b"x", takes_s=1e9))
        with pytest.raises(OSError, match="no space"):
            await run(agent, sink=Full())  # type: ignore[arg-type]

        assert agent.terminated == [SESSION]

    async def test_in_vain_says_so(self) -> None:
        async def refuse(session_id: str) -> None:
            raise AwsRefused("cannot end the session", why="down")

        result = await run(ScriptedAgent(Behaviour(takes_s=1e9)), terminate=refuse)

        assert result.outcome is Outcome.TIMED_OUT
        assert "Its session could not be ended: cannot end the session: down." in result.remedy
        assert result.left_open == "Its session could not be ended: cannot end the session: down."

    async def test_without_an_answer_does_not_hold_us_up(self) -> None:
        async def never(session_id: str) -> None:
            await asyncio.Event().wait()

        limits = Limits(terminate_s=0.01)
        result = await run(ScriptedAgent(Behaviour(takes_s=1e9)), terminate=never, limits=limits)

        assert "no answer from ssm:TerminateSession" in result.remedy


class TestWithoutAShell:
    SPEC = CommandSpec(argv=("/app", "--version"), shell=False)

    async def test_the_program_gets_its_words_and_the_outcome_is_open(self) -> None:
        agent, sink = ScriptedAgent(Behaviour(output=b"1.2\n")), Collected()

        result = await run(agent, self.SPEC, sink=sink)

        assert agent.command_lines == ["/app --version"]
        assert result.outcome is Outcome.OUTPUT_INCOMPLETE
        assert result.exit_code is None
        assert "Without a shell" in result.reason
        assert sink.whole == result.head == b"1.2\n"

    async def test_a_program_that_is_not_there_could_not_start(self) -> None:
        message = (
            'Unable to start command: Failed to start pty: exec: "/app": executable file not found in $PATH'
        )
        result = await run(ScriptedAgent(Behaviour(starts=False, close_message=message)), self.SPEC)

        assert result.outcome is Outcome.COULD_NOT_START
        assert "executable file not found" in result.reason
        assert not result.may_have_run

    async def test_a_silent_program_may_take_its_whole_time(self) -> None:
        agent = ScriptedAgent(Behaviour(takes_s=1e9))

        result = await run(agent, self.SPEC)

        assert result.outcome is Outcome.TIMED_OUT
        assert result.duration_s == pytest.approx(45 + 60)
        assert agent.terminated == [SESSION]

    async def test_a_program_that_was_seen_to_start_has_its_time_and_no_more(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x" * 20_000, takes_s=1e9))

        result = await run(agent, CommandSpec(argv=("/app",), shell=False, timeout_s=3))

        assert result.outcome is Outcome.TIMED_OUT
        assert result.duration_s == pytest.approx(1.1 + 3, abs=0.1)
        assert result.total_bytes == 20_000
        assert agent.terminated == [SESSION]

    async def test_an_exit_status_from_the_agent_itself_counts(self) -> None:
        payloads = ((PayloadType.ERROR_OUTPUT, b"oh\r\n"), (PayloadType.EXIT_CODE, b"EXIT_CODE: 4"))
        sink = Collected()

        result = await run(ScriptedAgent(Behaviour(payloads=payloads)), self.SPEC, sink=sink)

        assert (result.outcome, result.exit_code) == (Outcome.EXITED, 4)
        assert sink.whole == result.head == b"oh\n"


class TestPayloadsThatEcsDoesNotSendToday:
    async def test_stderr_beside_the_terminal_is_output_and_cannot_split_a_mark(self) -> None:
        payloads = ((PayloadType.EXIT_CODE, b"EXIT_CODE: 9"), (PayloadType.FLAG, b"\0\0\0\1"), (77, b"new"))
        agent = ScriptedAgent(Behaviour(output=b"out\n", status=3, payloads=payloads))
        to_stdout = agent._terminal

        def both(data: bytes) -> None:
            to_stdout(data[:20])
            if data.startswith(b"out"):
                agent._send(PayloadType.ERROR_OUTPUT, b"err\r\n")
            if data[20:]:
                agent._send(PayloadType.ERROR_OUTPUT, b"e")
                to_stdout(data[20:])

        agent._terminal = both  # type: ignore[method-assign]
        sink = Collected()
        result = await run(agent, sink=sink)

        assert (result.outcome, result.exit_code) == (Outcome.EXITED, 3)  # the end mark's, not the frame's
        assert sink.whole == b"out\nerr\ne"

    async def test_an_exit_status_that_is_no_number_is_no_status(self) -> None:
        payloads = ((PayloadType.EXIT_CODE, b"EXIT_CODE: many"),)

        result = await run(ScriptedAgent(Behaviour(payloads=payloads)))

        assert result.outcome is Outcome.CONNECTION_LOST
        assert "make no sense" in result.reason


class TestAnEncryptedSession:
    @pytest.mark.parametrize("challenge", ["", "cmFuZG9tIGNoYWxsZW5nZQ=="])
    async def test_agrees_on_a_key_and_reads_the_output(self, challenge: str) -> None:
        output = "secret é\n".encode() * 500
        agent, sink = (
            ScriptedAgent(Behaviour(output=output, status=5, kms=True, challenge=challenge)),
            Collected(),
        )

        result = await run(agent, sink=sink)

        assert (result.outcome, result.exit_code) == (Outcome.EXITED, 5)
        assert sink.whole == output  # and nothing of the handshake's words for a person
        assert agent.data_key_context == {
            "aws:ssm:SessionId": SESSION,
            "aws:ssm:TargetId": "ecs:c_t_r",
            **({"aws:ssm:RandomChallenge": challenge} if challenge else {}),
        }
        assert agent.handshake_response
        session, kms = agent.handshake_response["ProcessedClientActions"]
        assert (session["ActionType"], session["ActionStatus"]) == ("SessionType", 1)
        assert kms["ActionResult"].get("ChallengeAcknowledgement", False) is bool(challenge)
        assert agent.input_types[:2] == [
            PayloadType.HANDSHAKE_RESPONSE,
            PayloadType.ENCRYPTION_CHALLENGE_RESPONSE,
        ]

    async def test_sends_input_encrypted(self) -> None:
        agent = ScriptedAgent(Behaviour(kms=True))

        result = await run(agent, a_command("# a line\n" * 1000 + "echo"))

        assert result.succeeded
        assert agent.input.startswith(b"# a line\\n# a line")  # as the agent decrypted it

    async def test_whose_key_is_refused_says_why(self) -> None:
        async def refuse(key_id: str, context: object) -> DataKey:
            raise AccessDenied("kms:GenerateDataKey is not allowed", where=key_id)

        result = await run(ScriptedAgent(Behaviour(kms=True)), data_key=refuse)

        assert result.outcome is Outcome.COULD_NOT_START
        assert "kms:GenerateDataKey is not allowed (alias/exec)" in result.reason
        assert "kms:GenerateDataKey" in result.remedy
        assert not result.may_have_run

    async def test_cannot_be_had_without_kms(self) -> None:
        result = await run(ScriptedAgent(Behaviour(kms=True)), data_key=None)

        assert result.outcome is Outcome.COULD_NOT_START
        assert "may not use KMS" in result.reason

    async def test_whose_output_does_not_decrypt_is_trusted_no_more(self) -> None:
        agent = ScriptedAgent(Behaviour(output=b"x", kms=True))
        agent.world.later(0.5, lambda: setattr(agent, "_to_client_key", b"?" * 32))

        result = await run(agent)

        assert result.outcome is Outcome.CONNECTION_LOST
        assert "does not fit the session's key" in result.reason
        assert agent.terminated == [SESSION]

    async def test_a_handshake_without_a_key_is_answered_too(self) -> None:
        session_type = {
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": "InteractiveCommands"},
        }
        agent = ScriptedAgent(Behaviour(output=b"hi\n", actions=(session_type,)))

        result = await run(agent)

        assert result.head == b"hi\n"
        assert agent.handshake_response
        assert agent.handshake_response["Errors"] is None

    @pytest.mark.parametrize(
        ("action", "status"),
        [
            ({"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port"}}, 2),
            ({"ActionType": "Dance"}, 3),
            ({"ActionType": "SessionType", "ActionParameters": None}, 2),
            ("nonsense", 3),
        ],
    )
    async def test_an_action_that_we_cannot_do_is_refused_in_words(self, action: Any, status: int) -> None:
        agent = ScriptedAgent(Behaviour(actions=(action,)))

        result = await run(agent)

        assert result.outcome is Outcome.COULD_NOT_START
        assert agent.handshake_response
        assert agent.handshake_response["ProcessedClientActions"][0]["ActionStatus"] == status
        assert agent.handshake_response["Errors"]


class TestFramesThatMeanNothing:
    async def test_are_dropped_and_do_no_harm(self) -> None:
        def frame(kind: str, payload: bytes, **more: int) -> bytes:
            return frames.encode(kind, payload, message_id=UUID(int=1), created_ms=1, **more)

        damaged = bytearray(frame(frames.OUTPUT_STREAM, b"fake", payload_type=1))
        damaged[-1] ^= 1
        agent = ScriptedAgent(
            Behaviour(
                output=b"true\n",
                raw_frames=(
                    b"",
                    b"x",
                    bytes(damaged),
                    frame("agent_job", b"?"),
                    frame(frames.ACKNOWLEDGE, b"no json"),
                    frame(frames.ACKNOWLEDGE, b'{"AcknowledgedMessageSequenceNumber": 12}'),
                    frame(frames.OUTPUT_STREAM, b"before time", sequence=-5, payload_type=1),
                    b"\0\0\0\0" + frames.START_PUBLICATION.encode().ljust(32),
                    b"\0\0\0\0" + frames.PAUSE_PUBLICATION.encode().ljust(32, b"\0") + bytes(84),
                ),
            )
        )

        result = await run(agent)

        assert (result.succeeded, result.head) == (True, b"true\n")
        assert -5 not in agent.acknowledgements

    @pytest.mark.parametrize("payload", [b"{}", b"[]", b"not json", b'{"Output": null}'])
    async def test_a_close_is_a_close_whatever_it_says(self, payload: bytes) -> None:
        raw = frames.encode(frames.CHANNEL_CLOSED, payload, message_id=UUID(int=1), created_ms=1)

        result = await run(ScriptedAgent(Behaviour(raw_frames=(raw,))))

        assert result.outcome is Outcome.COULD_NOT_START


async def test_the_first_message_opens_the_channel() -> None:
    agent = ScriptedAgent()

    await run(agent)

    (hello,) = agent.hellos
    assert hello.keys() == {"MessageSchemaVersion", "RequestId", "TokenValue", "ClientId", "ClientVersion"}
    assert (hello["MessageSchemaVersion"], hello["TokenValue"]) == ("1.0", "token-1")
    assert UUID(hello["ClientId"]) != UUID(hello["RequestId"])


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await run(ScriptedAgent(Behaviour(output=b"secret output", kms=True)))

    assert "token-1" not in caplog.text
    assert "secret" not in caplog.text


async def test_every_call_has_a_nonce_of_its_own() -> None:
    first, second = ScriptedAgent(), ScriptedAgent()

    await run(first)
    await run(second)

    assert first.command_lines != second.command_lines


async def test_a_result_is_plain_and_comparable() -> None:
    result = await run(ScriptedAgent(Behaviour(output=b"x")))

    assert result == CommandResult(
        outcome=Outcome.EXITED, exit_code=0, head=b"x", total_bytes=1, duration_s=result.duration_s
    )
    assert json.dumps(result.outcome) == '"exited"'


def test_the_longest_time_of_a_run_covers_its_deadlines() -> None:
    limits = Limits(connect_s=1, start_s=2, grace_s=3, terminate_s=4)

    assert limits.longest_s(60) >= 2 + 60 + 5 + 3 + 4


def test_run_command_needs_a_sink_and_an_end() -> None:
    with pytest.raises(TypeError):
        run_command(None, a_command())  # type: ignore[call-arg,arg-type]
