"""Sessions run as the real agent and gateway were seen to run them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.exec.conftest import Target
from tests.local.exec.plain_client import joined
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from taskmedic_local.exec import frames
from taskmedic_local.exec.sandbox import Image


async def outcome(target: Target, command: str) -> tuple[bytes, str]:
    """A command's whole output, and the text its session ended with."""
    async with joined(target.execute(command)) as client:
        end = await client.end()
        return client.output, end


async def eventually(check: Callable[[], Any], patience_s: float = 5.0) -> Any:
    """What ``check`` gives, once it is true."""
    async with asyncio.timeout(patience_s):
        while not (value := check()):  # noqa: ASYNC110 - what it waits for is outside of this process
            await asyncio.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    return False


def open_descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class TestOutput:
    async def test_it_comes_without_a_handshake_from_number_zero(self, target: Target) -> None:
        async with joined(target.execute("echo hello")) as client:
            first = await client.receive()
            assert (first.type, first.payload_type, first.sequence, first.flags) == (frames.OUTPUT, 1, 0, 1)
            assert first.payload == b"hello\r\n"
            assert await client.end() == ""

    async def test_no_exit_code_is_told(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo x; exit 3'")) as client:
            assert await client.end() == ""
            assert {frame.payload_type for frame in client.frames if frame.type == frames.OUTPUT} == {1}

    async def test_no_shell_touches_the_command(self, target: Target) -> None:
        output, _ = await outcome(target, "echo $HOME | wc; 'a  b' # the rest")
        assert output == b"$HOME | wc; a  b\r\n"

    async def test_the_environment_is_the_containers_own(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_THE_MACHINE", "x")
        output, _ = await outcome(target, "env")
        lines = output.decode().split("\r\n")
        assert "LOG_LEVEL=info" in lines
        assert "TERM=xterm-256color" in lines
        assert "LANG=C.UTF-8" in lines
        assert "SECRET_OF_THE_MACHINE" not in output.decode()

    async def test_run_task_can_change_the_environment(
        self, target: Target, aws: Callable[[str], Any], wait_for: Callable[..., Any]
    ) -> None:
        override = {"name": "app", "environment": [{"name": "LOG_LEVEL", "value": "debug"}]}
        (started,) = aws("ecs").run_task(
            cluster="prod",
            taskDefinition="checkout",
            launchType="FARGATE",
            enableExecuteCommand=True,
            overrides={"containerOverrides": [override]},
        )["tasks"]
        task = target.cloud.world.cluster("prod").tasks[started["taskArn"].rsplit("/", 1)[-1]]
        wait_for(lambda: task.containers[0].agent_status == "RUNNING")
        ran = Target(target.cloud, target._ecs, task, task.containers[0])
        output, _ = await outcome(ran, "sh -c 'echo $LOG_LEVEL'")
        assert output == b"debug\r\n"

    async def test_containers_have_folders_of_their_own(self, target: Target) -> None:
        await outcome(target, "sh -c 'echo mine > note'")
        other = Target(target.cloud, target._ecs, target.task, target.task.containers[1])
        output, _ = await outcome(other, "cat note")
        assert b"No such file" in output

    async def test_reads_are_of_1024_bytes_and_cut_no_character(self, target: Target) -> None:
        async with joined(
            target.execute("sh -c 'i=0; while [ $i -lt 900 ]; do printf x€ä; i=$((i+1)); done'")
        ) as client:
            await client.end()
            payloads = [frame.payload for frame in client.frames if frame.type == frames.OUTPUT]
            assert "".join(payload.decode() for payload in payloads) == "x€ä" * 900
            assert max(map(len, payloads)) <= 1027

    async def test_the_last_bytes_of_an_unfinished_character_are_dropped(self, target: Target) -> None:
        output, _ = await outcome(target, r"printf 'end\342\202'")
        assert output == b"end"

    async def test_it_is_a_terminal(self, target: Target) -> None:
        output, _ = await outcome(target, "sh -c 'tty; stty size; echo error >&2; echo mine > /dev/tty'")
        lines = output.decode().split("\r\n")
        assert lines[0].startswith("/dev/pts/")
        assert lines[1:] == ["0 0", "error", "mine", ""]


class TestStart:
    @pytest.mark.parametrize(
        ("command", "text"),
        [
            (
                "no-such-program x",
                'Failed to start pty: exec: "no-such-program": executable file not found in $PATH',
            ),
            (
                "/no/such/program",
                "Failed to start pty: fork/exec /no/such/program: no such file or directory",
            ),
            ("echo 'open", "Failed to parse commands input: EOF found when expecting closing quote"),
        ],
    )
    async def test_what_cannot_be_started_is_told_at_the_end(
        self, target: Target, command: str, text: str
    ) -> None:
        output, end = await outcome(target, command)
        assert output == b""
        assert end == f"\n----------ERROR-------\nUnable to start command: {text}"

    async def test_a_word_longer_than_linux_takes(self, target: Target) -> None:
        _, end = await outcome(target, f"/bin/echo {'x' * 131_072}")
        assert end.endswith("Failed to start pty: fork/exec /bin/echo: argument list too long")

    async def test_an_empty_command_is_refused(self, target: Target) -> None:
        assert await outcome(target, "  ") == (
            b"",
            "Commands cannot be empty for session type InteractiveCommands",
        )

    async def test_an_image_without_a_shell(self, target: Target) -> None:
        image = target.container.definition["image"]
        target.cloud.world.image(image, Image(without=frozenset({"sh", "bash"})))
        assert "fork/exec /bin/sh: no such file or directory" in (await outcome(target, "/bin/sh -c id"))[1]
        assert await outcome(target, "echo direct") == (b"direct\r\n", "")

    async def test_a_command_of_no_words_kills_the_worker_without_a_word(self, target: Target) -> None:
        async with joined(target.execute("# only a comment")) as client:
            assert await client.nothing_comes()
            await client.type(b"anybody there?\n")
            assert await client.nothing_comes()
        assert await outcome(target, "echo next") == (b"next\r\n", "")

    async def test_a_parameter_that_cannot_be_had_is_silence(self, target: Target) -> None:
        async with joined(target.execute("echo {{ssm:/no/such}}")) as client:
            assert await client.nothing_comes()

    async def test_a_parameter_is_put_in_and_other_braces_are_left(
        self, target: Target, aws: Callable[[str], Any]
    ) -> None:
        aws("ssm").put_parameter(Name="/greeting", Value="hello", Type="String", Overwrite=True)
        output, _ = await outcome(target, "echo {{ ssm:/greeting }} {{x}} $$")
        assert output == b"hello {{x}} $$\r\n"

    async def test_the_command_runs_whether_or_not_anybody_listens(self, target: Target) -> None:
        target.execute("touch been-here")
        await eventually((target.home / "been-here").exists)


class TestAcknowledgement:
    async def test_what_is_not_acknowledged_comes_again(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo a; sleep 30'")) as client:
            client.acknowledging = False
            first = await client.receive()
            assert await client.receive() == first
            assert await client.receive() == first
            await client.acknowledge(first)
            while not await client.nothing_comes():
                pass

    async def test_what_is_acknowledged_too_late_is_gone(self, target: Target) -> None:
        target.timing(drain=0.3)
        async with joined(target.execute("echo a")) as client:
            client.acknowledging = False
            assert await client.end() == ""

    async def test_an_acknowledged_end_needs_no_wait(self, target: Target) -> None:
        target.timing(drain=60)
        assert await outcome(target, "echo a") == (b"a\r\n", "")


class TestInput:
    async def test_what_is_typed_arrives_and_is_echoed(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo ready; read line; echo got $line'")) as client:
            await client.until(b"ready")
            await client.type(b"hello\n")
            await client.until(b"got hello\r\n")
            assert await client.end() == ""
            assert client.output == b"ready\r\nhello\r\ngot hello\r\n"

    async def test_control_c_interrupts(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo ready; sleep 60'")) as client:
            await client.until(b"ready")
            await client.type(b"\x03")
            assert await client.end() == ""

    async def test_the_size_of_the_window(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo ready; read x; stty size'")) as client:
            await client.until(b"ready")
            await client.resize(300, 100)
            await client.type(b"\n")
            await client.until(b"100 300")

    async def test_input_that_comes_too_early_is_acknowledged_and_thrown_away(self, target: Target) -> None:
        target.timing(worker_start=0.3)
        async with joined(target.execute("sh -c 'stty size'")) as client:
            await client.resize(80, 24)
            acknowledgement = await client.receive()
            assert acknowledgement.type == frames.ACKNOWLEDGE
            await client.end()
            assert client.output == b"0 0\r\n"

    async def test_a_line_too_long_for_the_terminal_is_cut(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'stty -echo; echo ready; head -n 1 | wc -c'")) as client:
            await client.until(b"ready")
            for _ in range(6):
                await client.type(b"x" * 1000)
            await client.type(b"\n")
            await client.until(b"4096")


class TestEnd:
    async def test_a_background_process_does_not_hold_the_session(self, target: Target) -> None:
        output, end = await outcome(target, "sh -c 'trap \"\" HUP; sleep 60 & echo $!'")
        assert end == ""
        assert alive(int(output))

    async def test_terminate_session_kills_the_direct_child(
        self, target: Target, aws: Callable[[str], Any]
    ) -> None:
        session = target.execute("sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 0.1; done'")
        async with joined(session) as client:
            pid = int(await client.until(b"\n"))
            assert alive(pid)
            aws("ssm").terminate_session(SessionId=session["sessionId"])
            assert await client.end() == ""
        await eventually(lambda: not alive(pid))

    async def test_closing_the_websocket_stops_nothing(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo $$; sleep 60'")) as client:
            pid = int(await client.until(b"\n"))
        await asyncio.sleep(0.2)  # time enough for a gateway that would
        assert alive(pid)

    async def test_idle_sessions_end_with_a_text(self, target: Target) -> None:
        target.timing(idle=0.3)
        async with joined(target.execute("sleep 60")) as client:
            assert await client.end() == "Your session timed out due to inactivity and has been terminated."

    async def test_input_keeps_a_session_from_being_idle(self, target: Target) -> None:
        target.timing(idle=0.5)
        async with joined(target.execute("cat")) as client:
            for _ in range(8):
                await client.type(b"x\n")
                assert (await client.receive()).type != frames.CHANNEL_CLOSED
                await asyncio.sleep(0.1)
            assert (await client.end()).startswith("Your session timed out")

    async def test_when_the_task_dies_the_client_hears_nothing(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo $$; sleep 60'")) as client:
            pid = int(await client.until(b"\n"))
            target.cloud.world.strike("out_of_memory", "prod", task=target.task.id)
            await eventually(lambda: not alive(pid))
            await client.type(b"anybody there?\n")
            assert await client.nothing_comes()


class TestPause:
    async def test_a_session_without_a_reader_stands_still(self, target: Target) -> None:
        session = target.execute("sh -c 'head -c 200000 /dev/zero | tr \"\\0\" x; touch finished'")
        finished = target.home / "finished"
        await eventually(target.home.exists)
        await asyncio.sleep(0.3)  # far longer than the output would take
        assert not finished.exists()
        async with joined(session) as client:
            await client.end()
            assert client.output == b"x" * 200_000
        assert finished.exists()


class TestSlots:
    async def test_two_run_and_the_third_waits_its_turn(self, target: Target) -> None:
        target.timing(placement=60)
        sessions = [target.execute("sh -c 'echo in; read x; echo out'") for _ in range(3)]
        async with joined(sessions[0]) as first, joined(sessions[1]) as second, joined(sessions[2]) as third:
            await first.until(b"in")
            await second.until(b"in")
            assert await third.nothing_comes()
            await first.type(b"\n")
            assert await first.end() == ""
            await third.until(b"in")

    async def test_a_fourth_that_finds_room_in_time_does_no_harm(self, target: Target) -> None:
        target.timing(placement=60)
        sessions = [target.execute("sh -c 'echo in; read x'") for _ in range(4)]
        async with joined(sessions[0]) as first, joined(sessions[1]) as second, joined(sessions[3]) as fourth:
            for client in (first, second):
                await client.until(b"in")
                await client.type(b"\n")
                await client.end()
            await fourth.until(b"in")

    async def test_a_fourth_that_finds_none_ends_ecs_exec_in_the_container_for_good(
        self, target: Target
    ) -> None:
        target.timing(placement=0.1)
        sessions = [target.execute("sh -c 'echo in; read x'") for _ in range(4)]
        async with joined(sessions[0]) as first, joined(sessions[3]) as fourth:
            await first.until(b"in")
            assert await fourth.nothing_comes()
            await first.type(b"\n")
            assert await first.end() == ""
            async with joined(sessions[2]) as third:
                await third.until(b"in")  # what was queued still runs
            assert await fourth.nothing_comes()
        async with joined(target.execute("echo later")) as later:
            assert await later.nothing_comes()
        other = Target(target.cloud, target._ecs, target.task, target.task.containers[1])
        assert await outcome(other, "echo fine") == (b"fine\r\n", "")


class TestTokens:
    async def test_a_wrong_token_closes_the_connection(self, target: Target) -> None:
        session = target.execute("echo x")
        async with joined(session, token="guessed") as client:
            with pytest.raises(ConnectionClosed):
                await client.receive()

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"TokenValue": 7}', '{"TokenValue": "\\ud800"}', "\ufffd"]
    )
    async def test_a_first_message_that_is_none_closes_the_connection(
        self, target: Target, text: str
    ) -> None:
        async with connect(target.execute("echo x")["streamUrl"]) as socket:
            await socket.send(text)
            with pytest.raises(ConnectionClosed):
                await socket.recv()

    async def test_a_token_opens_one_connection(self, target: Target) -> None:
        session = target.execute("sh -c 'echo in; read x'")
        async with joined(session) as client:
            await client.until(b"in")
            async with joined(session) as second:
                with pytest.raises(ConnectionClosed):
                    await second.receive()

    async def test_a_session_is_resumed_and_nothing_is_lost(
        self, target: Target, aws: Callable[[str], Any]
    ) -> None:
        session = target.execute("sh -c 'echo one; read x; echo two'")
        async with joined(session) as client:
            await client.until(b"one")
        resumed = aws("ssm").resume_session(SessionId=session["sessionId"])
        assert resumed["StreamUrl"] == session["streamUrl"]
        assert resumed["TokenValue"] != session["tokenValue"]
        async with joined(session, token=resumed["TokenValue"]) as client:
            await client.type(b"\n")
            await client.until(b"two")
            assert await client.end() == ""

    async def test_a_session_that_is_over_gives_no_token(
        self, target: Target, aws: Callable[[str], Any]
    ) -> None:
        session = target.execute("echo x")
        async with joined(session) as client:
            await client.end()
        assert "TokenValue" not in aws("ssm").resume_session(SessionId=session["sessionId"])

    async def test_an_unknown_session(self, aws: Callable[[str], Any], target: Target) -> None:
        ssm = aws("ssm")
        with pytest.raises(ssm.exceptions.DoesNotExistException):
            ssm.resume_session(SessionId="ecs-execute-command-0123456789abcdefg")
        ssm.terminate_session(SessionId="ecs-execute-command-0123456789abcdefg")


class TestGateway:
    async def test_pings_are_answered(self, target: Target) -> None:
        async with joined(target.execute("sleep 60")) as client:
            pong = await client.socket.ping(b"there?")
            async with asyncio.timeout(5):
                await pong

    async def test_nonsense_from_a_client_ends_nothing(self, target: Target) -> None:
        async with joined(target.execute("sh -c 'echo in; read x; echo out'")) as client:
            await client.until(b"in")
            for nonsense in (b"", b"x", os.urandom(119), os.urandom(500)):
                await client.socket.send(nonsense)
            await client.type(b"\n")
            await client.until(b"out")

    async def test_a_message_in_pieces_closes_the_connection(self, target: Target) -> None:
        async with joined(target.execute("sleep 60")) as client:
            await client.socket.send([b"in ", b"pieces"])
            with pytest.raises(ConnectionClosed):
                await client.receive()

    async def test_the_agents_state_never_reaches_the_client(self, target: Target) -> None:
        async with joined(target.execute("echo x")) as client:
            await client.end()
            assert {frame.type for frame in client.frames} == {frames.OUTPUT, frames.CHANNEL_CLOSED}

    async def test_an_agent_that_is_cut_off(self, target: Target, aws: Callable[[str], Any]) -> None:
        target.cloud.world.connect_agent(target.container, connected=False)
        with pytest.raises(
            aws("ecs").exceptions.TargetNotConnectedException, match="due to an internal error"
        ):
            target.execute("echo x")
        target.cloud.world.connect_agent(target.container, connected=True)
        assert await outcome(target, "echo x") == (b"x\r\n", "")


class TestNothingIsLeft:
    async def test_processes_and_folder_go_with_the_task(self, target: Target) -> None:
        leaves_its_session = 'setsid sh -c "echo \\$\\$ > pid; exec sleep 60" &'
        await outcome(target, f"sh -c '{leaves_its_session} while ! [ -s pid ]; do sleep 0.01; done'")
        pid = int((target.home / "pid").read_text())
        assert alive(pid)
        home = target.home
        target.cloud.world.strike("exit", "prod", task=target.task.id)
        await eventually(lambda: not alive(pid))
        await eventually(lambda: not home.exists())

    async def test_five_hundred_containers_at_once_leave_no_descriptor(self, target: Target) -> None:
        world = target.cloud.world
        world.crowd(1, 500)
        tasks = list(world.cluster("crowd-0").tasks.values())
        before = open_descriptors()

        async def one(task: Any) -> bytes:
            session = world.open_session(task, task.containers[0], f"echo {task.id}")
            async with joined(session) as client:
                await client.end()
                return client.output

        outputs = await asyncio.gather(*map(one, tasks))
        assert outputs == [f"{task.id}\r\n".encode() for task in tasks]
        await eventually(lambda: open_descriptors() <= before)
