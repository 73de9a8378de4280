"""The local message gateway and agent of ECS Exec, and the local Run Command."""
