"""The core layer holds what the functions need, and botocore's data of no other service."""

from __future__ import annotations

import os
import subprocess
import sys

import botocore.session
import pytest
from tests.unit.template.calls import SERVICES, reached
from tests.unit.template.expanded import ROOT, source

STEPS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
# Names of AWS services that stand in the code as plain words.
WORDS = {"account", "batch", "config", "deadline", "events", "health", "iam"}
# botocore as it is in the layer: the models of the services of the Makefile's list, and no other.
IN_THE_LAYER = """
import sys
from botocore import exceptions, loaders
services, clients = sys.argv[1].split(), sys.argv[2].split()
whole = loaders.Loader.load_service_model
def cut(self, service, *more, **named):
    if service not in services:
        raise exceptions.UnknownServiceError(service_name=service, known_service_names=services)
    return whole(self, service, *more, **named)
loaders.Loader.load_service_model = cut
import app
for service in clients:
    app.clients.get(service)
"""


def called_by(step: str) -> set[str]:
    every = set(botocore.session.get_session().get_available_services())
    return (reached(step).constants & every) - WORDS


@pytest.mark.parametrize("step", STEPS)
def test_a_function_starts_and_makes_its_clients_with_the_data_that_is_left(step: str) -> None:
    settings = source()["Globals"]["Function"]["Environment"]["Variables"]
    function = "".join(part.title() for part in step.split("_")) + "Function"
    settings |= source()["Resources"][function]["Properties"]["Environment"]["Variables"]
    given = dict.fromkeys(settings, "any") | {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }

    done = subprocess.run(
        [sys.executable, "-c", IN_THE_LAYER, " ".join(SERVICES), " ".join(called_by(step))],
        cwd=ROOT / "functions" / step,
        capture_output=True,
        text=True,
        check=False,
        env=given,
    )

    assert done.returncode == 0, done.stderr


def test_the_layer_holds_no_data_that_no_function_needs() -> None:
    called = set[str]().union(*map(called_by, STEPS))

    assert set(SERVICES) == called | {"xray"}


def test_the_layers_lock_is_of_the_same_versions_as_the_one_that_is_tested() -> None:
    def pins(file: str) -> set[str]:
        lines = (ROOT / file).read_text().splitlines()
        return {line.split()[0] for line in lines if "==" in line and not line.startswith(("#", " "))}

    assert pins("layers/core/requirements.txt") <= pins("requirements.lock")
