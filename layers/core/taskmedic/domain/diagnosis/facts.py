"""What a message names: the image, the role, the secret, the log group, the subnet, the port, …

Each fact is looked for only when the category's texts speak of it. All patterns are bounded; only the
beginning of a long message is searched, since AWS's own end after a few kilobytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from taskmedic.domain.arns import last_part
from taskmedic.domain.diagnosis.model import DiagnosisContext
from taskmedic.domain.diagnosis.text import Message, phrases
from taskmedic.domain.diagnosis.words import THROTTLED
from taskmedic.domain.masking import mask
from taskmedic.domain.task_record import ContainerRecord, TaskRecord

SEARCHED_CHARS = 4000
_IMAGE = r"[\w.\-:/@]{2,300}"

# The first group is the fact. Tried in order.
_PATTERNS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    name: tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
    for name, patterns in {
        "action": (
            r"perform:? {0,2}([a-z0-9\-]{2,30}:[a-z*]{3,60})",
            r"\b((?:ecr|secretsmanager|ssm|kms|logs|s3|ec2|elasticfilesystem):[a-z]{3,60})",
        ),
        "command": (r"exec:? [\"\\']{1,6}([^\"\\']{1,300})", r"\bstat ([^\s:]{1,300})"),
        "dependency": (r"dependency \[([^\]]{1,255})\]", r"depends on (?:container )?\"?([\w\-]{1,255})"),
        "env_file": (r"with key ([^\s,]{1,1024}) from", r"(arn:aws[\w\-]{0,12}:s3:::[^\s,;\"']{1,500})"),
        "file_system": (r"\b(fs-[0-9a-f]{8,40})",),
        "image": (
            rf"(\d{{12}}\.dkr\.ecr\.[\w\-]{{4,30}}\.[\w.]{{5,30}}/{_IMAGE})",
            rf"manifest for ({_IMAGE}) not found",
            rf"access denied for ({_IMAGE})",
            rf"(?:resolve|unpack) (?:ref|reference|image) [\"\\']{{0,4}}({_IMAGE})",
            rf"repository ({_IMAGE}) not found",
            rf"pull image [\"']?({_IMAGE})",
            rf"no such image: ({_IMAGE})",
        ),
        "instance": (r"\b(i-[0-9a-f]{8,17})\b",),
        "json_key": (r"json key ([\w.\-/]{1,255})",),
        "key": (r"(arn:aws[\w\-]{0,12}:kms:[\w\-]{0,30}:\w{0,12}:(?:key|alias)/[\w/\-]{1,256})",),
        "log_group": (r"log-group:([\w./#\-]{1,512})", r"log group '?([\w./#\-]{0,500}/[\w./#\-]{1,500})"),
        "missing_resource": (
            r"insufficient ([a-z]{2,20}(?: units)?)",
            r"RESOURCE:([a-z]{2,20})",
            r"already using a (port)\b",
        ),
        "path": (
            r"rootfs at [\"\\']{1,6}([^\"\\']{1,300})",
            r"mount(?:ing)? [\"\\']{1,6}([^\"\\']{1,300})",
            r"chown ([^\s:]{1,300})",
        ),
        "port": (r"(?:0\.0\.0\.0|\[::\]|127\.0\.0\.1):(\d{1,5})", r"\bport (\d{1,5})\b"),
        "reason_code": (r"due to \(reason ([^)]{1,200})\)?",),
        "registry": (r"https?://([\w.\-]{3,255})", r"dial tcp:? (?:lookup )?([\w.\-]{3,255})"),
        "resource": (r"resource:? (arn:[^\s,;\"']{10,500}|\*)",),
        "role": (
            r"assumed-role/([\w+=,.@\-]{1,64})",
            r"(arn:aws[\w\-]{0,12}:iam::\w{0,12}:role/[\w+=,.@\-/]{1,512})",
        ),
        "secret": (
            r"(arn:aws[\w\-]{0,12}:(?:secretsmanager|ssm):[\w\-]{0,30}:[\w*]{0,12}:[^\s,;\"']{1,512})",
            r"invalid (?:ssm )?parameters:? \[?([\w./\-]{1,512})",
            r"secret ([\w./+=@\-]{1,512}):",
        ),
        "log_router": (
            r"dial unix ([^\s:]{1,200})",
            r"dial tcp:? ((?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5})",
        ),
        "subnet": (r"\b(subnet-[0-9a-f]{8,40})",),
        "target_group": (r"targetgroup/([\w\-]{1,64})", r"target-group ([\w\-]{1,64})\)"),
        "trusted_role": (
            r"(arn:aws[\w\-]{0,12}:iam::[\w*]{0,12}:role/[\w+=,.@\-/]{1,512})",
            r"assume (?:the )?(?:[a-z]{1,20} ){0,3}role:? [\"']([\w+=,.@\-/]{1,512})",
        ),
        "user": (r"unable to find (?:user|group) ([^\s:]{1,64})",),
    }.items()
}
_PREFIXES = {"port": "port ", "target_group": "target group "}
# Facts that are only so or not so: known when the text says one of the words, other than in a name.
_SAID = {
    group.name.removeprefix("fact:"): group
    for group in (
        phrases("fact:ecr", "dkr.ecr", "ecr:", "ecr registry", "Amazon ECR", "ECR URL"),
        phrases("fact:endpoint_policy", "endpoint policy allows"),
        phrases("fact:kms", "kms:", "to KMS", "KMS key", "KMSAccessDenied", "ciphertext refers"),
        phrases("fact:repository_policy", "no resource-based policy"),
        phrases("fact:throttled", THROTTLED),
    )
}


def facts_of(
    wanted: Collection[str],
    message: Message | None,
    record: TaskRecord,
    container: ContainerRecord | None,
    context: DiagnosisContext,
) -> dict[str, str]:
    """Those of the ``wanted`` facts that are known: from the message, else from the task and what was
    collected.
    """
    text = message.text[:SEARCHED_CHARS] if message else ""
    facts: dict[str, str] = {}
    for name in wanted:
        if message and name in _SAID and message.says(_SAID[name]):
            facts[name] = "yes"
        elif value := _from_text(name, text):
            facts[name] = mask(value)
        elif value := _from_record(name, record, container, context):
            facts[name] = value  # a name or a number of AWS's
    if "other_registry" in wanted and "image" in facts and "ecr" not in facts:
        facts["other_registry"] = "yes"
    return facts


def _from_text(name: str, text: str) -> str:
    for pattern in _PATTERNS.get(name, ()):
        if found := pattern.search(text):
            return _PREFIXES.get(name, "") + found[1].rstrip(".:,;)(")
    return ""


def _from_record(
    name: str, record: TaskRecord, container: ContainerRecord | None, context: DiagnosisContext
) -> str:
    source = _FROM_RECORD.get(name)
    return source(record, container, context) if source else ""


def _container_name(_: TaskRecord, container: ContainerRecord | None, __: DiagnosisContext) -> str:
    return container.name if container else ""


def _container_image(record: TaskRecord, container: ContainerRecord | None, _: DiagnosisContext) -> str:
    if container is None and len(record.containers) == 1:
        container = record.containers[0]
    return container.image if container else ""


def _execution_role(record: TaskRecord, __: ContainerRecord | None, context: DiagnosisContext) -> str:
    role = last_part(str((context.task_definition or {}).get("executionRoleArn") or ""))
    return role or ("the role of the container instance" if record.launch_type == "EC2" else "")


def _in_ecr(record: TaskRecord, container: ContainerRecord | None, context: DiagnosisContext) -> str:
    return "yes" if ".dkr.ecr" in _container_image(record, container, context) else ""


def _trusted_roles(_: TaskRecord, __: ContainerRecord | None, context: DiagnosisContext) -> str:
    """Both, since ECS does not always say which one it could not assume."""
    definition = context.task_definition or {}
    roles = [str(definition.get(name) or "") for name in ("taskRoleArn", "executionRoleArn")]
    return " or ".join(dict.fromkeys(filter(None, roles)))


def _log_group(_: TaskRecord, container: ContainerRecord | None, context: DiagnosisContext) -> str:
    definition = container_definition(context, container)
    options = (definition.get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group") or "")


def _memory(_: TaskRecord, container: ContainerRecord | None, context: DiagnosisContext) -> str:
    limit = container_definition(context, container).get("memory")
    if limit:
        return f"its limit of {limit} MiB"
    task_limit = (context.task_definition or {}).get("memory")
    return f"the task's {task_limit} MiB" if task_limit else ""


def _subnet(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    return next((a.details["subnetId"] for a in record.attachments if a.details.get("subnetId")), "")


def _instance(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    name = last_part(record.container_instance_arn)
    return f"container instance {name}" if name else ""


def _service(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    return record.service


def _of_service(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    return "yes" if record.of_service else ""


def _of_job(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    return "" if record.of_service else "yes"


def _target_reason(_: TaskRecord, __: ContainerRecord | None, context: DiagnosisContext) -> str:
    return mask(context.target_reason)


def _killed(record: TaskRecord, _: ContainerRecord | None, __: DiagnosisContext) -> str:
    return "yes" if any(c.exit_code == 137 for c in record.containers) else ""


_FROM_RECORD: Mapping[str, Callable[[TaskRecord, ContainerRecord | None, DiagnosisContext], str]] = {
    "container": _container_name,
    "ecr": _in_ecr,
    "image": _container_image,
    "instance": _instance,
    "killed": _killed,
    "log_group": _log_group,
    "memory": _memory,
    "of_job": _of_job,
    "reason_code": _target_reason,
    "of_service": _of_service,
    "role": _execution_role,
    "service": _service,
    "subnet": _subnet,
    "trusted_role": _trusted_roles,
}

# The facts that have a source here.
SOURCES = frozenset({*_PATTERNS, *_SAID, *_FROM_RECORD})


def container_definition(context: DiagnosisContext, container: ContainerRecord | None) -> Mapping[str, Any]:
    """The container's definition in the task definition; empty when that is not known."""
    definitions = (context.task_definition or {}).get("containerDefinitions") or []
    for definition in definitions:
        if container is not None and definition.get("name") == container.name:
            return dict(definition)
    return {}
