"""The local cloud's process: what its children inherit."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import signal, subprocess, sys
from taskmedic_local.environment import let_children_be_signalled

signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
let_children_be_signalled()
child = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
subprocess.run([sys.executable, "-c", child], check=True)
signal.raise_signal(signal.SIGHUP)
print("still here")
"""


def test_a_signal_that_nohup_has_it_ignore_reaches_its_children_and_not_itself() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n") == ["SIG_DFL", "still here", ""]
