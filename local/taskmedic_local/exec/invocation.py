"""One command on one container instance, and how Systems Manager shows it."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DOCUMENT = "AWS-RunShellScript"
STDOUT_CHARS = 24_000
STDERR_CHARS = 8_000
PLUGIN_CHARS = 2_500
TRUNCATED = "\n---Output truncated---"
OVER = ("Success", "Failed", "TimedOut", "Cancelled")
Json = dict[str, Any]


@dataclass(eq=False)
class Invocation:
    """A command on one instance."""

    command_id: str
    instance_id: str
    comment: str
    script: str
    run_time_s: float
    sent_at: float
    status: str = "Pending"
    details: str = "Pending"
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def conclude(self, *, in_time: bool) -> None:
        """Settle the status, now that ``code`` is known."""
        if self.status == "Cancelling":
            self.status = self.details = "Cancelled"
        elif not in_time:
            self.status, self.details = "TimedOut", "Execution Timed Out"
        elif self.code == 0:
            self.status = self.details = "Success"
        else:
            self.status = self.details = "Failed"

    def end(self) -> None:
        """SIGKILL to the command's process group."""
        process = self.process
        if process and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    def shown(self) -> Json:
        """As GetCommandInvocation shows it: no output before the end, and not all of it."""
        over = self.status in OVER
        return {
            "CommandId": self.command_id,
            "InstanceId": self.instance_id,
            "Comment": self.comment,
            "DocumentName": DOCUMENT,
            "PluginName": "aws:runShellScript",
            "ResponseCode": self.code,
            "ExecutionStartDateTime": _iso(self.started_at),
            "ExecutionEndDateTime": _iso(self.ended_at),
            "Status": self.status,
            "StatusDetails": self.details,
            "StandardOutputContent": self.stdout[:STDOUT_CHARS] if over else "",
            "StandardErrorContent": self.stderr[:STDERR_CHARS] if over else "",
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
        }

    def listed(self, *, details: bool) -> Json:
        """As ListCommandInvocations shows it, with less output still."""
        shown = {
            "CommandId": self.command_id,
            "InstanceId": self.instance_id,
            "Comment": self.comment,
            "DocumentName": DOCUMENT,
            "RequestedDateTime": self.sent_at,
            "Status": self.status,
            "StatusDetails": self.details,
            "CommandPlugins": [],
        }
        if details:
            output = self.stdout
            if self.stderr:
                output += f"\n----------ERROR-------\n{self.stderr}"
            if len(output) > PLUGIN_CHARS:
                output = output[: PLUGIN_CHARS - len(TRUNCATED)] + TRUNCATED
            plugin = {
                "Name": "aws:runShellScript",
                "Status": self.status,
                "StatusDetails": self.details,
                "ResponseCode": self.code,
                "Output": output,
            }
            shown["CommandPlugins"] = [plugin]
        return shown


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
