"""The pre-flight checks: one function each, from the facts to a finding. Pure.

Sources: the ECS Developer Guide's page on ECS Exec (ecs-exec.html) and its prerequisites, and the causes that
users found behind ``TargetNotConnectedException`` in AWS's public issue trackers.
"""

from __future__ import annotations

from taskmedic.domain.preflight_facts import Facts, Finding, Network, Status, Unknown

CHANNEL_ACTIONS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
LOG_ACTIONS = (
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
)
FARGATE_LINUX = (1, 4, 0)  # first platform version with ECS Exec
FARGATE_WINDOWS = (1, 0, 0)
CONTAINER_AGENT = (1, 50, 2)  # first ECS container agent with ECS Exec, on EC2 and ECS Anywhere
WRITABLE_FOR_AGENT = ("/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm")
CREDENTIAL_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def check_running(facts: Facts) -> Finding:
    """The container runs."""
    if facts.container_status == "RUNNING":
        return Finding("container", "ok", "the container is RUNNING")
    status = facts.container_status or "not known"
    return Finding(
        "container",
        "fail",
        f"the container is {status}, not RUNNING",
        "Choose a container of a running task.",
    )


def check_exec_enabled(facts: Facts) -> Finding:
    """ECS Exec was on when the task started; it cannot be switched on later."""
    if facts.exec_enabled:
        return Finding("exec_enabled", "ok", "the task was started with ECS Exec on")
    return Finding(
        "exec_enabled",
        "fail",
        "the task was started without ECS Exec",
        "aws ecs update-service --enable-execute-command --force-new-deployment "
        "(standalone task: run-task --enable-execute-command).",
    )


def check_agent(facts: Facts) -> Finding:
    """The ExecuteCommandAgent in the container is RUNNING."""
    match facts.agent_status:
        case "RUNNING":
            return Finding("agent", "ok", "the ExecuteCommandAgent is RUNNING")
        case "PENDING":
            return Finding(
                "agent",
                "warn",
                "the ExecuteCommandAgent is PENDING",
                "Wait: it starts within about a minute of the container.",
            )
        case "" if not facts.exec_enabled:
            return Finding(
                "agent",
                "fail",
                "there is no ExecuteCommandAgent in the container",
                "Switch ECS Exec on (above).",
            )
        case status:
            return Finding(
                "agent",
                "fail",
                f"the ExecuteCommandAgent is {status or 'not reported'}",
                "Stop the task so that a new one starts; should it come again, see task_role and network.",
            )


def check_platform(facts: Facts) -> Finding:
    """The platform knows ECS Exec: Fargate's version, or the container agent's on EC2 and ECS Anywhere."""
    if facts.launch_type == "FARGATE":
        windows = facts.platform_family.upper().startswith("WINDOWS")
        least = FARGATE_WINDOWS if windows else FARGATE_LINUX
        return _version_finding(
            "Fargate platform version", facts.platform_version, least, "platform version LATEST"
        )
    if isinstance(facts.container_agent, Unknown):
        return _unknown("platform", facts.container_agent)
    if not facts.container_agent:
        return Finding(
            "platform", "ok", f"launch type {facts.launch_type or 'EC2'}; its agent was not looked at"
        )
    return _version_finding(
        "ECS container agent", facts.container_agent, CONTAINER_AGENT, "a current ECS-optimized AMI"
    )


def _version_finding(what: str, version: str, least: tuple[int, ...], newer: str) -> Finding:
    wanted = ".".join(map(str, least))
    parts = _version(version)
    if parts is None:
        return Finding("platform", "unknown", f"{what} is {version or 'not reported'}; {wanted} is the least")
    if parts >= least:
        return Finding("platform", "ok", f"{what} {version}")
    return Finding("platform", "fail", f"{what} {version} is older than {wanted}", f"Deploy on {newer}.")


def _version(text: str) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in text.removeprefix("v").split("."))
    except ValueError:
        return None


def check_task_role(facts: Facts) -> Finding:
    """There is a task role and it allows the agent to open its channels."""
    if isinstance(facts.definition, Unknown):
        return _unknown("task_role", facts.definition)
    role = facts.definition.task_role_arn
    if not role:
        if facts.launch_type == "EC2":
            return Finding(
                "task_role",
                "warn",
                "there is no task role; the agent can only use the instance's",
                f"Give the task definition a taskRoleArn that allows {', '.join(CHANNEL_ACTIONS)}.",
            )
        return Finding(
            "task_role",
            "fail",
            "there is no task role, so the agent has no credentials",
            f"Give the task definition a taskRoleArn that allows {', '.join(CHANNEL_ACTIONS)}.",
        )
    return _permission_finding("task_role", facts, CHANNEL_ACTIONS, role)


def check_read_only_root(facts: Facts) -> Finding:
    """The agent writes below the root file system."""
    if isinstance(facts.definition, Unknown):
        return _unknown("root_file_system", facts.definition)
    if not facts.definition.read_only_root:
        return Finding("root_file_system", "ok", "the root file system is writable")
    mounts = facts.definition.writable_mounts
    missing = [path for path in WRITABLE_FOR_AGENT if not any(_below(path, mount) for mount in mounts)]
    if not missing:
        return Finding(
            "root_file_system",
            "warn",
            "the root file system is read-only with volumes for the agent, which AWS does not support",
            "If sessions fail to start, set readonlyRootFilesystem to false.",
        )
    return Finding(
        "root_file_system",
        "fail",
        "the root file system is read-only; the agent must write to it",
        f"Set readonlyRootFilesystem to false, or mount writable volumes at {', '.join(missing)}.",
    )


def _below(path: str, mount: str) -> bool:
    mount = mount.rstrip("/")
    return path == mount or path.startswith(f"{mount}/")


def check_pid_mode(facts: Facts) -> Finding:
    """A shared process namespace lets only one of the task's containers have sessions."""
    if isinstance(facts.definition, Unknown):
        return _unknown("pid_mode", facts.definition)
    mode = facts.definition.pid_mode
    if not mode:
        return Finding("pid_mode", "ok", "the container has its own process namespace")
    return Finding(
        "pid_mode",
        "warn",
        f"pidMode is {mode}: sessions can be started in only one of the containers that share it",
        "Run commands in one container of the task only, or remove pidMode from the task definition.",
    )


def check_credentials(facts: Facts) -> Finding:
    """Credentials in the environment replace the task role's, also for the agent."""
    if isinstance(facts.definition, Unknown):
        return _unknown("environment", facts.definition)
    found = [name for name in CREDENTIAL_NAMES if name in facts.definition.environment]
    if not found:
        return Finding("environment", "ok", "no AWS credentials in the container's environment")
    return Finding(
        "environment",
        "warn",
        f"{', '.join(found)} in the container's environment: the agent uses these and not the task role",
        f"Remove {', '.join(found)} from the container definition and give the task role the permissions.",
    )


def check_kms_key(facts: Facts) -> Finding:
    """The key that encrypts the sessions can be used, and the task role may decrypt with it."""
    configuration = facts.exec_configuration
    if isinstance(configuration, Unknown):
        return _unknown("kms_key", configuration)
    if not configuration.kms_key_id:
        return Finding("kms_key", "ok", "sessions are not encrypted with a KMS key of yours")
    if isinstance(facts.key, Unknown):
        return _unknown("kms_key", facts.key)
    if facts.key is not None and facts.key.state != "Enabled":
        return Finding(
            "kms_key",
            "fail",
            f"KMS key {configuration.kms_key_id} is {facts.key.state}",
            "Enable the key, or set another one in the cluster's executeCommandConfiguration.",
        )
    return _permission_finding("kms_key", facts, ("kms:Decrypt",), configuration.kms_key_id, denied_is="warn")


def check_exec_configuration(facts: Facts) -> Finding:
    """Where the cluster logs its sessions, and whether the task role may write there."""
    configuration = facts.exec_configuration
    if isinstance(configuration, Unknown):
        return _unknown("exec_configuration", configuration)
    if configuration.logging != "OVERRIDE":
        return Finding("exec_configuration", "ok", f"session logging is {configuration.logging}")
    wanted = [
        *(LOG_ACTIONS if configuration.log_group else ()),
        *(("s3:PutObject",) if configuration.bucket else ()),
    ]
    places = " and ".join(place for place in (configuration.log_group, configuration.bucket) if place)
    if not wanted:
        return Finding(
            "exec_configuration",
            "warn",
            "session logging is OVERRIDE without a log group or bucket",
            "Name a log group or a bucket in the cluster's executeCommandConfiguration.",
        )
    return _permission_finding(
        "exec_configuration", facts, tuple(wanted), f"session log {places}", denied_is="warn"
    )


def check_network(facts: Facts) -> Finding:
    """An awsvpc task without a public address needs a VPC endpoint or a NAT to reach Session Manager."""
    if facts.network is None:
        return Finding("network", "ok", "not an awsvpc task: it uses the instance's way out")
    if isinstance(facts.network, Unknown):
        return _unknown("network", facts.network)
    return _way_out(facts.network, f"com.amazonaws.{facts.region}.ssmmessages")


def _way_out(network: Network, service: str) -> Finding:
    if network.public_ip:
        return Finding("network", "ok", "the task has a public address")
    if network.endpoint and network.endpoint_private_dns:
        return Finding("network", "ok", f"VPC endpoint {network.endpoint} for {service}")
    if network.endpoint:
        return Finding(
            "network",
            "warn",
            f"VPC endpoint {network.endpoint} for {service} has private DNS off",
            "Switch private DNS on for the endpoint.",
        )
    # A route to an internet gateway does not help a task that has no public address.
    if network.default_route and not network.default_route.startswith("igw-"):
        return Finding("network", "ok", f"no public address; the way out is {network.default_route}")
    return Finding(
        "network",
        "fail",
        f"no public address, no NAT route, and the VPC has no endpoint for {service}",
        f"Create an interface VPC endpoint for {service} in the task's subnets, with private DNS on.",
    )


def _permission_finding(
    check: str, facts: Facts, actions: tuple[str, ...], where: str, *, denied_is: Status = "fail"
) -> Finding:
    """Whether the task role may do ``actions``, as the IAM simulation said.

    ``denied_is`` is ``warn`` where a resource's own policy, which the simulation does not see, may allow it.
    """
    if isinstance(facts.permissions, Unknown):
        return _unknown(check, facts.permissions, prefix=f"{where}: ")
    said = {action: facts.permissions.get(action, "conditional") for action in actions}
    if denied := [action for action, word in said.items() if word == "denied"]:
        what = ", ".join(denied)
        return Finding(
            check, denied_is, f"{where}: the task role may not {what}", f"Allow the task role {what}."
        )
    if unsure := [action for action, word in said.items() if word == "conditional"]:
        what = ", ".join(unsure)
        return Finding(
            check, "unknown", f"{where}: conditions decide about {what}; only a real call can tell"
        )
    return Finding(check, "ok", f"{where}: the task role may {', '.join(actions)}")


def _unknown(check: str, unknown: Unknown, *, prefix: str = "") -> Finding:
    fix = f"Allow the caller {unknown.allow}." if unknown.allow else ""
    return Finding(check, "unknown", f"{prefix}{unknown.why}", fix)
