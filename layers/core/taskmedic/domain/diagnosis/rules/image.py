"""The image could not be pulled."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import (
    CONTAINERD,
    DOC_PULL,
    DOC_RESOURCE,
    DOCKER,
    Rank,
    Rule,
    words,
)
from taskmedic.domain.diagnosis.words import (
    ABSENT,
    DENIED,
    DISK_FULL,
    ECR_AUTH,
    PULL,
    SECRET,
    THROTTLED,
    UNREACHABLE,
)

REFUSED = words(
    "registry-refused",
    DENIED,
    "401 Unauthorized",
    "HTTP 401",
    "unauthorized",
    "status code: 401",
    "StatusCode: 401",
    "authentication required",
    "no basic auth credentials",
    "NoCredentialProviders",
    "no valid providers in chain",
    "denied:",
    "credentials not found",
    "credentials: not found",
    "incorrect username or password",
    "may require docker login",
    "authorization failed",
    "insufficient_scope",
    "invalid username/password",
    "authorization token has expired",
)

# What is not there, or ends early, while a layer is unpacked is a file of the host's.
UNPACKING = words("unpacking", "register layer", "extract layer")

IMAGE_RULES: tuple[Rule, ...] = (
    Rule(
        "pull-rate-limited",
        "image_pull.rate_limited",
        (PULL, THROTTLED),
        DOC_PULL,
        "CannotPullContainerError: inspect image has been retried 5 time(s): httpReadSeeker: failed open: "
        "unexpected "
        "status code 429 Too Many Requests - toomanyrequests: You have reached your pull rate limit.",
    ),
    Rule(
        "registry-rate-limited",
        "image_pull.rate_limited",
        (words("registry-rate-limited", "toomanyrequests", "pull rate limit", "increase-rate-limits"),),
        DOCKER,
        "You have reached your pull rate limit.",
    ),
    Rule(
        "pull-disk-full",
        "image_pull.disk_full",
        (PULL, DISK_FULL),
        DOC_PULL,
        "CannotPullContainerError: failed to register layer: write /opt/model.bin: no space left on device",
    ),
    Rule(
        "pull-platform",
        "image_pull.platform_mismatch",
        (
            PULL,
            words(
                "pull-platform",
                "descriptor matching platform",
                "descriptor for platform",
                "image index for architecture",
                "manifest list for architecture",
                "no matching manifest for",
                "no match for platform",
                "cannot be used on this platform",
                "operating system is not supported",
                "incompatible with the host",
                "incompatible with a",
                "image manifest version 2, schema 1",
                "schema 1 support",
                "schema version 1",
                "manifest schema",
                "unsupported media type",
                "unsupported manifest",
                "is no longer supported",
                "mediaType in manifest",
                "unsupported image",
                "encountered unknown type",
                "unknown media type",
                "does not match the specified platform",
                "for the current platform",
                "no child with platform",
                "no processor for media",
                "stream processor for",
            ),
        ),
        DOC_PULL,
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not "
        "contain "
        "descriptor matching platform 'linux/arm64'.",
    ),
    Rule(
        "pull-refused",
        "image_pull.auth",
        (PULL, REFUSED),
        DOC_PULL,
        "CannotPullContainerError: Error response from daemon: pull access denied for example/orders, "
        "repository does "
        "not exist or may require 'docker login'",
        # the registry's credentials are themselves a secret, and that was refused; or a proxy on the way
        none_of=(
            words("pull-refused-not", "from asm", "secretsmanager:", "ssm:Get", "Proxy Authentication"),
        ),
    ),
    Rule(
        "pull-missing",
        "image_pull.not_found",
        (PULL, words("pull-missing", ABSENT, "no such manifest", "repository name not known")),
        DOC_PULL,
        "CannotPullContainerError: Error response from daemon: manifest for example/orders:2.0 not found: "
        "manifest "
        "unknown: Requested image not found",
        none_of=(UNPACKING, words("pull-missing-not", UNREACHABLE, "blob not found")),
    ),
    Rule(
        "pull-unreachable",
        "image_pull.network",
        (
            PULL,
            words(
                "pull-unreachable",
                UNREACHABLE,
                "nil pointer dereference",  # AWS's page files this Go panic under network configuration
                "connection issue",
                "failed to do request",  # containerd's words before an error of the transport
            ),
        ),
        DOC_PULL,
        "CannotPullContainerError: Error response from daemon: Get https://registry-1.docker.io/v2/: "
        "net/http: request "
        "canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        none_of=(UNPACKING,),
    ),
    Rule(
        "image-missing-on-host",
        "image_pull.not_found",
        (words("image-missing-on-host", "No such image"),),
        DOCKER,
        "CannotCreateContainerError: Error response from daemon: No such image: example/orders:2.0",
    ),
    Rule(
        "ecr-auth-refused",
        "image_pull.auth",
        (ECR_AUTH, REFUSED),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
        "failed: "
        "unable to retrieve ecr registry auth: AccessDeniedException: User: "
        "arn:aws:sts::123456789012:assumed-role/"
        "orders-exec/0123 is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
    ),
    Rule(
        "ecr-auth-unreachable",
        "image_pull.network",
        (ECR_AUTH, UNREACHABLE),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull "
        "registry auth from "
        "Amazon ECR: There is a connection issue between the task and Amazon ECR.",
    ),
    Rule(
        "auth-unreachable-outline",
        "image_pull.network",
        (
            words("auth-unreachable-outline", "pull secrets or registry auth", "pull registry auth"),
            UNREACHABLE,
        ),
        DOC_RESOURCE,
        "ResourceInitializationError: unable to pull secrets or registry auth: dial tcp 10.0.1.17:443: i/o "
        "timeout",
        none_of=(SECRET,),
        rank=Rank.OUTLINE,
    ),
    Rule(
        "layer-disk-full",
        "image_pull.disk_full",
        (
            words("layer-disk-full", "ImportLayer", "GetImageBlob", "containerd/tmpmounts", "extracting"),
            DISK_FULL,
        ),
        CONTAINERD,
        "write /var/lib/containerd/tmpmounts/containerd-mount1/opt/model.bin: no space left on device",
    ),
    Rule(
        "pull-outline",
        "image_pull.other",
        (PULL,),
        DOC_PULL,
        "CannotPullContainerError: Error response from daemon: context canceled",
        none_of=(SECRET,),
        rank=Rank.OUTLINE,
    ),
)
