"""Stop reasons in AWS's, Docker's and the agent's manner, with names of our own: what each must be taken for."""

from __future__ import annotations

ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com"
INIT = "ResourceInitializationError: "
AUTH = INIT + "unable to pull secrets or registry auth: "
OLD_AUTH = AUTH + "execution resource retrieval failed: "
PULL = "CannotPullContainerError: "
START = "CannotStartContainerError: "
CREATE = "CannotCreateContainerError: "
RUNC = START + "Error response from daemon: OCI runtime create failed: runc create failed: "
DENIED = "AccessDeniedException: User: arn:aws:sts::210987654321:assumed-role/billing-exec/77aa is not authorized to perform: "

WORDINGS: dict[str, list[str]] = {
    "image_pull.not_found": [
        PULL + f"Error response from daemon: manifest for {ECR}/billing:9.1 not found: manifest unknown",
        PULL
        + f"pull image manifest has been retried 5 time(s): failed to resolve ref {ECR}/billing:9.1: {ECR}/billing:9.1: not found",
        PULL
        + 'inspect image has been retried 1 time(s): failed to resolve reference "docker.io/acme/web:x": docker.io/acme/web:x: not found',
        PULL
        + "The task can\u2019t pull the image. Check whether the image exists. Error response from daemon: manifest for acme/web:x not found: manifest unknown: manifest unknown",
        PULL + "API error (404): repository acme/webb not found",
        "CannotPullContainerError: Error: image acme/web:9 not found",
        "CannotPullImageManifestError: Error response from daemon: name unknown: The repository with name 'billing' does not exist in the registry with id '210987654321'",
    ],
    "image_pull.auth": [
        PULL
        + "Error response from daemon: pull access denied for acme/private, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        PULL
        + f"pull image manifest has been retried 1 time(s): failed to resolve ref {ECR}/billing:1: pulling from host {ECR} failed with status code [manifests 1]: 403 Forbidden",
        OLD_AUTH
        + "unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
        + DENIED
        + "ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action",
        PULL
        + "The task can't pull the image. Check that the role has the permissions to pull images from the registry. Error response from daemon: "
        + DENIED
        + "ecr:BatchGetImage on resource: arn:aws:ecr:eu-central-1:210987654321:repository/billing because no resource-based policy allows the ecr:BatchGetImage action",
        "CannotPullECRContainerError: NoCredentialProviders: no valid providers in chain. Deprecated.",
        PULL + 'Error response from daemon: Get "https://ghcr.io/v2/acme/web/manifests/1": unauthorized',
        PULL
        + 'Error response from daemon: Head "https://registry.acme.test/v2/web/manifests/3": no basic auth credentials',
    ],
    "image_pull.network": [
        PULL
        + f'pull image manifest has been retried 5 time(s): failed to resolve ref {ECR}/billing:1: failed to do request: Head "https://{ECR}/v2/billing/manifests/1": dial tcp 10.1.2.3:443: i/o timeout',
        AUTH
        + 'The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration. RequestError: send request failed caused by: Post "https://api.ecr.eu-central-1.amazonaws.com/": dial tcp 10.1.2.3:443: i/o timeout',
        OLD_AUTH
        + "unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post https://api.ecr.eu-central-1.amazonaws.com/",
        PULL
        + 'The task can\'t pull the image. Check your network configuration. Error response from daemon: Get "https://registry-1.docker.io/v2/": context deadline exceeded',
        PULL
        + "Error response from daemon: error pulling image configuration: download failed after attempts=6: dial tcp: lookup prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com: no such host",
        PULL + "pull command failed: panic: runtime error: invalid memory address or nil pointer dereference",
        PULL
        + f"The task cannot pull 'billing' from the Amazon ECR repository '{ECR}/billing'. There is a connection issue between the task and Amazon ECR. Check your task network configuration. operation error ECR: GetDownloadUrlForLayer, https response error StatusCode: 0",
        PULL
        + "Error response from daemon: Get https://registry.acme.test/v2/: x509: certificate signed by unknown authority",
        INIT + "unable to pull registry auth: dial tcp 10.1.2.3:443: i/o timeout",
        PULL + "Could not reach any registry endpoint",
    ],
    "image_pull.rate_limited": [
        PULL
        + "Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
        PULL
        + f"ref pull has been retried 3 time(s): failed to copy: httpReaderSeeker: failed open: unexpected status code https://{ECR}/v2/web/blobs/sha256:1: 429 Too Many Requests",
        "toomanyrequests: Rate exceeded",
    ],
    "image_pull.platform_mismatch": [
        PULL + "image Manifest does not contain descriptor matching platform 'linux/amd64'",
        PULL
        + "Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries",
        PULL
        + "ref pull has been retried 1 time(s): failed to unpack image on snapshotter overlayfs: no match for platform in manifest: not found",
        PULL + 'Error response from daemon: image operating system "windows" cannot be used on this platform',
        PULL
        + 'media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1',
    ],
    "image_pull.disk_full": [
        PULL
        + "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/libtorch.so: no space left on device",
        PULL
        + "ref pull has been retried 1 time(s): failed to extract layer sha256:ab: mount callback failed: write /var/lib/containerd/x: no space left on device: unknown",
        PULL
        + "failed to register layer: re-exec error: exit status 1: output: hcsshim::ImportLayer failed in Win32: There is not enough space on the disk. (0x70)",
    ],
    "image_pull.other": [
        PULL + "Error response from daemon: context canceled",
        PULL + "failed to register layer: devicemapper: Error running deviceResume dm_task_run failed",
        PULL
        + 'ref pull has been retried 1 time(s): failed commit on ref "layer-sha256:ab": unexpected commit digest sha256:cd',
        PULL + "API error (500)",
        PULL + "ref pull has been retried 1 time(s): number of layers and diffIDs don't match: 2 != 14",
        PULL + f"pull image manifest has been retried 5 time(s): failed to resolve ref {ECR}/bill",
    ],
    "secrets.access_denied": [
        AUTH
        + "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:eu-central-1:210987654321:secret:billing/db-AbCdEf from secrets manager: "
        + DENIED
        + "secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-central-1:210987654321:secret:billing/db-AbCdEf",
        "Fetching secret data from SSM Parameter Store in eu-central-1: "
        + DENIED
        + "ssm:GetParameters on resource: arn:aws:ssm:eu-central-1:210987654321:parameter/billing/db because no identity-based policy allows",
        OLD_AUTH
        + "unable to retrieve secrets from ssm: service call has been retried 1 time(s): AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access. not authorized to perform: kms:Decrypt",
        AUTH
        + "The task can\u2019t retrieve the secret with ARN 'arn:aws:secretsmanager:eu-central-1:210987654321:secret:x' from AWS Secrets Manager. Check whether the secret exists in the specified Region. operation error Secrets Manager: GetSecretValue, https response error StatusCode: 400, api error AccessDeniedException: Access to KMS is not allowed",
    ],
    "secrets.not_found": [
        OLD_AUTH
        + "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /billing/dbb",
        "Fetching secret data from AWS Secrets Manager in region eu-central-1: secret billing/dbb: ResourceNotFoundException: Secrets Manager can\u2019t find the specified secret.",
        INIT
        + "The task can't retrieve the secret with ARN 'arn:aws:secretsmanager:eu-central-1:210987654321:secret:billing' from AWS Secrets Manager. Check that the secret ARN is correct",
        AUTH
        + "unable to retrieve secret from asm: operation error Secrets Manager: GetSecretValue, https response error StatusCode: 400, RequestID: 1, ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        "ssm: ParameterNotFound: invalid ssm parameters: billing-db",
    ],
    "secrets.invalid_value": [
        OLD_AUTH
        + "unable to retrieve secret from asm: retrieved secret from Secrets Manager did not contain json key user",
        AUTH
        + "unable to retrieve secret from asm: service call has been retried 1 time(s): invalid character 'p' looking for beginning of value",
        "asm fetching authorization data: unable to unmarshal secret value, invalid schema",
    ],
    "secrets.network": [
        AUTH
        + "unable to retrieve secrets from ssm: The task cannot pull secrets from AWS Systems Manager. There is a connection issue between the task and AWS Systems Manager Parameter Store. Check your task network configuration.",
        OLD_AUTH
        + "unable to retrieve secret from asm: service call has been retried 5 time(s): failed to fetch secret arn:aws:secretsmanager:eu-central-1:210987654321:secret:x from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded",
        "fetching secret data from SSM Parameter Store in eu-central-1: RequestError: send request failed caused by: Post https://ssm.eu-central-1.amazonaws.com/: net/http: TLS handshake timeout",
    ],
    "env_file.download_failed": [
        INIT
        + "failed to download env files: file download command: non-empty error stream: service call has been retried 1 time(s): AccessDenied: Access Denied status code: 403",
        "unable to download env file with key prod/billing.env from bucket acme-env, error: NoSuchKey: The specified key does not exist.",
    ],
    "logs.not_found": [
        START
        + "Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
        INIT
        + "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, https response error StatusCode: 400, ResourceNotFoundException: The specified log group does not exist.\n : exit status 1",
    ],
    "logs.access_denied": [
        INIT
        + "failed to validate logger args: create log group: "
        + DENIED
        + "logs:CreateLogGroup on resource: arn:aws:logs:eu-central-1:210987654321:log-group:/ecs/billing:log-stream: : exit status 1",
        START
        + "Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: "
        + DENIED
        + "logs:CreateLogStream",
    ],
    "logs.network": [
        INIT
        + "failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your network configuration. : signal: killed",
        START
        + "Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: RequestError: send request failed caused by: Post https://logs.eu-central-1.amazonaws.com/: dial tcp: i/o timeout",
        "failed to create task for container: failed to initialize logging driver: dial tcp 10.0.0.9:24224: connect: connection refused",
    ],
    "logs.config": [
        START
        + "Error response from daemon: failed to initialize logging driver: must specify a value for log opt 'awslogs-group'",
        INIT
        + "failed to validate logger args: unable to get awslogs driver arguments: awslogs-region is required : exit status 1",
        START
        + "Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: CredentialsEndpointError: failed to load credentials caused by: Get http://169.254.170.2/v2/credentials/x: dial tcp 169.254.170.2:80: i/o timeout",
        "Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: NoCredentialProviders: no valid providers in chain",
    ],
    "volume.efs_mount": [
        INIT
        + "failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: access denied by server while mounting 127.0.0.1:/' : unsuccessful EFS utils command execution; code: 32",
        INIT
        + "failed to invoke EFS utils commands to set up EFS volumes: command failed: stderr: mount.nfs4: Connection timed out",
        "Error response from daemon: create ecs-billing-1: VolumeDriver.Create: mounting volume failed: b'mount.nfs4: mounting fs-0aa11bb2:/data failed, reason given by server: No such file or directory'",
    ],
    "volume.ebs": [
        "Amazon ECS was unable to attach the Amazon EBS volume: volume vol-0123456789abcdef0 is in another Availability Zone",
        INIT + "failed to format EBS volume: mkfs exited with 1",
    ],
    "volume.docker_plugin": [
        "CannotCreateVolumeError: Error response from daemon: create shared: error looking up volume plugin rexray/ebs:latest: legacy plugin: plugin not found",
        START
        + 'Error response from daemon: error while mounting volume \'\': VolumeDriver.Mount: {"Error":"volume not found"}',
    ],
    "network.eni_provisioning": [
        "Timeout waiting for network interface provisioning to complete.",
        INIT + "failed to configure ENI: failed to setup regular eni: netplugin failed with no error message",
        "Unexpected EC2 error while attempting to attach network interface to instance",
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet 'subnet-0aa1': AuthFailure",
        "ContainerNetworkingError: container resource provisioning: unable to build cni configuration",
    ],
    "network.ip_exhausted": [
        "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-0aa1bb22': InsufficientFreeAddressesInSubnet",
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-0aa1bb22'",
    ],
    "iam.role_assume_failed": [
        "ECS was unable to assume the role 'arn:aws:iam::210987654321:role/billing-task' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.",
        "(service billing) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::210987654321:role/billing-task').",
        "IAM trust relationship has been misconfigured or changed, and ECS can no longer maintain your service",
    ],
    "container.create_failed": [
        CREATE
        + 'API error (409): Conflict. The container name "/ecs-billing-3" is already in use by container 0aa1',
        "HostConfigError: the memory limit is smaller than the reservation",
    ],
    "container.create_failed.disk_full": [
        CREATE
        + "API error (500): devmapper: Thin Pool has 1200 free data blocks which is less than minimum required 4454 free data blocks.",
        CREATE
        + "Error response from daemon: mkdir /var/lib/docker/overlay2/0aa1-init: no space left on device",
    ],
    "container.create_failed.volume": [
        CREATE
        + "Error response from daemon: failed to copy file info for /var/lib/ecs/volumes/x: failed to chown /var/lib/ecs/volumes/x: lchown /var/lib/ecs/volumes/x: operation not permitted",
    ],
    "container.start_failed": [
        START + "failed to get container status: <reason>",
        RUNC
        + "unable to start container process: error during container init: unable to apply cgroup configuration",
        START + "API error (500): devmapper: Unknown device 0aa1: No such device or address",
        START
        + "API error (404): Cannot start container 0aa1: adding interface veth1 to bridge docker0 failed: no such network interface",
    ],
    "container.start_failed.entrypoint": [
        RUNC
        + 'unable to start container process: exec: "gunicorn": executable file not found in $PATH: unknown',
        RUNC + 'unable to start container process: exec: "/start.sh": permission denied: unknown',
        START + "Error response from daemon: No command specified",
        START
        + "Error response from daemon: hcsshim::CreateComputeSystem 0aa1: The system cannot find the file specified.",
        START + "standard_init_linux.go:228: exec user process caused: exec format error",
    ],
    "container.start_failed.mount": [
        RUNC
        + 'unable to start container process: error during container init: error mounting "/etc/app.yml" to rootfs at "/app/app.yml": not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?',
        START
        + 'Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /srv/data',
    ],
    "container.start_failed.user": [
        START + "Error response from daemon: unable to find user web: no matching entries in passwd file",
    ],
    "container.start_failed.port": [
        START
        + "Error response from daemon: driver failed programming external connectivity on endpoint ecs-billing: Bind for 0.0.0.0:8443 failed: port is already allocated",
        START
        + "API error (500): failed to set up container networking: listen tcp4 0.0.0.0:80: bind: address already in use",
    ],
    "container.start_failed.device": [
        START
        + 'Error response from daemon: could not select device driver "nvidia" with capabilities: [[gpu]]',
        START
        + "Error response from daemon: OCI runtime create failed: container init caused: Running hook #1:: error running hook: exit status 1",
        START
        + 'Error response from daemon: error gathering device information while adding custom device "/dev/fuse": no such file or directory',
    ],
    "container.runtime_timeout": [
        "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s",
        "ContainerRuntimeTimeoutError: Could not transition to stopped; timed out after waiting 30s",
        START + "failed to create shim task: context deadline exceeded: unknown",
    ],
    "container.inspect_failed": [
        "CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s",
        "CannotInspectContainerError: Error response from daemon: i/o timeout",
    ],
    "container.stop_failed": [
        "CannotStopContainerError: failed sending SIGTERM to container: rpc error",
        "CannotStopContainerError: Error response from daemon: cannot stop container: 0aa1: tried to kill container, but did not receive an exit event",
    ],
    "container.oom_killed": [
        "OutOfMemoryError: Container killed due to memory usage",
        "Outofmemoryerror: container killed due to memory usage",
        START
        + "Error response from daemon: failed to create task for container: container init was OOM-killed (memory limit too low?): unknown",
    ],
    "container.health_check_failed": [
        "Task failed container health checks",
        "(service billing) (task 0aa1bb22cc33dd44) failed container health checks.",
    ],
    "lb.health_check_failed": [
        "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-central-1:210987654321:targetgroup/billing/0aa1bb22cc33dd44)",
        "(service billing) (port 8080) is unhealthy in (target-group arn:aws:elasticloadbalancing:eu-central-1:210987654321:targetgroup/billing/0aa1) due to (reason Health checks failed with these codes: [502]).",
        "(service billing) (instance i-0aa1bb22cc33dd44e) is unhealthy in (elb billing-lb) due to (reason Instance has failed at least the UnhealthyThreshold number of health checks consecutively.)",
        "service (billing) task set (ecs-svc/1) (task 0aa1) is not healthy in target-group (arn:x) due to TARGET IS NOT FOUND",
    ],
    "dependency.container_failed": [
        "dependency graph: failed to resolve container ordering dependency [migrate] for target [web] as dependency did not exit successfully.",
        START + "dependent container migrate exited with non-zero status",
    ],
    "dependency.timeout": [
        "dependency graph: container ordering dependency [envoy] for target [web] has timed out.",
    ],
    "deployment.scaling_activity": [
        "Scaling activity initiated by (deployment ecs-svc/4242424242424242424)",
        "Scaling activity initiated by deployment ecs-svc/4242",
    ],
    "deployment.circuit_breaker": [
        "(service billing) (deployment ecs-svc/42) deployment failed: tasks failed to start.",
        "ECS deployment circuit breaker: tasks failed to start.",
    ],
    "user.stopped": ["Task stopped by user", "Stopped by the nightly scheduler"],
    "host.instance_terminated": [
        "Host EC2 (instance i-0aa1bb22cc33dd44e) terminated.",
        "Host EC2 (instance i-0aa1bb22cc33dd44e) stopped.",
    ],
    "host.instance_deregistered": ["Container instance deregistration forced by user"],
    "host.instance_draining": [
        "(service billing) has stopped a task because its container instance is in DRAINING state."
    ],
    "host.agent_disconnected": [
        "(service billing) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance 0aa1) doesn't have the agent connected.",
        "TaskFailedToStart: AGENT",
        "AGENT",
        "service (billing) Timed out waiting for Amazon ECS Agent to start. Please check logs at /var/log/ecs/ecs-agent.log",
    ],
    "fargate.maintenance_retirement": [
        "ECS is performing maintenance on the underlying infrastructure hosting the task",
        "Service billing: ECS is performing maintenance on the underlying infrastructure hosting the task",
    ],
    "capacity.insufficient": [
        "RESOURCE:MEMORY",
        "TaskFailedToStart: RESOURCE:ENI",
        "(service billing) was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster.",
        "service (billing) was unable to place a task because no container instance met all of its requirements. The closest matching container-instance 0aa1 is missing an attribute required by your task.",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        "The selected task definition is not compatible with the selected compute strategy",
        "TaskFailedToStart: EMPTY CAPACITY PROVIDER",
    ],
    "capacity.quota_exceeded": [
        "(service billing) was unable to place a task. Reason: You\u2019ve reached the limit on the number of vCPUs you can run concurrently",
        "service billing was unable to place a task. Reason: The requested MEMORY configuration is above your limit.",
        "service (billing) was unable to place tasks in your cluster because the tasks provisioning capacity limit was exceeded.",
    ],
    "capacity.spot_interruption": [
        "Your Spot Task was interrupted.",
        "SpotInterruptionError: Your Spot Task was interrupted",
    ],
    "exec_agent.failed": ["ExecuteCommandAgent exited: the agent process of ECS Exec stopped"],
    "platform.internal_error": [
        "InternalError: the task could not be provisioned",
        "Timeout waiting for EphemeralStorage provisioning to complete.",
        "DockerStateError: unexpected state",
        "ContainerVanishedError: No container matching saved ID found",
    ],
    "unknown.generic": [
        "Task failed to start",
        "Essential container in task exited",
        "(service billing) is unable to consistently start tasks successfully.",
        "STOPPED (Task failed to start)",
    ],
}
