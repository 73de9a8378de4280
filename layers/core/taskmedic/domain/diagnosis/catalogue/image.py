"""Images that could not be pulled."""

from __future__ import annotations

from taskmedic.domain.diagnosis.catalogue.model import Category, Line

IMAGE = (
    Category(
        "image_pull.not_found",
        "The repository, tag or pinned digest does not exist.",
        "Image not found: {image}",
        "{image} is not in the registry. A tag that was overwritten, expired or never pushed looks the same; "
        "ECS pins a tag "
        "to the digest it had when the deployment began.",
        (
            "Compare {image} with what the registry holds: repository, tag, account and Region.",
            "Deploy a tag that exists, or roll back to the last task definition revision that started.",
            "In ECR, look whether a lifecycle rule removed the image.",
        ),
    ),
    Category(
        "image_pull.auth",
        "The registry refused the pull: permission, credentials or a policy.",
        "Image pull refused: {image}",
        "The registry refused to hand out {image}. A private repository that does not exist is refused in "
        "the same words.",
        (
            Line(
                "endpoint_policy",
                "The VPC endpoint's policy refuses it: allow {action} there, not in the role.",
            ),
            Line(
                "repository_policy",
                "The repository's policy does not let this account in: allow {action} there.",
            ),
            Line(
                "action",
                "Allow {role} {action} on {resource}; AmazonECSTaskExecutionRolePolicy has what ECR needs.",
            ),
            Line(
                "",
                "If it is in ECR, allow {role} what AmazonECSTaskExecutionRolePolicy holds; a repository of "
                "another account must let this one in.",
                unless=("action", "other_registry"),
            ),
            "Check that {image} is spelled as the registry spells it.",
            Line(
                "",
                "For a private registry outside ECR, set repositoryCredentials to a secret with a valid "
                "login.",
                unless=("ecr",),
            ),
        ),
    ),
    Category(
        "image_pull.network",
        "The registry, the ECR API or the S3 bucket of the layers cannot be reached.",
        "Registry unreachable while pulling {image}",
        "The task could not reach {registry} from {subnet}. Nothing answered, so no permission is at fault "
        "yet.",
        (
            (
                "Give the task a way out: a public IP in a public subnet, or a NAT gateway in the route of "
                "{subnet}."
            ),
            (
                "Without a way out, have endpoints for ecr.api, ecr.dkr, logs and S3, whose security groups "
                "let "
                "in port 443."
            ),
            "Check that the VPC has DNS resolution and DNS host names switched on.",
            "If it happened once only, start the task again.",
        ),
    ),
    Category(
        "image_pull.rate_limited",
        "The registry limits the rate of pulls.",
        "Pull rate limit reached for {image}",
        "{registry} refused the pull because too many came from this address or account. It will answer "
        "again later.",
        (
            "Wait and start again; do not let the service retry without pause.",
            "Pull through an ECR pull-through cache, or log in to the registry with repositoryCredentials.",
        ),
    ),
    Category(
        "image_pull.platform_mismatch",
        "The image has no variant for the task's operating system and CPU, or its manifest is of a kind no "
        "longer read.",
        "Image does not fit the platform: {image}",
        "{image} exists, but not for the operating system and CPU architecture the task runs on, or its "
        "manifest is of a "
        "format that the runtime no longer reads.",
        (
            "Build the image for the task's platform (docker buildx build --platform), or for several.",
            "Or set runtimePlatform of the task definition to what the image is built for.",
            "Until then, roll back to the last task definition revision that started.",
        ),
    ),
    Category(
        "image_pull.disk_full",
        "The disk was full while the image was downloaded or extracted.",
        "Disk full while pulling {image}",
        "The image did not fit on the disk of the host or of the Fargate task.",
        (
            "On Fargate, raise ephemeralStorage (up to 200 GiB) or make the image smaller.",
            "On EC2, clean unused images, enlarge the volume, or drain and replace {instance}.",
        ),
    ),
    Category(
        "image_pull.other",
        "The pull failed and the text does not say why, or for none of the reasons above.",
        "Image pull failed: {image}",
        "{image} could not be pulled; the text ends before the cause, or names one that is not known.",
        (
            "Fetch the full reason: `aws ecs describe-tasks` shows more of it than an event or the console.",
            "Check in this order: the image exists, the role may pull it, the network reaches the registry.",
            "If it happened once only, start the task again.",
        ),
        many_causes=True,
    ),
)
