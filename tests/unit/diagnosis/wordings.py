"""Stop reasons with names of our own: what each must be taken for."""

from __future__ import annotations

from pathlib import Path

import yaml

WORDINGS: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
