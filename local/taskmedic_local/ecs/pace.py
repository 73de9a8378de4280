"""How fast the local ECS lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How long a task stays in each state, in seconds."""

    provisioning: float = 4.0
    pending: float = 6.0
    agent_start: float = 3.0
    healthy: float = 5.0
    stop_begins: float = 0.5
    deactivating: float = 1.0
    stopping: float = 3.0
    deprovisioning: float = 5.0
    retry: float = 2.0
    short_life: float = 60.0

    @classmethod
    def scaled(cls, scale: float) -> Pace:
        """Every stay times ``scale``."""
        return cls(**{name: seconds * scale for name, seconds in vars(cls()).items()})
