"""The life of containers and of the application in them."""

from __future__ import annotations

from taskmedic.domain.diagnosis.catalogue.model import Category, Line

_ROLL_BACK = "Until then, roll back to the last task definition revision that started."

CONTAINER = (
    Category(
        "container.create_failed",
        "The runtime refused to create the container.",
        "Container not created: {container}",
        "The container runtime refused the container's configuration.",
        ("Read the reason below: it names the field of the task definition that is refused.", _ROLL_BACK),
        many_causes=True,
    ),
    Category(
        "container.create_failed.disk_full",
        "The host has no disk space for the container.",
        "No disk space for {container}",
        "The host's disk or thin pool is full, so the container could not be made.",
        (
            "Drain and replace {instance}, or clean unused images and containers on it.",
            "Give the instances a bigger volume.",
        ),
    ),
    Category(
        "container.create_failed.volume",
        "A volume could not be prepared for the container.",
        "Volume not prepared for {container}",
        "The runtime could not prepare a volume or mount of the container.",
        ("Check the owner and the permissions of {path} on the host or file system.", _ROLL_BACK),
        many_causes=True,
    ),
    Category(
        "container.start_failed",
        "The container was created and could not be started.",
        "Container not started: {container}",
        "The container runtime could not start the container; the text does not say why.",
        ("Fetch the container's full reason with `aws ecs describe-tasks`.", _ROLL_BACK),
        many_causes=True,
    ),
    Category(
        "container.start_failed.entrypoint",
        "The entry point or command is missing, not executable, or built for another CPU.",
        "Entry point cannot be run in {container}: {command}",
        "{command} does not exist in the image, is not executable, or is built for another CPU architecture.",
        (
            "Check entryPoint and command of the task definition: a list of words, not one string.",
            (
                "Run the image by hand with the same command; check the file's mode, its line endings and "
                "its "
                "interpreter."
            ),
            _ROLL_BACK,
        ),
    ),
    Category(
        "container.start_failed.mount",
        "A bind mount or the root file system could not be set up.",
        "Mount failed in {container}: {path}",
        "A path could not be mounted into the container: it is missing, a file where a directory is "
        "expected, or read-only.",
        (
            (
                "Check mountPoints and volumes: both ends must be directories, or both files, and the source "
                "must exist."
            ),
            "Check readonlyRootFilesystem: a mount point must already exist in a read-only image.",
            _ROLL_BACK,
        ),
        many_causes=True,
    ),
    Category(
        "container.start_failed.user",
        "The user or group of the container does not exist in the image.",
        "Unknown user in {container}: {user}",
        "The image has no entry for {user}, under which the container should run.",
        ("Add the user to the image, or give its number as `user` in the task definition.", _ROLL_BACK),
    ),
    Category(
        "container.start_failed.port",
        "The host port is taken.",
        "Port in use on the host: {port}",
        "{port} is taken by another container or process of the host.",
        (
            "Use a dynamic host port (hostPort 0) behind a load balancer, or network mode awsvpc.",
            "Look on {instance} for what holds {port}: often the former task, still stopping.",
        ),
    ),
    Category(
        "container.start_failed.device",
        "A GPU or device is missing on the host.",
        "Device not available to {container}",
        "The container asks for a GPU or device that the host does not offer, or whose driver does not work.",
        (
            (
                "Use an ECS GPU-optimised AMI and an instance type with the device; check `nvidia-smi` on "
                "{instance}."
            ),
            "Drain and replace the instance if others of its kind work.",
        ),
        many_causes=True,
    ),
    Category(
        "container.runtime_timeout",
        "The container runtime did not finish in time.",
        "Container runtime timed out: {container}",
        "The runtime did not start, create or stop the container in the time ECS allows. The host is "
        "overloaded, mostly its "
        "disk, or a log driver blocks.",
        (
            "Start the task again, on another host if it is EC2.",
            "If it repeats on {instance}, look at its disk (burst balance, full disk) and drain it.",
            "With a remote log driver, set its mode to non-blocking.",
        ),
    ),
    Category(
        "container.inspect_failed",
        "The runtime does not say how the container is.",
        "Container cannot be inspected: {container}",
        "The container runtime did not answer when ECS asked for the container's state. The fault is the "
        "host's.",
        ("Start the task again.", "If it repeats on {instance}, drain and replace it."),
    ),
    Category(
        "container.stop_failed",
        "The runtime could not stop the container.",
        "Container cannot be stopped: {container}",
        "The container runtime could not signal or stop the container. The fault is the host's, or the "
        "process hangs in the "
        "kernel.",
        (
            "Check that the task is gone; start it again.",
            "If it repeats on {instance}, drain and replace it.",
        ),
    ),
    Category(
        "container.oom_killed",
        "The kernel killed the container because it used more memory than it may.",
        "Out of memory: {container}",
        "{container} used more memory than {memory} and was killed by the kernel.",
        (
            (
                "Raise the memory of {container} or of the task by a bounded step, and watch whether it "
                "fills "
                "again (a leak)."
            ),
            (
                "Make the runtime keep the limit: -XX:MaxRAMPercentage for Java, --max-old-space-size for "
                "Node.js."
            ),
            "If it began with a deployment, roll back.",
        ),
    ),
    Category(
        "container.health_check_failed",
        "The container's own health check failed.",
        "Health check failed in {container}",
        "The health check command of {container} failed as often as its retries allow, and ECS replaced the "
        "task.",
        (
            "Run the health check's command in a running container and look at its exit code and duration.",
            (
                "Check that the image has the tool it calls (curl, wget), and that timeout and startPeriod "
                "are "
                "long enough."
            ),
            "Read the log before the stop: was it busy, or dead?",
        ),
    ),
    Category(
        "lb.health_check_failed",
        "The load balancer found the task unhealthy.",
        "Load balancer health check failed: {target_group}",
        "The load balancer got no good answer from the task, so ECS stopped it. An exit code 0 or 143 is "
        "then only the clean "
        "end.",
        (
            Line("reason_code", "The target group says: {reason_code}."),
            (
                "Check path, port and expected codes of {target_group}'s health check against what the "
                "application serves."
            ),
            "Let the load balancer's security group in to the task on that port.",
            "Raise healthCheckGracePeriodSeconds above the start-up time.",
            "If it began with a deployment, roll back.",
        ),
    ),
    Category(
        "dependency.container_failed",
        "A container it depends on failed, so it was not started.",
        "Dependency failed: {dependency}",
        "{dependency} did not reach the state that dependsOn asks for, so the waiting container was never "
        "started.",
        (
            (
                "Look at {dependency}, not at the waiting container: its exit code, its health check and its "
                "log."
            ),
            (
                "Check that dependsOn names a container of this task definition and a condition that it can "
                "reach."
            ),
        ),
    ),
    Category(
        "dependency.timeout",
        "A container it depends on was not ready in time.",
        "Dependency not ready in time: {dependency}",
        "{dependency} did not reach the state that dependsOn asks for within startTimeout.",
        (
            "Look at why {dependency} is slow: its log and its health check.",
            "Raise startTimeout if it only needs longer.",
        ),
    ),
)

APP = (
    Category(
        "app.exit_nonzero",
        "The process ended by itself, with a code that is not 0.",
        "{container} exited with code {exit_code}",
        "{exit_meaning}.",
        (
            Line("exit_advice", "{exit_advice}"),
            "Read the last log lines of {container}: it stopped first; the others were stopped by ECS.",
            "If it began with a deployment, roll back.",
        ),
    ),
    Category(
        "app.exit_zero",
        "The process ended by itself, with code 0: right for a job, wrong for a service.",
        "{container} finished (code 0)",
        "The main process of {container} ended by itself and reported success.",
        (
            Line(
                "killed",
                "Another container was killed (137). If that came first, it is the cause: look at its "
                "memory. If ECS killed it after the stopTimeout, it ignored SIGTERM.",
            ),
            Line(
                "of_service",
                "A service's container must not end: check that the process stays in the foreground (no "
                "daemon, no shell "
                "script that returns).",
            ),
            Line("of_job", "Nothing to do if this is a job. If more was expected of it, read its log."),
            Line("of_service", "If it is only a helper, set `essential` to false for it."),
        ),
    ),
)
