"""What the local cloud knows of a deployed Lambda function, and the environment its processes get."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Function:
    """A function of the template, as deployed.

    ``layers`` are the folders whose content Lambda would put under /opt; ``timeout_s`` is per call.
    """

    logical_id: str
    name: str
    handler: str
    task_root: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    log_group: str
    timeout_s: float
    memory_mb: int
    reserved_concurrency: int | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"

    @property
    def path(self) -> list[str]:
        """Import path of the function's own code and its layers, first match wins."""
        return [
            str(p)
            for layer in (self.task_root, *self.layers)
            for p in (layer / "python", layer)
            if p.is_dir()
        ]

    def process_environment(self, *, worker: str, port: int, log_stream: str) -> dict[str, str]:
        """The environment of one process: Lambda's reserved variables, the function's own, the endpoint.

        The access key names the worker, so that the front knows who calls.
        """
        endpoint = f"http://127.0.0.1:{port}"
        own = {name: self._local_path(value) for name, value in self.environment.items()}
        return {
            "RUNBOOKS_DIR": self._local_path("/opt/runbooks"),  # the default of settings.py
            **own,
            "AWS_ACCESS_KEY_ID": worker,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}/_local/runtime/{worker}",
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_XRAY_SDK_ENABLED": "false",
            "HOME": "/tmp",  # noqa: S108 - as in Lambda
            "LAMBDA_TASK_ROOT": str(self.task_root),
            "LANG": "en_US.UTF-8",
            "NO_PROXY": "*",
            "PATH": os.environ.get("PATH", os.defpath),
            "POWERTOOLS_TRACE_DISABLED": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TZ": ":UTC",
            "_HANDLER": self.handler,
            "no_proxy": "*",
        }

    def _local_path(self, value: str) -> str:
        """A path under /opt, where Lambda mounts layers, is the layer's own folder here."""
        if not value.startswith("/opt/"):
            return value
        inside = value.removeprefix("/opt/")
        return next((str(layer / inside) for layer in self.layers if (layer / inside).exists()), value)
