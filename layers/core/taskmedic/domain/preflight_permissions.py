"""What the task role must be allowed, on which resource: a policy of least privilege names it. Pure."""

from __future__ import annotations

from taskmedic.domain.arns import Arn
from taskmedic.domain.preflight_checks import CHANNEL_ACTIONS
from taskmedic.domain.preflight_facts import ExecConfiguration

ANYTHING = "*"
# A log stream or object of a session, which Session Manager names after it.
_SESSION = "ecs-execute-command"


def wanted_permissions(
    configuration: ExecConfiguration, key_arn: str, cluster_arn: str
) -> list[tuple[str, tuple[str, ...]]]:
    """Resources, each with the actions that sessions need on it.

    Sources: ECS Developer Guide, "Logging and auditing ECS Exec" and "Using a KMS key"; Service Authorization
    Reference, CloudWatch Logs: which actions are asked of a log stream, and DescribeLogGroups of all groups.

    Args:
        key_arn: Of the sessions' KMS key. Empty where it is not known: then nothing is said of the key.
        cluster_arn: Names the partition, region and account of what the cluster names without them.
    """
    wanted: list[tuple[str, tuple[str, ...]]] = [(ANYTHING, CHANNEL_ACTIONS)]
    home = Arn.parse(cluster_arn)
    if configuration.kms_key_id and key_arn:
        wanted.append((key_arn, ("kms:Decrypt",)))
    if home and configuration.log_group:
        logs = f"arn:{home.partition}:logs:{home.region}:{home.account}:log-group:"
        wanted.append((f"{logs}:log-stream:", ("logs:DescribeLogGroups",)))
        wanted.append(
            (
                f"{logs}{configuration.log_group}:log-stream:{_SESSION}",
                ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            )
        )
    if home and configuration.bucket:
        prefix = f"{configuration.key_prefix.rstrip('/')}/" if configuration.key_prefix else ""
        wanted.append(
            (f"arn:{home.partition}:s3:::{configuration.bucket}/{prefix}{_SESSION}", ("s3:PutObject",))
        )
    return wanted
