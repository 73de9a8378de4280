"""Secrets, environment files, logs, volumes, network and roles."""

from __future__ import annotations

from taskmedic.domain.diagnosis.catalogue.model import Category, Line

SECRETS = (
    Category(
        "secrets.access_denied",
        "The role, an endpoint's policy or KMS refused to hand out a secret or parameter.",
        "Secret refused: {secret}",
        "{role} was not allowed to read {secret}. The containers never started.",
        (
            Line(
                "endpoint_policy",
                "The VPC endpoint's policy refuses it: allow {action} there, not in the role.",
            ),
            Line("kms", "Allow {role} kms:Decrypt on {key}, in the role's policy and in the key's."),
            Line(
                "action",
                "Allow {role} {action} on {secret} (a secret by its full ARN, with the six-character suffix "
                "or `*`).",
                unless=("kms",),
            ),
            Line(
                "",
                "Allow {role} secretsmanager:GetSecretValue or ssm:GetParameters on {secret}.",
                unless=("action", "kms"),
            ),
            Line(
                "",
                "If it is encrypted with a key of your own, allow the role kms:Decrypt on that key.",
                unless=("kms",),
            ),
        ),
    ),
    Category(
        "secrets.not_found",
        "The secret or parameter does not exist under that name in that Region.",
        "Secret not found: {secret}",
        "{secret} does not exist in the task's Region and account, or its reference is malformed.",
        (
            (
                "Compare the reference in the task definition with the secret: name, Region, account, ARN "
                "suffix, version."
            ),
            "Create it, or roll back to the last task definition revision that started.",
        ),
    ),
    Category(
        "secrets.invalid_value",
        "The secret exists, but its value is not what the task definition asks for.",
        "Secret has no usable value: {secret}",
        "The value of {secret} is no JSON object with {json_key}.",
        (
            "Add {json_key} to the secret's value, or correct the key in the task definition's valueFrom.",
            "Check that the value is valid JSON: double quotes, no trailing comma.",
        ),
    ),
    Category(
        "secrets.network",
        "Secrets Manager, Parameter Store or KMS cannot be reached.",
        "Secrets unreachable: {secret}",
        "The task could not reach the service that keeps {secret}. Nothing answered, so no permission is at "
        "fault yet.",
        (
            (
                "Give the task a way out: a public IP in a public subnet, or a NAT gateway in the route of "
                "{subnet}."
            ),
            (
                "Without a way out, have endpoints for secretsmanager, ssm and kms, whose security groups "
                "let "
                "in port 443."
            ),
            "If it happened once only, start the task again.",
        ),
    ),
    Category(
        "env_file.download_failed",
        "The environment file could not be fetched from S3.",
        "Environment file not fetched: {env_file}",
        "{env_file} could not be read from S3: it is missing, refused to {role}, or S3 cannot be reached.",
        (
            "Check that the object exists and that its bucket is in the task's Region.",
            "Allow {role} s3:GetObject on the object and s3:GetBucketLocation on the bucket.",
            "In a subnet without a way out, have a gateway endpoint for S3 in the route of {subnet}.",
        ),
        many_causes=True,
    ),
)

LOGS = (
    Category(
        "logs.not_found",
        "The CloudWatch log group does not exist.",
        "Log group not found: {log_group}",
        "{log_group} does not exist, and the awslogs driver does not create it unless told so.",
        (
            "Create {log_group} in the task's Region.",
            "Or set awslogs-create-group to true and allow {role} logs:CreateLogGroup.",
        ),
    ),
    Category(
        "logs.access_denied",
        "The role may not create or write the logs.",
        "Logging refused: {log_group}",
        "{role} was not allowed to create or write {log_group}, so the containers were not started.",
        (
            Line(
                "endpoint_policy",
                "The VPC endpoint's policy refuses it: allow {action} there, not in the role.",
            ),
            Line("action", "Allow {role} {action} on {log_group}."),
            Line(
                "",
                "Allow {role} logs:CreateLogStream, logs:PutLogEvents and, if it is to create the group, "
                "logs:CreateLogGroup.",
                unless=("action",),
            ),
            "Or create {log_group} yourself and take awslogs-create-group out of the task definition.",
        ),
    ),
    Category(
        "logs.network",
        "CloudWatch Logs, or the log driver's own destination, cannot be reached or is called too often.",
        "Log destination unreachable or busy: {log_group}",
        "The place its logs go to did not answer the task, or refused to be called so often. The text may "
        "say that the log group cannot be found; it was never asked.",
        (
            Line(
                "throttled",
                "CloudWatch Logs limits the rate of calls: wait a minute and start the task again.",
            ),
            Line(
                "throttled",
                "If it repeats, start fewer tasks at once, or request a higher quota of CreateLogStream.",
            ),
            Line(
                "log_router",
                "Check that the log router, fluentd or plug-in that listens on {log_router} runs, and starts "
                "before the container (dependsOn).",
            ),
            Line(
                "",
                "Give the task a way out: a public IP in a public subnet, or a NAT gateway in the route of "
                "{subnet}.",
                unless=("throttled", "log_router"),
            ),
            Line(
                "",
                "Without a way out, have an endpoint for logs, whose security group lets in port 443.",
                unless=("throttled", "log_router"),
            ),
        ),
        many_causes=True,
    ),
    Category(
        "logs.config",
        "The log driver's options are wrong or incomplete.",
        "Log driver not configured: {container}",
        "The log driver refused its options, so the container was not started.",
        (
            (
                "Check logConfiguration: awslogs-group, awslogs-region and awslogs-stream-prefix are present "
                "and spelled so."
            ),
            (
                "On EC2, check that the instance's agent offers the driver (ECS_AVAILABLE_LOGGING_DRIVERS) "
                "and "
                "has credentials."
            ),
        ),
        many_causes=True,
    ),
)

VOLUMES = (
    Category(
        "volume.efs_mount",
        "An EFS file system could not be mounted.",
        "EFS file system not mounted: {file_system}",
        "{file_system} could not be mounted: its name does not resolve, port 2049 is closed, its policy "
        "refuses, or the "
        "directory is missing. The words about botocore in such a text mean nothing.",
        (
            (
                "Check that the VPC has a mount target of {file_system} in the task's Availability Zone, and "
                "DNS switched on."
            ),
            "Let the task's security group in to the mount target's on port 2049.",
            (
                "If the server refused, check the file-system policy, the access point, "
                "elasticfilesystem:ClientMount, and "
                "that the root directory exists."
            ),
            "A new file system fails for a minute or two: start the task again once.",
        ),
        many_causes=True,
    ),
    Category(
        "volume.ebs",
        "A volume that ECS manages could not be created, attached or formatted.",
        "EBS volume not attached",
        "ECS could not create, attach or format the EBS volume of the task.",
        (
            (
                "Check the infrastructure role: AmazonECSInfrastructureRolePolicyForVolumes, and the KMS "
                "key if "
                "there is one."
            ),
            "Check the snapshot, the volume type's limits and the Availability Zone.",
        ),
        many_causes=True,
    ),
    Category(
        "volume.docker_plugin",
        "A Docker volume or volume plug-in failed.",
        "Docker volume failed: {container}",
        "The volume driver of the host could not create or mount the volume.",
        (
            "Check on {instance} that the plug-in is installed and running, and read its log.",
            "Drain the instance if other hosts work.",
        ),
        many_causes=True,
    ),
)

NETWORK = (
    Category(
        "network.eni_provisioning",
        "The task's network interface could not be made or attached.",
        "Network interface not provisioned in {subnet}",
        "The network interface of the task did not come up, so no container was started.",
        (
            "Start the task again: most such failures pass.",
            (
                "If it repeats: check the subnet and security groups of the service, tag policies of the "
                "organisation, and on "
                "EC2 the instance's limit of interfaces (awsvpcTrunking)."
            ),
            "Check that the role AWSServiceRoleForECS exists and has not been restricted.",
        ),
        many_causes=True,
    ),
    Category(
        "network.ip_exhausted",
        "The subnet has no free address.",
        "No free IP address in {subnet}",
        "{subnet} has no address left for the task's network interface.",
        (
            "Give the service further subnets, or subnets with more addresses.",
            "Look for interfaces that nothing uses any more in {subnet}, and delete them.",
            "Lower maximumPercent of the deployment while addresses are short.",
        ),
    ),
)

ROLES = (
    Category(
        "iam.role_assume_failed",
        "ECS cannot assume the task role or the execution role.",
        "Role cannot be assumed: {trusted_role}",
        "ECS was refused when it assumed {trusted_role}: the role is missing, or does not trust "
        "ecs-tasks.amazonaws.com.",
        (
            "Check that {trusted_role} exists and is spelled so in the task definition.",
            "Let its trust policy allow ecs-tasks.amazonaws.com the action sts:AssumeRole.",
            "If the role was made within the last minute, start the task again.",
        ),
    ),
)

RESOURCES = (*SECRETS, *LOGS, *VOLUMES, *NETWORK, *ROLES)
