"""Run Command of Systems Manager on container instances: AWS-RunShellScript, and docker exec."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskmedic_local.exec.docker_stand_in import DOCKER
from taskmedic_local.exec.invocation import DOCUMENT, OVER, Invocation, Json
from taskmedic_local.exec.sandbox import Image, Sandbox

OPERATIONS = ("SendCommand", "GetCommandInvocation", "CancelCommand", "ListCommandInvocations")
AT_ONCE = 5
INVISIBLE_S = 1.0
RUN_TIME_DEFAULT_S = 3600
RUN_TIME_RANGE_S = range(5, 172_801)
DELIVERY_RANGE_S = range(30, 2_592_001)


class Refused(Exception):
    """The call cannot be done: an error code of Systems Manager, and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Host:
    """A container instance: its EC2 id, and the image of each running container by runtime id."""

    instance_id: str
    containers: Mapping[str, Image]


FindHost = Callable[[str, str, str], Host | None]
"""(EC2 instance id, account, region) to the host, or None when none is registered under it."""


class RunCommand:
    """Answers the calls; each command runs in a thread, five at a time on one host."""

    def __init__(self, sandbox: Sandbox, find_host: FindHost, *, time_scale: float) -> None:
        self._sandbox = sandbox
        self._find_host = find_host
        self._invisible_s = INVISIBLE_S * time_scale
        self._lock = threading.Lock()
        self._invocations: dict[tuple[str, str], Invocation] = {}
        self._rooms: dict[str, threading.Semaphore] = {}
        self._threads: set[threading.Thread] = set()

    def handle(self, operation: str, body: Json, account: str, region: str) -> tuple[int, Json]:
        """HTTP status and JSON answer of one call."""
        try:
            match operation:
                case "SendCommand":
                    return 200, {"Command": self._send(body, account, region)}
                case "GetCommandInvocation":
                    return 200, self._visible(body["CommandId"], body["InstanceId"]).shown()
                case "CancelCommand":
                    self._cancel(body["CommandId"], body.get("InstanceIds", []))
                    return 200, {}
                case _:
                    return 200, {"CommandInvocations": self._list(body)}
        except KeyError as error:
            return 400, {"__type": "ValidationException", "message": f"{error.args[0]}: is missing"}
        except Refused as error:
            return 400, {"__type": error.code, "message": str(error)}

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            for invocation in self._invocations.values():
                if invocation.status == "Pending":
                    invocation.status = "Cancelled"
                invocation.end()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _send(self, body: Json, account: str, region: str) -> Json:
        if body["DocumentName"] != DOCUMENT:
            raise Refused("InvalidDocument", f"Document {body['DocumentName']} does not exist.")
        delivery = body.get("TimeoutSeconds", 3600)
        if delivery not in DELIVERY_RANGE_S:
            raise Refused("ValidationException", "TimeoutSeconds: must be between 30 and 2592000")
        hosts = [self._find_host(each, account, region) for each in body.get("InstanceIds", [])]
        if not hosts or None in hosts:
            raise Refused("InvalidInstanceId", "Instances not in a valid state for account")
        parameters = body.get("Parameters", {})
        command_id = str(uuid.uuid4())
        for host in filter(None, hosts):
            invocation = Invocation(
                command_id,
                host.instance_id,
                body.get("Comment", ""),
                "\n".join(parameters.get("commands", [])),
                run_time_s(parameters),
                time.time(),
            )
            self._start(invocation, host)
        return {
            "CommandId": command_id,
            "DocumentName": DOCUMENT,
            "Comment": body.get("Comment", ""),
            "InstanceIds": body["InstanceIds"],
            "Parameters": parameters,
            "Status": "Pending",
            "StatusDetails": "Pending",
            "RequestedDateTime": time.time(),
            "TargetCount": len(hosts),
        }

    def _start(self, invocation: Invocation, host: Host) -> None:
        def work() -> None:
            with self._rooms.setdefault(host.instance_id, threading.Semaphore(AT_ONCE)):
                self._run(invocation, host)
            with self._lock:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=work, name="run-command", daemon=True)
        with self._lock:
            self._invocations[invocation.command_id, invocation.instance_id] = invocation
            self._threads.add(thread)
        thread.start()

    def _run(self, invocation: Invocation, host: Host) -> None:
        for runtime_id, image in host.containers.items():
            self._sandbox.box(runtime_id, image).home  # noqa: B018 - so that docker exec finds it
        box = self._sandbox.box(host.instance_id, Image(files={"bin/docker": DOCKER}))
        env = {**box.env, "CONTAINERS": str(box.home.parent)}
        with self._lock:
            if invocation.status in OVER:
                return
            invocation.status, invocation.details = "InProgress", "In Progress"
            invocation.started_at = time.time()
            invocation.process = process = subprocess.Popen(
                ["/bin/sh", "-c", invocation.script],
                cwd=box.home,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        in_time = True
        try:
            out, err = process.communicate(timeout=invocation.run_time_s)
        except subprocess.TimeoutExpired:
            in_time = False
            invocation.end()
            out, err = process.communicate()
        with self._lock:
            invocation.stdout, invocation.stderr = _text(out), _text(err)
            invocation.ended_at = time.time()
            invocation.code = process.returncode
            invocation.conclude(in_time=in_time)

    def _cancel(self, command_id: str, instance_ids: list[str]) -> None:
        with self._lock:
            found = [
                each
                for each in self._invocations.values()
                if each.command_id == command_id and (not instance_ids or each.instance_id in instance_ids)
            ]
            if not found:
                raise Refused("InvalidCommandId", f"Command {command_id} does not exist.")
            for each in found:
                if each.status == "Pending":
                    each.status = each.details = "Cancelled"
                elif each.status == "InProgress":
                    each.status = each.details = "Cancelling"
        for each in found:
            if each.status == "Cancelling":
                each.end()

    def _visible(self, command_id: str, instance_id: str) -> Invocation:
        """An invocation that has had time to show."""
        with self._lock:
            found = self._invocations.get((command_id, instance_id))
        if found is None or time.time() - found.sent_at < self._invisible_s:
            raise Refused("InvocationDoesNotExist", "")
        return found

    def _list(self, body: Json) -> list[Json]:
        wanted = {"CommandId": body.get("CommandId"), "InstanceId": body.get("InstanceId")}
        with self._lock:
            found = [
                each
                for each in self._invocations.values()
                if wanted["CommandId"] in {None, each.command_id}
                and wanted["InstanceId"] in {None, each.instance_id}
            ]
        return [each.listed(details=bool(body.get("Details"))) for each in found]


def run_time_s(parameters: Mapping[str, list[str]]) -> float:
    """executionTimeout in seconds; the agent silently takes the default for what is out of range."""
    (text,) = parameters.get("executionTimeout", [str(RUN_TIME_DEFAULT_S)])
    seconds = int(text) if text.isdecimal() else RUN_TIME_DEFAULT_S
    return seconds if seconds in RUN_TIME_RANGE_S else RUN_TIME_DEFAULT_S


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")
