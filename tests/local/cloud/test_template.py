"""What becomes of a SAM template before moto gets it."""

from __future__ import annotations

import json

import pytest

from taskmedic_local.template import TemplateInvalid, for_moto, load_application

FUNCTION = """
  Handle:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: app.handler
      Runtime: python3.13
      Events: {Hook: {Type: HttpApi, Properties: {Path: /hook, Method: post}}}
"""


@pytest.fixture
def application(tmp_path):
    """``application(resources as YAML)``: the template with them, loaded."""

    def load(resources, **files):
        path = tmp_path / "template.yaml"
        path.write_text(f"Transform: AWS::Serverless-2016-10-31\nResources:\n{resources}")
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return load_application(path, {})

    return load


def test_functions_run_where_their_code_lies_with_the_layers_of_globals_first(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text(
        """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.13, Layers: [!Ref Core]}}
Resources:
  Core: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/core}}
  Books: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/books}}
  Handle:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src, Handler: app.handler, Layers: [!Ref Books]}
"""
    )

    loaded = load_application(path, {})

    assert loaded.task_roots == {"Handle": tmp_path / "src"}
    assert loaded.layers == {"Handle": (tmp_path / "layers/core", tmp_path / "layers/books")}


def test_routes_are_read_from_the_functions_events(application):
    loaded = application(FUNCTION)

    assert [(r.method, r.path, r.function) for r in loaded.routes] == [("POST", "/hook", "Handle")]


def test_what_moto_does_not_know_is_left_out_and_references_to_it_stand_for_something(application):
    loaded = application(
        """
  Known:
    Type: AWS::SNS::Topic
    DependsOn: Unknown
    Properties: {DisplayName: !Sub "of ${Unknown.Arn}", TopicName: !Ref Unknown}
  Made: {Type: AWS::SecretsManager::Secret}
  Using: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Made}}
  Unknown: {Type: AWS::Made::Up}
"""
    )

    resources = for_moto(loaded.template, {"AWS::SNS::Topic"}, {"Made": "arn:of:it"})["Resources"]

    assert set(resources) == {"Known", "Using"}
    assert resources["Known"]["Properties"] == {
        "DisplayName": {"Fn::Sub": "of local-Unknown"},
        "TopicName": "local-Unknown",
    }
    assert resources["Known"]["DependsOn"] == []
    assert resources["Using"]["Properties"] == {"TopicName": "arn:of:it"}


MACHINE = """
  Run:
    Type: AWS::Serverless::StateMachine
    Properties:
      Role: arn:aws:iam::123456789012:role/any
      DefinitionUri: machine.yaml
      DefinitionSubstitutions: {TopicArn: !Ref Topic}
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt Run.Arn}}
"""


def test_a_state_machines_substitutions_are_made_and_its_arn_is_its_reference(application):
    loaded = application(
        MACHINE, machine="StartAt: A\nStates: {A: {Type: Pass, Result: '${TopicArn}', End: true}}"
    )

    known = {"AWS::StepFunctions::StateMachine", "AWS::SNS::Topic"}
    resources = for_moto(loaded.template, known, {})["Resources"]

    before, topic, after = resources["Run"]["Properties"]["DefinitionString"]["Fn::Join"][1]
    assert topic == {"Ref": "Topic"}
    assert json.loads(before + "the-arn" + after)["States"]["A"]["Result"] == "the-arn"
    assert resources["Topic"]["Properties"]["DisplayName"] == {"Ref": "Run"}


@pytest.mark.parametrize(
    ("resources", "files", "words"),
    [
        ("  X: {Type: AWS::Serverless::Function, Properties: {}}", {}, "X"),
        ("  X: [", {}, "template.yaml"),
        (MACHINE, {}, "machine.yaml"),
        (MACHINE, {"machine": "StartAt: ["}, "machine.yaml"),
    ],
)
def test_a_template_that_cannot_be_used_says_where(application, resources, files, words):
    with pytest.raises(TemplateInvalid, match=words):
        application(resources, **files)


def test_a_definition_with_a_name_nobody_substitutes_is_refused(application):
    loaded = application(
        MACHINE, machine="StartAt: A\nStates: {A: {Type: Pass, Result: '${Nobody}', End: true}}"
    )

    with pytest.raises(TemplateInvalid, match="Nobody"):
        for_moto(loaded.template, {"AWS::StepFunctions::StateMachine"}, {})
