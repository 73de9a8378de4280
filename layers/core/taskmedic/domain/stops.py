"""Our own stops, and how they are recognised."""

# Every stop of ours carries this at the beginning of ECS's stoppedReason; its event must start nothing.
OWN_STOP_PREFIX = "Taskmedic: "
