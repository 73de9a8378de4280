"""An agent that means harm gets neither unbounded memory nor time, nor an exception that is not ours."""

from __future__ import annotations

import base64
import json
import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ssm.scripted_agent import Behaviour, Collected, ScriptedAgent, a_command, run

from taskmedic.domain.command import CommandSpec, DataKey, Outcome, StreamSession
from taskmedic.ssm import channel, frames
from taskmedic.ssm.command import prepare
from taskmedic.ssm.frames import PayloadType
from taskmedic.ssm.run import CommandRun, Limits
from taskmedic.ssm.session import Session

NONCE = "0123456789abcdef" * 2
STREAM = StreamSession("session", "wss://x", "token", "ecs:c_t_r")


def a_run(spec: CommandSpec | None = None) -> CommandRun:
    spec = spec or a_command()
    return CommandRun(
        spec,
        prepare(spec, NONCE),
        Session(STREAM, started_ms=1, now=0.0),
        sink=Collected(),
        limits=Limits(),
        now=0.0,
    )


def frame(kind: str, payload: bytes, sequence: int = 0, payload_type: int = 1) -> bytes:
    return frames.encode(
        kind, payload, message_id=UUID(int=1), created_ms=1, sequence=sequence, payload_type=payload_type
    )


def output(payload: bytes, sequence: int, payload_type: int = PayloadType.OUTPUT) -> bytes:
    return frame(frames.OUTPUT_STREAM, payload, sequence, payload_type)


def handshake(actions: object) -> bytes:
    return json.dumps({"RequestedClientActions": actions}).encode()


KMS = {"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": "key", "Challenge": "x"}}

payloads = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.sampled_from(
        [
            handshake([KMS]),
            handshake([KMS] * 20),
            handshake({"a": 1}),
            handshake([None, 1, "x", {}]),
            handshake([{"ActionType": ["x"], "ActionParameters": 3}]),
            b'{"RequestedClientActions": null}',
            json.dumps({"Challenge": base64.b64encode(b"x" * 40).decode()}).encode(),
            b'{"Challenge": "\xc3\xa9"}',
            b'{"AcknowledgedMessageSequenceNumber": -1}',
            b'{"AcknowledgedMessageSequenceNumber": 1e400}',
            b"EXIT_CODE: " + b"9" * 5000,
            b"[" * 5000,
            f"{NONCE}:start:\r\n".encode(),
            f"{NONCE}:ready:\r\n".encode(),
            f"{NONCE}:timeout:\r\n".encode(),
            f"{NONCE}:99999999:\r\n".encode(),
            NONCE.encode(),
        ]
    ),
)
hostile_frames = st.one_of(
    st.binary(max_size=200),
    st.builds(
        frame,
        st.sampled_from(
            [frames.OUTPUT_STREAM, frames.ACKNOWLEDGE, frames.CHANNEL_CLOSED, "odd", frames.INPUT_STREAM]
        ),
        payloads,
        st.one_of(st.integers(0, 6), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.integers(0, 13), st.integers(0, 2**32 - 1)),
    ),
)


@given(st.lists(st.tuples(hostile_frames, st.floats(0, 30)), max_size=25), st.booleans())
def test_any_frames_lead_to_a_result_or_to_a_deadline(script: list[tuple[bytes, float]], shell: bool) -> None:
    spec = a_command() if shell else CommandSpec(argv=("x",), shell=False)
    command, now, sent = a_run(spec), 0.0, 0
    for raw, passes in script:
        now += passes
        command.receive([raw], now)
        command.tick(now)
        if command.data_key_wanted:
            command.provide_data_key(DataKey(bytes(64), b"c"), now)
        sent += len(command.outgoing())
    command.tick(now + Limits().longest_s(spec.timeout_s))

    assert command.result is not None
    # An answer for each of its frames at most, what the handshake takes, and resending every 100 ms at most.
    assert sent <= 3 * len(script) + channel.MAX_RESENT_AT_ONCE * len(script) + 2


def test_a_flood_of_output_is_not_kept() -> None:
    agent, piece = a_run(a_command(max_output_bytes=10**9)), b"x" * 100_000
    agent._sink = _Forgetful()
    agent.receive([output(f"{NONCE}:start:\r\n".encode(), 0)], 0.0)
    tracemalloc.start()
    for number in range(1, 301):  # 30 MB
        agent.receive([output(piece, number)], 0.0)
        agent.outgoing()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


class _Forgetful:
    def write(self, data: bytes) -> None:
        pass


def test_a_flood_before_the_start_is_neither_kept_nor_passed_on_nor_endless() -> None:
    command = a_run()
    for number in range(200):
        command.receive([output(b"x" * 10_000, number)], number / 10)
    command.tick(46.0)

    assert command.result
    assert command.result.outcome is Outcome.COULD_NOT_START
    assert len(command.result.head) + len(command.result.tail) == 8192
    assert command.result.total_bytes == 2_000_000


def test_frames_that_never_come_in_turn_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_EARLY_BYTES", 1_000_000)
    session = Session(STREAM, started_ms=1, now=0.0)
    session.outgoing()

    session.receive([output(b"x" * 100_000, number) for number in range(1, 100)], 0.0)

    assert len(session.outgoing()) == 10  # acknowledged, so kept; the others are left to come again


def test_a_second_handshake_costs_no_second_call_of_kms() -> None:
    command = a_run()
    request = handshake([KMS])

    command.receive([output(request, n, PayloadType.HANDSHAKE_REQUEST) for n in range(3)], 0.0)

    assert command.result
    assert command.result.outcome is Outcome.CONNECTION_LOST


@pytest.mark.parametrize("actions", [[KMS] * 17, {"not": "a list"}, "text"])
def test_a_handshake_that_asks_for_nonsense_ends_the_session(actions: object) -> None:
    command = a_run()

    command.receive([output(handshake(actions), 0, PayloadType.HANDSHAKE_REQUEST)], 0.0)

    assert command.result
    assert "short list" in command.result.reason
    assert command.data_key_wanted is None


def test_a_challenge_without_encryption_ends_the_session() -> None:
    command = a_run()

    command.receive([output(b'{"Challenge": "eA=="}', 0, PayloadType.ENCRYPTION_CHALLENGE_REQUEST)], 0.0)

    assert command.result
    assert command.result.outcome is Outcome.CONNECTION_LOST


async def test_an_end_mark_that_was_guessed_counts_for_nothing() -> None:
    fake = b"".join(b"%032x:0:\n" % n for n in range(50))
    agent = ScriptedAgent(Behaviour(output=fake, status=9))

    result = await run(agent)

    assert (result.exit_code, result.head) == (9, fake)
