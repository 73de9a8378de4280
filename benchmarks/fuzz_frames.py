"""Coverage-guided fuzzing of everything that reads what an agent sends (atheris: Linux on x86-64).

    python benchmarks/fuzz_frames.py -max_total_time=60

Options are libFuzzer's; without any it goes on for 20 seconds. A finding is any exception but FrameInvalid:
it ends the run with a traceback and leaves the input in a file. The same is tested with Hypothesis in
tests/unit/ssm, which needs nothing.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from uuid import UUID

import atheris

with atheris.instrument_imports(include=["taskmedic.ssm"]):
    from taskmedic.domain.command import CommandSpec, DataKey, StreamSession
    from taskmedic.ssm import frames
    from taskmedic.ssm.command import prepare
    from taskmedic.ssm.frames import FrameInvalid
    from taskmedic.ssm.run import CommandRun, Limits
    from taskmedic.ssm.session import Session

NONCE = "0123456789abcdef" * 2
STREAM = StreamSession("session", "wss://nowhere", "token", "target")
KINDS = [frames.OUTPUT_STREAM, frames.ACKNOWLEDGE, frames.CHANNEL_CLOSED, frames.START_PUBLICATION, "odd"]
SPECS = [
    CommandSpec(script="x"),
    CommandSpec(script="#\n" * 5000 + "x"),
    CommandSpec(argv=("x",), shell=False),
]


class Nowhere:
    def write(self, data: bytes) -> None:
        pass


def one_input(data: bytes) -> None:
    """The bytes once as a single frame, and once as a recipe for a whole session of well-formed frames."""
    with suppress(FrameInvalid):
        frames.acknowledged_sequence(frames.decode(data))
    recipe = atheris.FuzzedDataProvider(data)
    spec = SPECS[recipe.ConsumeIntInRange(0, len(SPECS) - 1)]
    session = Session(STREAM, started_ms=1, now=0.0)
    run = CommandRun(spec, prepare(spec, NONCE), session, sink=Nowhere(), limits=Limits(), now=0.0)
    now = 0.0
    while recipe.remaining_bytes():
        now += recipe.ConsumeIntInRange(0, 20)
        run.receive([a_frame(recipe)], now)
        run.tick(now)
        if run.data_key_wanted:
            run.provide_data_key(DataKey(bytes(64), b"ciphertext"), now)
        run.outgoing()
    run.tick(now + Limits().longest_s(spec.timeout_s))
    assert run.result is not None, "neither a result nor a deadline"


def a_frame(recipe: atheris.FuzzedDataProvider) -> bytes:
    payload = recipe.ConsumeBytes(recipe.ConsumeIntInRange(1, 300)) or b"x"
    if recipe.ConsumeBool():
        payload = f"{NONCE}:".encode() + payload
    return frames.encode(
        KINDS[recipe.ConsumeIntInRange(0, len(KINDS) - 1)],
        payload,
        message_id=UUID(int=1),
        created_ms=1,
        sequence=recipe.ConsumeIntInRange(0, 8),
        payload_type=recipe.ConsumeIntInRange(0, 13),
    )


if __name__ == "__main__":
    atheris.Setup(sys.argv if len(sys.argv) > 1 else [sys.argv[0], "-max_total_time=20"], one_input)
    atheris.Fuzz()
