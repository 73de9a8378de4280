"""The vocabulary of the rules: what a message speaks about, and what it says happened.

Sources: Amazon ECS developer guide, "Stopped task errors" and its pages of CannotPullContainer,
ResourceInitializationError and service event messages (wording before and after July 2024); the error names
and texts of the ECS agent; the messages of Docker, containerd, runc, the AWS SDKs for Go and efs-utils.
"""

from __future__ import annotations

from taskmedic.domain.diagnosis.words.happenings import ABSENT, DENIED, DISK_FULL, THROTTLED, UNREACHABLE
from taskmedic.domain.diagnosis.words.subjects import (
    CREATE,
    DEPENDENCY,
    EBS,
    ECR_AUTH,
    EFS,
    ENI,
    ENI_ERROR,
    ENV_FILE,
    LOGS,
    PLACEMENT,
    PULL,
    ROLE,
    SECRET,
    START,
    VOLUME_PLUGIN,
)

__all__ = [
    "ABSENT",
    "CREATE",
    "DENIED",
    "DEPENDENCY",
    "DISK_FULL",
    "EBS",
    "ECR_AUTH",
    "EFS",
    "ENI",
    "ENI_ERROR",
    "ENV_FILE",
    "LOGS",
    "PLACEMENT",
    "PULL",
    "ROLE",
    "SECRET",
    "START",
    "THROTTLED",
    "UNREACHABLE",
    "VOLUME_PLUGIN",
]
