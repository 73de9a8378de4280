"""What a task needs before its containers run: volumes, environment files, secrets, logs, network, roles."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import (
    DOC_RESOURCE,
    DOC_STOPPED,
    DOCKER,
    EFS_UTILS,
    Rule,
    words,
)
from taskmedic.domain.diagnosis.rules.network import NETWORK_RULES, ROLE_RULES
from taskmedic.domain.diagnosis.words import (
    ABSENT,
    DENIED,
    EBS,
    EFS,
    ENV_FILE,
    LOGS,
    SECRET,
    THROTTLED,
    UNREACHABLE,
    VOLUME_PLUGIN,
)

INVALID_VALUE = words(
    "invalid-value",
    "did not contain json key",
    "does not contain json key",
    "doesn't contain json key",
    "looking for beginning of value",
    "invalid character",
    "unexpected end of JSON",
    "not valid JSON",
    "cannot unmarshal",
    "could not parse the secret",
    "is not a valid json",
    "secret value is empty",
    "empty secrets value",
    "unable to unmarshal",
    "AuthorizationData is malformed",
    "invalid schema",
)

VOLUME_RULES: tuple[Rule, ...] = (
    Rule(
        "efs",
        "volume.efs_mount",
        (EFS,),
        EFS_UTILS,
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: "
        "mount.nfs4: "
        "Connection timed out : unsuccessful EFS utils command execution; code: 32",
    ),
    Rule(
        "ebs",
        "volume.ebs",
        (EBS,),
        DOC_STOPPED,
        "Amazon ECS could not attach the EBS volume vol-0123456789abcdef0 to the task: VolumeInUse",
    ),
    Rule(
        "volume-plugin",
        "volume.docker_plugin",
        (VOLUME_PLUGIN,),
        DOCKER,
        "CannotCreateContainerError: Error response from daemon: error looking up volume plugin rexray/ebs: "
        "plugin not found",
        none_of=(words("volume-plugin-not", "logging driver"),),  # a plug-in too, and of the same folder
    ),
)

SECRET_RULES: tuple[Rule, ...] = (
    Rule(
        "env-file",
        "env_file.download_failed",
        (ENV_FILE,),
        DOC_RESOURCE,
        "ResourceInitializationError: failed to download env files: file download command: non-empty error "
        "stream: "
        "AccessDenied: Access Denied status code: 403",
    ),
    Rule(
        "logs-config",
        "logs.config",
        (
            LOGS,
            words(
                "logs-config",
                "must specify a value for",
                "unknown log opt",
                "invalid log opt",
                "missing required log opt",
                "Missing region",
                "could not find region",
                "failed to find region",
                "get region",
                "region is required",
                "group is required",
                "EC2RoleRequestError",
                "NoCredentialProviders",
                "no valid providers in chain",
                "CredentialsEndpointError",
                "failed to load credentials",
                "failed to refresh cached credentials",
                "no log driver named",
                "log driver is not supported",
                "logging driver is not supported",
                "no such logging driver",
                "plugin not found",
                "invalid log",
                "unsupported log",
                "MissingEndpoint",  # a Region that is none
                "no log configuration specified",
                "requires options",
                "token is expected",
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: must "
        "specify a "
        "value for log opt 'awslogs-group'",
    ),
    Rule(
        "logs-denied",
        "logs.access_denied",
        (LOGS, DENIED),
        DOC_RESOURCE,
        "ResourceInitializationError: failed to validate logger args: create log group: "
        "AccessDeniedException: User is "
        "not authorized to perform: logs:CreateLogGroup",
    ),
    Rule(
        "logs-throttled",
        "logs.network",
        (LOGS, THROTTLED),
        DOC_RESOURCE,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
        "times: failed to create Cloudwatch log stream: ThrottlingException: Rate exceeded "
        "status code: 400, request id: 01234567-89ab-cdef-0123-456789abcdef : exit status 1",
    ),
    Rule(
        "logs-unreachable",
        "logs.network",
        (LOGS, UNREACHABLE),
        DOC_RESOURCE,
        "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon "
        "CloudWatch log "
        "group defined in the task definition. There is a connection issue between the task and Amazon "
        "CloudWatch.",
    ),
    Rule(
        "logs-missing",
        "logs.not_found",
        (LOGS, ABSENT),
        DOC_RESOURCE,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
        "times: failed to "
        "create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
    ),
    Rule(
        "secret-invalid",
        "secrets.invalid_value",
        (SECRET, INVALID_VALUE),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret "
        "from asm: "
        "retrieved secret from Secrets Manager did not contain json key password",
    ),
    Rule(
        "secret-json-key",
        "secrets.invalid_value",
        (words("secret-json-key", "contain json key"),),
        DOC_RESOURCE,
        "unable to pull secrets: did not contain json key password",
    ),
    Rule(
        "secret-denied",
        "secrets.access_denied",
        (SECRET, DENIED),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret "
        "from asm: "
        "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/orders-exec/0123 is not "
        "authorized to "
        "perform: secretsmanager:GetSecretValue",
    ),
    Rule(
        "secret-unreachable",
        "secrets.network",
        (SECRET, UNREACHABLE),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull secrets "
        "from AWS "
        "Secrets Manager. There is a connection issue between the task and AWS Secrets Manager.",
    ),
    Rule(
        "secret-missing",
        "secrets.not_found",
        (
            SECRET,
            words(
                "secret-missing",
                ABSENT,
                "ValidationException",
                "invalid ARN",
                "invalid parameter",
                "arn: invalid",
                "malformed",
                "must be one of the following",
                "invalid name",
                "marked for deletion",
                "scheduled for deletion",
                "has no value",
            ),
        ),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets "
        "from ssm: "
        "invalid parameters: /orders/db-url",
    ),
    Rule(
        "secret-throttled",
        "secrets.network",
        (SECRET, THROTTLED),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets "
        "from ssm: "
        "ThrottlingException: Rate exceeded",
    ),
)

RESOURCE_RULES: tuple[Rule, ...] = (*ROLE_RULES, *VOLUME_RULES, *SECRET_RULES, *NETWORK_RULES)
