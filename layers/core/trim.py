"""Makes the layer small: botocore's data of services that are not called, tests, caches and scripts go.

Usage: trim.py FOLDER SERVICE…
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# What botocore itself reads besides the services' models.
KEPT_FILES = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"}


def trim(folder: Path, services: set[str]) -> None:
    """Removes what a Lambda function never reads.

    Raises:
        SystemExit: a service of the list does not exist in botocore.
    """
    data = folder / "botocore" / "data"
    known = {path.name for path in data.iterdir() if path.is_dir()}
    if services - known:
        sys.exit(f"botocore has no service {', '.join(sorted(services - known))}")
    for path in data.iterdir():
        if path.is_dir() and path.name not in services:
            shutil.rmtree(path)
        elif path.is_file() and path.name not in KEPT_FILES:
            path.unlink()
    for path in [*folder.rglob("__pycache__"), *folder.rglob("tests"), *folder.glob("*/examples")]:
        if path.is_dir():
            shutil.rmtree(path)
    shutil.rmtree(folder / "bin", ignore_errors=True)


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
