"""What the command line knows of the deployed application: its stack, its triggers, its runbooks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from taskmedic.domain.errors import InputError
from taskmedic_cli import stack
from taskmedic_cli.commands.runbook import runbook
from taskmedic_cli.commands.send import as_new, is_action

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "events"


class Deployed:
    """Stands in for ``Clients``: CloudFormation with one stack, Secrets Manager with one secret."""

    def __init__(self, outputs: dict[str, str], secret: str = "{}") -> None:
        self._outputs = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        self._secret = secret

    def get(self, _: str) -> Any:
        return self

    def describe_stacks(self, **request: str) -> dict[str, Any]:
        name = request["StackName"]
        if name != "taskmedic":
            error = {"Code": "ValidationError", "Message": f"Stack with id {name} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [{"Outputs": self._outputs}]}

    def get_secret_value(self, **_: str) -> dict[str, str]:
        return {"SecretString": self._secret}


def test_the_state_machine_is_that_of_the_stack() -> None:
    clients = Deployed({"RemediationStateMachineArn": "arn:x"})

    assert stack.state_machine(clients, "taskmedic") == "arn:x"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("taskmedic", "stack taskmedic has no output 'RemediationStateMachineArn'"),
        ("gone", r"cannot find the deployed application \(stack gone\): .* name it by --stack-name"),
    ],
)
def test_without_stack_or_state_machine_nothing_else_is_started(name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        stack.state_machine(Deployed({}), name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        ("no JSON", "no JSON object"),
        ("[]", "no JSON object"),
        ("{}", "no secret is stored in bearer_secrets"),
        ('{"bearer_secrets": []}', "no secret is stored in bearer_secrets"),
    ],
)
def test_a_webhook_without_its_secret_is_named(secret: str, complaint: str) -> None:
    clients = Deployed({"WebhookUrl": "https://x", "WebhookSecretArn": "arn:secret"}, secret)

    with pytest.raises(InputError, match=complaint):
        stack.webhook(clients, "taskmedic").first("bearer_secrets")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*/*.json")), ids=lambda path: path.stem)
def test_each_sample_goes_the_way_of_its_folder(path: Path) -> None:
    given = json.loads(path.read_text())

    assert is_action(given) == path.name.startswith("action-")


def test_an_event_sent_as_new_is_of_another_task_everywhere_in_it() -> None:
    given = json.loads((EVENTS / "ecs/out-of-memory.json").read_text())
    task_id = given["detail"]["taskArn"].rpartition("/")[2]

    new = as_new(given)

    assert task_id not in json.dumps(new)
    assert new["detail"]["taskArn"].rpartition("/")[0] == given["detail"]["taskArn"].rpartition("/")[0]
    assert new["detail"]["stoppedReason"] == given["detail"]["stoppedReason"]


def test_a_webhook_sent_as_new_has_another_id_and_is_the_same_else() -> None:
    given = json.loads((EVENTS / "pagerduty/incident-triggered.json").read_text())

    new = as_new(given)

    assert new["event"]["id"] != given["event"]["id"]
    assert {**new["event"], "id": ""} == {**given["event"], "id": ""}


def test_an_event_without_a_task_cannot_be_sent_as_new() -> None:
    with pytest.raises(InputError, match=r"detail\.taskArn"):
        as_new({"detail-type": "ECS Task State Change", "detail": {}})


class TestValidate:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        shutil.copy(ROOT / "layers/runbooks/runbooks/diagnose.yaml", tmp_path)
        return tmp_path

    def validate(self, folder: Path, *files: Path) -> Result:
        return CliRunner().invoke(runbook, ["validate", "--runbooks", str(folder), *map(str, files)])

    def test_a_valid_folder(self, folder: Path) -> None:
        assert self.validate(folder).exit_code == 0

    def test_two_runbooks_of_one_name_would_break_every_trigger(self, folder: Path) -> None:
        shutil.copy(folder / "diagnose.yaml", folder / "mine.yaml")

        result = self.validate(folder)

        assert result.exit_code == 2
        assert "two runbooks have the name diagnose" in result.output
        assert "mine.yaml" in result.output

    def test_a_file_that_the_application_would_not_read_is_said_to_be_none(self, folder: Path) -> None:
        shutil.copy(folder / "diagnose.yaml", folder / "mine.yml")

        result = self.validate(folder)

        assert result.exit_code == 2
        assert "mine.yml: runbooks are files that end with .yaml" in result.output

    def test_a_file_that_is_no_text_or_is_not_there(self, folder: Path) -> None:
        (folder / "bytes.yaml").write_bytes(b"\xff\xfe")

        result = self.validate(folder, folder / "bytes.yaml", folder / "gone.yaml")

        assert result.exit_code == 2
        assert "is not UTF-8 text" in result.output
        assert "cannot be read: No such file" in result.output

    def test_a_folder_without_runbooks_is_no_success(self, tmp_path: Path) -> None:
        result = self.validate(tmp_path)

        assert isinstance(result.exception, InputError)
        assert "there is no runbook to check" in str(result.exception)
