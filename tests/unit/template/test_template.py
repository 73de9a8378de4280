"""What is deployed: expanded as AWS expands it, and looked at."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cfnlint import ManualArgs, lint
from tests.unit.template.expanded import ROOT, as_list, expanded, of_type, source, statements

from taskmedic import settings

FUNCTIONS = {
    name: one["Properties"]
    for name, one in source()["Resources"].items()
    if one["Type"] == "AWS::Serverless::Function"
}
every_function = pytest.mark.parametrize("function", FUNCTIONS)


def folder(function: str) -> str:
    return Path(FUNCTIONS[function]["CodeUri"]).name


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_cfn_lint_finds_nothing_in_what_is_deployed(region: str) -> None:
    found = lint(json.dumps(expanded()), config=ManualArgs(regions=[region], include_checks=["I"]))

    assert [f"{match.rule.id} {match.path}: {match.message}" for match in found] == []


def test_there_is_a_function_for_each_folder() -> None:
    assert {folder(name) for name in FUNCTIONS} == {
        path.parent.name for path in (ROOT / "functions").glob("*/app.py")
    }


@every_function
def test_a_function_has_every_variable_its_settings_need_and_no_other(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = FUNCTIONS[function]["Environment"]["Variables"]
    shared = source()["Globals"]["Function"]["Environment"]["Variables"]
    for name in variables | shared:
        monkeypatch.setenv(name, f"value of {name}")
    kind = getattr(settings, "".join(map(str.title, folder(function).split("_"))) + "Settings")

    values = set(vars(kind.from_env()).values())

    own = {name for name in variables if not name.startswith("POWERTOOLS_")}
    assert {f"value of {name}" for name in own} <= values


@every_function
def test_a_function_has_its_own_log_group_with_an_end(function: str) -> None:
    group = FUNCTIONS[function]["LoggingConfig"]["LogGroup"]["Ref"]

    assert source()["Resources"][group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert [name for name in FUNCTIONS if FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"] == group] == [
        function
    ]


def test_every_function_runs_on_arm_and_is_traced() -> None:
    for name, function in of_type("AWS::Lambda::Function").items():
        assert function["Properties"]["Architectures"] == ["arm64"], name
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Properties"]["Runtime"] == {"Ref": "PythonRuntime"}, name


def test_a_task_of_the_state_machine_outlives_its_function() -> None:
    """Else a retry would overlap a call that still works."""
    definition = source()["Resources"]["Remediation"]["Properties"]
    functions = {
        name: value["Fn::GetAtt"][0]
        for name, value in definition["DefinitionSubstitutions"].items()
        if name.endswith("FunctionArn")
    }
    (machine,) = of_type("AWS::StepFunctions::StateMachine").values()
    text = "\n".join(machine["Properties"]["DefinitionString"]["Fn::Join"][1])

    def tasks(value: Any) -> Any:
        for state in value["States"].values():
            if "ItemProcessor" in state:
                yield from tasks(state["ItemProcessor"])
            if state["Type"] == "Task" and "FunctionName" in state["Arguments"]:
                yield state

    for state in tasks(json.loads(text)):
        function = functions[state["Arguments"]["FunctionName"].strip("${}")]
        assert state["TimeoutSeconds"] > FUNCTIONS[function]["Timeout"]


def test_every_role_is_used_by_one_thing_only() -> None:
    roles = [
        json.dumps(one["Properties"].get("Role") or one["Properties"].get("RoleArn"))
        for kind in ("AWS::Lambda::Function", "AWS::StepFunctions::StateMachine")
        for one in of_type(kind).values()
    ]

    assert len(roles) == len(set(roles)) == 8


@every_function
def test_no_policy_allows_more_than_it_names(function: str) -> None:
    for statement in statements(function):
        for action in as_list(statement["Action"]):
            assert "*" not in action


def test_a_star_as_resource_stands_only_where_iam_knows_no_better_or_a_condition_narrows_it() -> None:
    """Reading ECS and its neighbours is per account, and clusters are named by the user at run time."""
    wide = {
        action
        for function in FUNCTIONS
        for statement in statements(function)
        if statement["Resource"] == "*" and "Condition" not in statement
        for action in as_list(statement["Action"])
    }

    reading = re.compile(r"(ecs|ec2|ecr|elasticloadbalancing|logs):(Describe|List|Get|Filter)")
    # IAM knows no resource for these two, and host commands are off until a parameter allows them.
    of_hosts = {"ssm:CancelCommand", "ssm:GetCommandInvocation"}
    assert {action for action in wide if not reading.match(action)} == of_hosts


@pytest.mark.parametrize(
    ("function", "action"),
    [("RunCommandFunction", "ecs:ExecuteCommand"), ("StopTaskFunction", "ecs:StopTask")],
)
def test_acting_is_bound_to_the_clusters_of_a_parameter(function: str, action: str) -> None:
    (statement,) = [one for one in statements(function) if action in as_list(one["Action"])]

    assert statement["Condition"] == {"ArnLike": {"ecs:cluster": {"Ref": "ActOnClusters"}}}


def test_evidence_is_encrypted_private_and_has_an_end() -> None:
    (bucket,) = of_type("AWS::S3::Bucket").values()
    properties = bucket["Properties"]

    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "EvidenceDays"}


def test_the_ledger_forgets_by_itself_and_can_be_restored() -> None:
    (table,) = of_type("AWS::DynamoDB::Table").values()
    properties = table["Properties"]

    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_what_holds_memory_survives_the_stack() -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        for one in of_type(kind).values():
            assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain"


def test_an_event_is_tried_for_a_quarter_of_an_hour_and_then_kept() -> None:
    rules = of_type("AWS::Events::Rule")
    (target,) = next(one for name, one in rules.items() if name.startswith("Remediation"))["Properties"][
        "Targets"
    ]

    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 900
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["UndeliverableEventsQueue", "Arn"]}


def test_our_own_failed_executions_are_told() -> None:
    rule = of_type("AWS::Events::Rule")["OwnFailureRule"]["Properties"]

    assert rule["EventPattern"]["source"] == ["aws.states"]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert rule["Targets"][0]["Arn"] == {"Ref": "NotifyTopic"}


def test_every_queue_of_lost_things_and_every_failure_has_an_alarm() -> None:
    alarms = json.dumps(of_type("AWS::CloudWatch::Alarm"))

    for watched in (
        "UndeliverableEventsQueue",
        "UndeliveredReportsQueue",
        "ExecutionsFailed",
        "5xx",
        "Webhooks_403",
    ):
        assert watched in alarms
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "NotifyTopic"}], name


def test_the_state_machine_logs_no_data_and_is_traced() -> None:
    (machine,) = of_type("AWS::StepFunctions::StateMachine").values()
    logging = machine["Properties"]["LoggingConfiguration"]

    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", False)
    assert machine["Properties"]["TracingConfiguration"] == {"Enabled": True}
    assert machine["Properties"]["StateMachineType"] == "STANDARD"


def test_the_webhook_is_one_route_with_a_bound_on_its_rate() -> None:
    (stage,) = of_type("AWS::ApiGatewayV2::Stage").values()
    (api,) = of_type("AWS::ApiGatewayV2::Api").values()

    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] == 200
    (path,) = api["Properties"]["Body"]["paths"].items()
    assert path[0] == "/webhook"
    (method,) = path[1].items()
    assert method[0] == "post"
    assert method[1]["x-amazon-apigateway-integration"]["payloadFormatVersion"] == "2.0"


def test_no_secret_is_written_in_the_template() -> None:
    for one in of_type("AWS::SecretsManager::Secret").values():
        assert not any(json.loads(one["Properties"]["SecretString"]).values())


def test_a_person_finds_what_to_hand_on_in_the_outputs() -> None:
    assert {
        "WebhookUrl",
        "WebhookSecretArn",
        "RemediationStateMachineArn",
        "EvidenceBucketName",
        "LedgerTableName",
        "DeadLetterQueueUrl",
        "UndeliveredReportsQueueUrl",
        "NotifyTopicArn",
    } <= expanded()["Outputs"].keys()


def test_the_stages_of_samconfig_set_parameters_that_exist() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    assert {"default", "staging", "prod"} <= config.keys()
    for stage in ("staging", "prod"):
        for pair in config[stage]["deploy"]["parameters"]["parameter_overrides"].split():
            assert pair.partition("=")[0] in source()["Parameters"], pair
