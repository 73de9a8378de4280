"""The runtime could not create, start, inspect or stop a container."""

from __future__ import annotations

from taskmedic.domain.diagnosis.rules.model import AGENT, CONTAINERD, DOC_STOPPED, DOCKER, Rule, words
from taskmedic.domain.diagnosis.words import CREATE, DEPENDENCY, DISK_FULL, START

TIMED_OUT = words(
    "transition-timed-out",
    "DockerTimeoutError",
    "ContainerRuntimeTimeoutError",
    "Could not transition to",
    "Could not tranisition to",
    "timed out after waiting",
)

START_RULES: tuple[Rule, ...] = (
    Rule(
        "start-port",
        "container.start_failed.port",
        (
            words(
                "start-port",
                "port is already allocated",
                "address already in use",
                "failed programming external connectivity",
                "Bind for 0.0.0.0",
                "listen tcp",
                "userland proxy",
                "Ports are not available",
                "specified port already exists",
                "Only one usage of each socket address",
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: driver failed programming external "
        "connectivity on "
        "endpoint orders: Bind for 0.0.0.0:8080 failed: port is already allocated",
        none_of=(words("start-port-not", "iptables"),),  # the host's packet filter failed, no port is taken
    ),
    Rule(
        "start-user",
        "container.start_failed.user",
        (
            words(
                "start-user",
                "unable to find user",
                "unable to find group",
                "no matching entries in passwd",
                "no matching entries in group",
                "/etc/passwd",
                "invalid user",
                "unknown user",
                "no users found",
                "no such user",
                "user name or password is incorrect",  # Windows
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: unable to find user orders: no matching "
        "entries in "
        "passwd file",
    ),
    Rule(
        "start-device",
        "container.start_failed.device",
        (
            words(
                "start-device",
                "nvidia",
                "prestart hook",
                "could not select device driver",
                "error gathering device information",
                "no such device",
                "running hook",
                "driver/library version mismatch",
                "unresolvable CDI devices",
                "neuron",
                "not a device node",
                "NVML",
            ),
            words(
                "start-device-subject", START, CREATE, "Error response from daemon", "Could not transition to"
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: could not select device driver with "
        "capabilities: [[gpu]]",
        none_of=(words("start-device-not", "devmapper", "devicemapper"),),  # a disk of Docker's own
    ),
    Rule(
        "start-mount",
        "container.start_failed.mount",
        (
            words(
                "start-mount",
                "to rootfs",
                "overlay mount",
                "error mounting",
                "mount source path",
                "bind source path does not exist",
                "invalid mount config",
                "invalid volume spec",
                "mounting a directory onto a file",
                "mount a directory onto a file",
                "mount path must be absolute",
                "Duplicate mount point",
                "not a shared mount",
                "read-only file system",
                "rootfs_linux",
                "failed to mount",
                "mount denied",
                "mount failed",
                "fulfil mount request",
                "fulfill mount request",
                "from mount source",
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: OCI runtime create failed: error mounting "
        '"/srv/orders.conf" to rootfs at "/etc/orders": not a directory',
        none_of=(words("start-mount-not", "CannotCreateContainer"),),
    ),
    Rule(
        "start-entrypoint",
        "container.start_failed.entrypoint",
        (
            words(
                "start-entrypoint",
                "executable file",
                "exec format error",
                "exec: ",
                "no such file or directory",
                "exec user process",
                "no command specified",
                "is a directory: unknown",
                "permission denied: unknown",
                "The system cannot find the file specified",
                "cannot execute binary file",
                "Container command",
            ),
            words(
                "start-entrypoint-subject",
                START,
                "exec user process",
                "exec format error",
                "executable file not found",
                "no command specified",
                "DockerStateError",
                "Error response from daemon",
            ),
        ),
        DOCKER,
        "CannotStartContainerError: Error response from daemon: OCI runtime create failed: runc create "
        "failed: unable "
        'to start container process: exec: "/app/run.sh": permission denied: unknown',
    ),
    Rule(
        "create-disk-full",
        "container.create_failed.disk_full",
        (
            words(
                "create-disk-full",
                DISK_FULL,
                "thin pool",
                "thin-pool",
                "devicemapper",
                "dm_task_run failed",
                "free data blocks",
                "Data Space Available",
            ),
        ),
        DOCKER,
        "CannotCreateContainerError: API error (500): devicemapper: Thin Pool has 4350 free data blocks "
        "which is less "
        "than minimum required 4454 free data blocks",
    ),
    Rule(
        "create-volume",
        "container.create_failed.volume",
        (
            CREATE,
            words("create-volume", "chown", "copy up", "lchown", "mount", "volume"),
        ),
        DOCKER,
        "CannotCreateContainerError: Error response from daemon: failed to chown "
        "/var/lib/ecs/volumes/orders: operation not permitted",
    ),
)

RUNTIME_RULES: tuple[Rule, ...] = (
    Rule(
        "inspect",
        "container.inspect_failed",
        (
            words(
                "inspect",
                "CannotInspectContainer",
                "CannotDescribeContainer",
                "CannotListContainers",
                "CannotGetContainerTop",
                "CannotGetDockerclient",
                "error inspecting container",
            ),
        ),
        DOC_STOPPED,
        "CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s",
    ),
    Rule(
        "stop",
        "container.stop_failed",
        (
            words(
                "stop",
                "CannotStopContainer",
                "CannotRemoveContainer",
                "failed sending SIGTERM",
                "failed to stop container",
            ),
        ),
        DOC_STOPPED,
        "CannotStopContainerError: failed sending SIGTERM to container: context deadline exceeded",
    ),
    Rule(
        "runtime-timeout",
        "container.runtime_timeout",
        (TIMED_OUT,),
        DOC_STOPPED,
        "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m",
        none_of=(DEPENDENCY,),
    ),
    Rule(
        "create-timeout",
        "container.runtime_timeout",
        (
            words("create-timeout-subject", START, CREATE),
            words("create-timeout", "deadline exceeded", "i/o timeout", "Client.Timeout", "timed out"),
        ),
        CONTAINERD,
        "CannotStartContainerError: failed to create shim task: context deadline exceeded",
        none_of=(DEPENDENCY,),
    ),
    Rule(
        "runtime-state",
        "platform.internal_error",
        (
            words(
                "runtime-state",
                "ContainerVanished",
                "NoSuchContainer",
                "DockerStateError",
                "ImpossibleStateTransition",
                "Container not found",
                "No such container",
                "No container matching saved ID",
                "^Cannot transition to",
                "Error: Cannot transition to",
            ),
        ),
        AGENT,
        "DockerStateError: the container reports a state that Docker should not have",
    ),
)

LIFECYCLE_RULES: tuple[Rule, ...] = (*START_RULES, *RUNTIME_RULES)
