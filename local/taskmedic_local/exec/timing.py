"""How long the agent of ECS Exec waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The agent's fixed waits, in seconds. Limits that cost nothing when all goes well are not scaled."""

    worker_start: float = 0.1
    first_output: float = 1.0
    failed_start: float = 2.0
    between_reads: float = 0.001
    placement: float = 5.0
    idle: float = 1200.0
    handshake: float = 15.0
    drain: float = 2.0

    @classmethod
    def scaled(cls, scale: float) -> Timing:
        """The waits times ``scale``; drain and handshake stay as they are."""
        real = cls()
        return cls(
            worker_start=real.worker_start * scale,
            first_output=real.first_output * scale,
            failed_start=real.failed_start * scale,
            between_reads=real.between_reads * scale,
            placement=real.placement * scale,
            idle=real.idle * scale,
        )
