"""State machines run in JSONata as Step Functions runs them."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from taskmedic_local import stepfunctions
from taskmedic_local.stepfunctions import MotoChanged, QueryFailed, evaluate

INVOKE = "arn:aws:states:::lambda:invoke"


def a_pass(**fields):
    return {"Done": {"Type": "Pass", "End": True, **fields}}


def a_task(function, **fields):
    return {
        "Call": {
            "Type": "Task",
            "Resource": INVOKE,
            "Arguments": {"FunctionName": function.arn, "Payload": "{% $states.input %}"},
            "Output": "{% $states.result.Payload %}",
            "End": True,
            **fields,
        }
    }


@pytest.mark.parametrize(
    "text", ['he said "no"', "two\nlines", "back\\slash", "{% $x %}", "ümlaut ☃", "$states"]
)
def test_any_text_survives_assign_and_output(machine, execute, text):
    keeping = machine(
        {
            "Keep": {"Type": "Pass", "Assign": {"kept": "{% $states.input.text %}"}, "Next": "Show"},
            "Show": {"Type": "Pass", "Output": {"shown": "{% $kept & $states.input.text %}"}, "End": True},
        }
    )

    assert execute(keeping, {"text": text})["output"] == {"shown": text + text}


def test_null_is_a_value_and_what_is_not_there_is_an_error(machine, execute):
    null = machine(a_pass(Output={"is": "{% $states.input.gone = null %}", "it": "{% $states.input.gone %}"}))
    undefined = machine(a_pass(Output="{% $states.input.never %}"))

    assert execute(null, {"gone": None})["output"] == {"is": True, "it": None}
    failed = execute(undefined)
    assert (failed["status"], failed["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "$states.input.never" in failed["cause"]


def test_the_context_shows_times_as_step_functions_does(machine, execute):
    telling = machine(a_pass(Output="{% $states.context.Execution.StartTime %}"))

    assert execute(telling)["output"].endswith("Z")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$partition([1,2,3], 2)", [[1, 2], [3]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$hash('a', 'SHA-256')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("""$parse('{"a": [null]}')""", {"a": [None]}),
        ("$length($uuid())", 36),
        ("$random(7) < 1", True),
        ("[1..3]", [1, 2, 3]),
    ],
)
def test_step_functions_own_functions(expression, value):
    assert evaluate(expression, {}) == value


@pytest.mark.parametrize("expression", ["$eval('1')", "$sum", "1 +", "$nowhere", "$uuid() + 1"])
def test_what_step_functions_would_refuse_is_refused(expression):
    with pytest.raises(QueryFailed):
        evaluate(expression, {})


def test_a_functions_error_name_is_caught_by_that_name(function, machine, execute):
    failing = function("class NodeNotFound(Exception): pass\ndef handler(e, c): raise NodeNotFound('none')")
    catching = machine(
        {
            **a_task(failing, Catch=[{"ErrorEquals": ["NodeNotFound"], "Next": "Caught"}]),
            "Caught": {"Type": "Pass", "Output": "{% $states.input.Error %}", "End": True},
        }
    )

    assert execute(catching)["output"] == "NodeNotFound"


def test_a_killed_process_is_met_by_a_retry_of_its_error(function, machine, execute, cloud):
    slow = function("import time\ndef handler(event, context): time.sleep(0.3); return 'done'")
    retrying = machine(
        a_task(slow, Retry=[{"ErrorEquals": ["Runtime.ExitError"], "IntervalSeconds": 1, "MaxAttempts": 2}])
    )
    cloud.lambdas.kill_next_call(slow.name)

    ended = execute(retrying)

    assert (ended["status"], ended["output"]) == ("SUCCEEDED", "done")


def test_a_killed_process_without_a_retry_fails_the_execution(function, machine, execute, cloud):
    slow = function("import time\ndef handler(event, context): time.sleep(5)")
    cloud.lambdas.kill_next_call(slow.name)

    ended = execute(machine(a_task(slow)))

    assert (ended["status"], ended["error"]) == ("FAILED", "Runtime.ExitError")


def test_lambda_throttling_has_step_functions_name(function, machine, execute, cloud):
    idle = function("def handler(event, context): return 1")
    cloud.faults.add(
        action="error", service="lambda", operation="POST", code="TooManyRequestsException", status=429
    )

    assert execute(machine(a_task(idle)))["error"] == "Lambda.TooManyRequestsException"


def test_a_task_over_its_time_is_timed_out(function, machine, execute):
    slow = function("import time\ndef handler(event, context): time.sleep(3)")

    assert execute(machine(a_task(slow, TimeoutSeconds=1)))["error"] == "States.Timeout"


LARGE = "{% $join($map([1..30000], function($n) {'0123456789'})) %}"


@pytest.mark.parametrize(
    "large",
    [
        pytest.param({"Type": "Pass", "Output": LARGE}, id="output"),
        pytest.param({"Type": "Pass", "Assign": {"large": LARGE}, "Output": {}}, id="variable"),
        pytest.param(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Arguments": {"QueueUrl": "https://nowhere", "MessageBody": LARGE},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            },
            id="arguments",
        ),
    ],
)
def test_more_than_256_kib_fails_the_execution_and_nothing_catches_it(machine, execute, large):
    too_much = machine({"Large": {**large, "Next": "Caught"}, "Caught": {"Type": "Pass", "End": True}})

    failed = execute(too_much)

    assert (failed["status"], failed["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_wait_takes_a_fraction_of_its_seconds(machine, execute, cloud):
    waiting = machine({"Wait": {"Type": "Wait", "Seconds": 20, "End": True}})

    ended = execute(waiting)

    took = (ended["stopDate"] - ended["startDate"]).total_seconds()
    assert 20 * cloud.time_scale <= took < 20


def test_two_executions_at_once_count_their_retries_apart(function, machine, cloud, aws, tmp_path):
    failing = function(
        "import pathlib\n"
        "def handler(event, context):\n"
        f"  with open(f'{tmp_path}/' + event['id'], 'a') as f: f.write('x')\n"
        "  raise ValueError\n"
    )
    arn = machine(
        a_task(failing, Retry=[{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 2}])
    )
    start = aws("stepfunctions").start_execution

    started = [
        start(stateMachineArn=arn, input=json.dumps({"id": name}))["executionArn"] for name in ("a", "b", "c")
    ]

    assert [cloud.executions.wait(one) for one in started] == ["FAILED"] * 3
    assert [(tmp_path / name).read_text() for name in ("a", "b", "c")] == ["xxx"] * 3


def test_an_execution_without_a_name_gets_one(machine, aws):
    arn = machine(a_pass())

    started = aws("stepfunctions").start_execution(stateMachineArn=arn)

    assert len(started["executionArn"].rpartition(":")[2]) == 36


def test_a_name_is_used_once(machine, execute, aws, cloud):
    arn = machine(a_pass())
    start = aws("stepfunctions").start_execution
    first = start(stateMachineArn=arn, name="once", input="{}")
    cloud.executions.wait(first["executionArn"])

    with pytest.raises(ClientError) as refused:
        start(stateMachineArn=arn, name="once", input="{}")

    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"name": "with a blank"}, "InvalidName"),
        ({"name": "x" * 81}, "InvalidName"),
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262_144)}, "ValidationException"),
    ],
)
def test_a_wrong_start_is_refused(machine, aws, request_, code):
    with pytest.raises(ClientError) as refused:
        aws("stepfunctions").start_execution(stateMachineArn=machine(a_pass()), **request_)

    assert refused.value.response["Error"]["Code"] == code


def test_a_moto_that_has_changed_is_named(monkeypatch):
    monkeypatch.delattr(stepfunctions.string_expression.StringJSONata, "_eval_body")

    with pytest.raises(MotoChanged, match=r"StringJSONata\._eval_body"):
        stepfunctions.wire(lambda _: None, 1.0)
