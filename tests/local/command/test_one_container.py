"""One command in one container: its whole output and true status, or the truth about why there is none."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tests.local.command.conftest import Commands

from taskmedic.domain.command import CommandSpec
from taskmedic.domain.errors import CommandInvalid
from taskmedic.domain.nodes import Node
from taskmedic_local.cloud import LocalCloud
from taskmedic_local.exec.sandbox import Image

# Ends well as soon as the process whose id is in the file is gone, and badly after five seconds.
WAIT_UNTIL_GONE = """
for i in $(seq 100); do
  kill -0 $(cat pid) 2>/dev/null || exit 0
  /bin/sleep 0.05
done
exit 1
"""


async def test_echo(commands: Commands) -> None:
    result, output = await commands.one("echo hello")

    assert (result.outcome, result.exit_code, result.reason) == ("exited", 0, "")
    assert output == b"hello\n"


async def test_exit_3(commands: Commands) -> None:
    result, output = await commands.one("echo before; exit 3")

    assert (result.outcome, result.exit_code) == ("exited", 3)
    assert output == b"before\n"


async def test_a_program_and_its_arguments_arrive_as_given(commands: Commands) -> None:
    argv = (
        "printf",
        "%s|",
        "a b",
        "$HOME",
        "it's",
        '"',
        "\\",
        "`id`",
        "{{x}}",
        "$$",
        "*",
        "é",
        "\n",
        "#",
        "",
    )

    result, output = await commands.one(argv=argv)

    assert result.succeeded
    assert output.decode() == "a b|$HOME|it's|\"|\\|`id`|{{x}}|$$|*|é|\n|#||"


AWKWARD = st.text(
    st.one_of(
        st.sampled_from("'\"`$\\!#~&|;<>(){}[]*?% \t\n\r"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    )
)


@settings(
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(words=st.lists(AWKWARD, min_size=1, max_size=5), shell=st.booleans())
@example(words=["'", '"', "\\", "$HOME", "`id`", "\n", "#", "", "$$", "\\\n", "a\r\nb", "{{x}}"], shell=False)
async def test_a_program_receives_whatever_it_is_given(
    commands: Commands, words: list[str], shell: bool
) -> None:
    result, output = await commands.one(argv=("printf", "%s|", *words), shell=shell)

    assert output.decode() == "".join(f"{word}|" for word in words)
    assert result.outcome == ("exited" if shell else "output_incomplete")


async def test_output_of_one_and_a_half_megabytes(commands: Commands) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5; do head -c 100000 /dev/zero | tr '\\0' $i; echo; done"

    result, output = await commands.one(script)

    assert result.succeeded
    expected = b"".join(str(i % 10).encode() * 100_000 + b"\n" for i in range(1, 16))
    assert len(output) == len(expected) == result.bytes == 1_500_015
    assert hashlib.sha256(output).digest() == hashlib.sha256(expected).digest()
    assert result.truncated
    assert (len(result.head), result.tail) == (2_000, "")  # a line that had to be cut is left out


async def test_binary_through_base64(commands: Commands) -> None:
    script = "head -c 40000 /bin/sh | base64"

    result, output = await commands.one(script)

    with open("/bin/sh", "rb") as shell:  # noqa: ASYNC230, PTH123 - a short look at a local file
        assert b64decode(output) == shell.read(40_000)
    assert result.succeeded


async def test_characters_of_many_bytes_split_over_frames(commands: Commands) -> None:
    line = "x€😀é" * 1500  # 15,000 bytes: a frame carries 1,024

    result, output = await commands.one(f"echo {line}; echo {line}")

    assert result.succeeded
    assert output.decode() == f"{line}\n{line}\n"


async def test_carriage_returns_of_the_command_itself_stay(commands: Commands) -> None:
    _, output = await commands.one("printf 'a\\rb\\nc\\n'")

    assert output == b"a\rb\nc\n"


async def test_standard_error_comes_with_the_output(commands: Commands) -> None:
    result, output = await commands.one("echo out; echo err >&2; exit 1")

    assert result.exit_code == 1
    assert output == b"out\nerr\n"


async def test_a_long_script_arrives_whole(commands: Commands) -> None:
    lines = "\n".join(f"echo line-{number} 'it''s' \"$((1+1))\"" for number in range(2_000))

    result, output = await commands.one(lines)

    assert result.succeeded
    assert output.splitlines()[-1] == b"line-1999 its 2"
    assert output.count(b"\n") == 2_000


@pytest.fixture
def fast_container(cloud: LocalCloud, commands: Commands) -> Node:
    """A container in which a minute passes in 0.3 s."""
    sleep = '#!/bin/sh\nexec /bin/sleep "$(awk "BEGIN {print $1 / 200}")"\n'
    node = commands.nodes(services="checkout", containers="app")[0]
    cloud.world.image(node.get("ECS:Container-Image"), Image(files={"bin/sleep": sleep}))
    return node


async def test_a_command_that_prints_nothing_for_two_minutes(
    commands: Commands, fast_container: Node
) -> None:
    result, output = await commands.one("sleep 120; echo at last", fast_container, timeout_s=180)

    assert (result.outcome, result.exit_code) == ("exited", 0)
    assert output == b"at last\n"


async def test_a_command_that_ignores_sigterm_is_killed(commands: Commands, fast_container: Node) -> None:
    script = 'trap "" TERM; echo $$ > pid; echo begun; while :; do /bin/sleep 0.05; done'

    result, output = await commands.one(script, fast_container, timeout_s=40)

    assert result.outcome == "timed_out"
    assert output == b"begun\n"
    gone, _ = await commands.one(WAIT_UNTIL_GONE, fast_container, timeout_s=1200)
    assert gone.succeeded


async def test_a_background_child_that_keeps_the_terminal_does_not_hold_up_the_end(
    commands: Commands,
) -> None:
    async with asyncio.timeout(10):
        result, output = await commands.one("/bin/sleep 300 & echo done")

    assert (result.outcome, result.exit_code) == ("exited", 0)
    assert output == b"done\n"


async def test_a_missing_binary_is_the_shells_127(commands: Commands) -> None:
    result, output = await commands.one("no-such-program --help")

    assert (result.outcome, result.exit_code) == ("exited", 127)
    assert b"not found" in output


async def test_an_image_without_a_shell_says_so(cloud: LocalCloud, commands: Commands) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]
    cloud.world.image(node.get("ECS:Container-Image"), Image(without=frozenset({"sh", "bash"})))

    result, _ = await commands.one("echo hi", node)

    assert result.outcome == "could_not_start"
    assert "/bin/sh" in result.reason
    assert "shell: false" in result.remedy


async def test_without_a_shell_the_output_comes_and_the_status_is_not_claimed(
    cloud: LocalCloud, commands: Commands
) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]
    cloud.world.image(node.get("ECS:Container-Image"), Image(without=frozenset({"sh", "bash"})))

    result, output = await commands.one("", node, argv=("/bin/echo", "hello"), shell=False)

    assert (result.outcome, result.exit_code) == ("output_incomplete", None)
    assert output == b"hello\n"
    assert "without a shell" in result.reason.lower()


@pytest.mark.parametrize("script", ["# only a comment", " \n# two\n", "echo {{ssm:/prod/db}}", ""])
def test_what_hangs_awss_agent_is_refused_before_it_is_sent(cloud: LocalCloud, script: str) -> None:
    with pytest.raises(CommandInvalid):
        CommandSpec(script=script)


@pytest.fixture
def encrypted(cloud: LocalCloud, aws: Any) -> str:
    """The cluster's sessions are encrypted from now on."""
    key: str = aws("kms").create_key()["KeyMetadata"]["Arn"]
    settings = {"executeCommandConfiguration": {"kmsKeyId": key, "logging": "DEFAULT"}}
    cloud.world.cluster("prod").content["configuration"] = settings
    return key


async def test_with_kms_the_session_is_encrypted_and_whole(commands: Commands, encrypted: str) -> None:
    result, output = await commands.one("seq 1 20000; exit 7")

    assert (result.outcome, result.exit_code) == ("exited", 7)
    assert output == b"".join(b"%d\n" % number for number in range(1, 20_001))


async def test_with_a_key_that_is_not_there_it_could_not_start(
    cloud: LocalCloud, commands: Commands, encrypted: str
) -> None:
    settings = cloud.world.cluster("prod").content["configuration"]["executeCommandConfiguration"]
    settings["kmsKeyId"] = encrypted[:-4] + "beef"

    result, output = await commands.one("echo hi")

    assert result.outcome == "could_not_start"
    assert "KMS" in result.reason
    assert "kms:GenerateDataKey" in result.remedy
    assert output == b""


async def test_an_agent_that_is_not_connected_is_not_reachable(cloud: LocalCloud, commands: Commands) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]
    task = cloud.world.cluster("prod").tasks[node.get("ECS:Task-ID")]
    container = next(each for each in task.containers if each.name == "app")
    cloud.world.connect_agent(container, connected=False)

    result, _ = await commands.one("echo hi", node)

    assert result.outcome == "not_reachable"
    assert "internal error" in result.reason
    assert result.remedy.startswith("`taskmedic check --cluster prod --task ")


SPREAD_OUT = """
timeout 300 /bin/sleep 300 & echo $! > pids
(trap "" HUP TERM; exec /bin/sleep 300) & echo $! >> pids
echo begun; wait
"""
WAIT_UNTIL_ALL_ARE_GONE = """
for i in $(seq 200); do
  left=; for pid in $(cat pids); do kill -0 $pid 2>/dev/null && left=yes; done
  [ "$left" ] || exit 0
  /bin/sleep 0.05
done
exit 1
"""


async def cancelled_once_it_writes(commands: Commands, script: str, node: Node) -> None:
    running = asyncio.create_task(commands.one(script, node))
    while not commands.outputs.get(node.name) or not commands.outputs[node.name].data:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_cancelling_ends_all_that_the_command_started(commands: Commands) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]

    await cancelled_once_it_writes(commands, SPREAD_OUT, node)

    gone, _ = await commands.one(WAIT_UNTIL_ALL_ARE_GONE, node)
    assert gone.succeeded


@pytest.mark.parametrize("via", ["exec", "ec2_host"])
async def test_the_end_of_the_time_ends_all_that_the_command_started(commands: Commands, via: str) -> None:
    (node,) = commands.nodes("batch")

    (result,) = await commands.run(CommandSpec(script=SPREAD_OUT, timeout_s=1), [node], via=via)

    assert (result.outcome, result.head) == ("timed_out", "begun\n")
    assert result.reason == "The command ran longer than 1 s and was ended in the container."
    gone, _ = await commands.one(WAIT_UNTIL_ALL_ARE_GONE, node)
    assert gone.succeeded


async def test_cancelling_ends_the_command_in_the_container(commands: Commands, wait_for: Any) -> None:
    node = commands.nodes(services="checkout", containers="app")[0]

    await cancelled_once_it_writes(commands, "echo $$ > pid; echo begun; exec /bin/sleep 300", node)

    gone, _ = await commands.one(WAIT_UNTIL_GONE, node)
    assert gone.succeeded
