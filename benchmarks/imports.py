"""How long a handler takes to import, as a ratio to what it cannot do without.

    python benchmarks/imports.py

The base is `import boto3`, one client, and Powertools' Logger, Tracer and Metrics. Each is imported in a
process of its own, in turns, and the median counts. It is CPU time, which a busy machine does not falsify.
The goal is a ratio of at most 1.30.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

GOAL = 1.30
RUNS = 9
ROOT = Path(__file__).resolve().parents[1]
BASE = """
import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
Logger(), Tracer(patch_modules=["botocore"]), Metrics()
boto3.client("dynamodb")
"""
HANDLER = "import app"
TIMED = """
import time
start = time.process_time()
{code}
print(time.process_time() - start)
"""
# What template.yaml and Lambda set; the values are read and not used at import.
SETTINGS = [
    "EVIDENCE_BUCKET",
    "LEDGER_TABLE",
    "NOTIFY_TOPIC_ARN",
    "PAGERDUTY_API_SECRET_ID",
    "PAGERDUTY_WEBHOOK_SECRET_ID",
    "SERVICE_MAP_PARAMETER",
    "STATE_MACHINE_ARN",
    "SWITCH_PARAMETER",
]
LAMBDA = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "LAMBDA_TASK_ROOT": "/var/task",
    "POWERTOOLS_METRICS_NAMESPACE": "Taskmedic",
    "POWERTOOLS_SERVICE_NAME": "benchmark",
}


def seconds(code: str, folder: Path) -> float:
    """The CPU time that ``code`` takes in a fresh process whose first import path is ``folder``."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(folder),
        **LAMBDA,
        **dict.fromkeys(SETTINGS, "any"),
    }
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return float(done.stdout)


def main() -> int:
    folders = sorted(path.parent for path in (ROOT / "functions").glob("*/app.py"))
    base: list[float] = []
    handlers: dict[str, list[float]] = {folder.name: [] for folder in folders}
    for run in range(-1, RUNS):  # the first round fills the caches and does not count
        took = seconds(BASE, ROOT)
        times = {folder.name: seconds(HANDLER, folder) for folder in folders}
        if run >= 0:
            base.append(took)
            for name, time_s in times.items():
                handlers[name].append(time_s)
    unit = statistics.median(base)
    print(f"base: {unit * 1000:.0f} ms here (boto3, one client, Powertools); median of {RUNS}")
    worst = 0.0
    for name, samples in handlers.items():
        ratio = statistics.median(samples) / unit
        worst = max(worst, ratio)
        print(f"  {name:22} {ratio:5.2f}")
    print(f"largest ratio {worst:.2f}, goal <= {GOAL:.2f}: {'met' if worst <= GOAL else 'MISSED'}")
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
