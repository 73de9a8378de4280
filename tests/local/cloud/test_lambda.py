"""Functions run as Lambda runs them, and fail with the names Lambda gives."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from botocore.exceptions import ClientError

from taskmedic_local.lambdas import DEFAULT_POOL_SIZE

PID = "import os\ndef handler(event, context): return os.getpid()\n"


def test_the_handlers_value_is_the_answer(function, invoke):
    echo = function("def handler(event, context): return {'got': event, 'as': context.function_name}")

    answer, error = invoke(echo, {"text": "ümlaut\n"})

    assert (answer, error) == ({"got": {"text": "ümlaut\n"}, "as": echo.name}, "")


def test_an_exceptions_class_is_the_error_type(function, invoke):
    failing = function(
        "class NodeNotFound(Exception): pass\ndef handler(event, context): raise NodeNotFound('no node')"
    )

    answer, error = invoke(failing)

    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("NodeNotFound", "no node")


@pytest.mark.parametrize(
    ("ending", "words"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), 9)", "signal: killed")],
)
def test_a_process_that_ends_during_a_call_is_an_exit_error(function, invoke, ending, words):
    ending_itself = function(
        f"import os\ndef handler(event, context):\n  if event: {ending}\n  return 'well'"
    )

    answer, error = invoke(ending_itself, {"end": True})

    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert words in answer["errorMessage"]
    assert invoke(ending_itself) == ("well", "")  # by a new process


def test_a_call_over_its_time_is_timed_out_and_its_process_ended(function, invoke, wait_for, tmp_path):
    noted = tmp_path / "pid"
    slow = function(
        f"import os, time\ndef handler(event, context):\n"
        f"  open({str(noted)!r}, 'w').write(str(os.getpid()))\n  time.sleep(60)",
        timeout_s=0.3,
    )

    answer, error = invoke(slow)

    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 0.30 seconds" in answer["errorMessage"]
    wait_for(lambda: not psutil.pid_exists(int(noted.read_text())))


def test_a_handler_that_cannot_be_imported_says_so(function, invoke):
    broken = function("import nothing_of_that_name")

    answer, error = invoke(broken)

    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert "nothing_of_that_name" in answer["errorMessage"]


def test_calls_one_after_the_other_share_a_process(function, invoke):
    own_pid = function(PID)

    assert len({invoke(own_pid)[0] for _ in range(5)}) == 1


def test_calls_at_the_same_time_get_processes_of_their_own(function, invoke):
    meeting = function(
        "import pathlib, time, os\n"
        "here = pathlib.Path(__file__).parent\n"
        "def handler(event, context):\n"
        "  (here / f'met-{os.getpid()}').touch()\n"
        "  while len(list(here.glob('met-*'))) < 3: time.sleep(0.01)\n"
        "  return os.getpid()\n"
    )

    with ThreadPoolExecutor(3) as pool:
        pids = {answer for answer, _ in pool.map(lambda _: invoke(meeting), range(3))}

    assert len(pids) == 3


def test_more_calls_than_processes_wait_and_are_all_served(function, invoke):
    own_pid = function("import os, time\ndef handler(event, context): time.sleep(0.02); return os.getpid()")

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: invoke(own_pid), range(60)))

    assert all(error == "" for _, error in answers)
    assert len({pid for pid, _ in answers}) <= DEFAULT_POOL_SIZE


def test_reserved_concurrency_refuses_what_is_beyond_it(function, invoke, wait_for, cloud, tmp_path):
    begun, end = tmp_path / "begun", tmp_path / "end"
    waiting = function(
        "import pathlib, time\n"
        "def handler(event, context):\n"
        f"  pathlib.Path({str(begun)!r}).touch()\n"
        f"  while not pathlib.Path({str(end)!r}).exists(): time.sleep(0.01)\n",
        reserved_concurrency=1,
    )
    first = threading.Thread(target=invoke, args=[waiting])
    first.start()
    wait_for(begun.exists)

    with pytest.raises(ClientError) as refused:
        invoke(waiting)

    end.touch()
    first.join()
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_a_function_finds_lambdas_variables_its_own_and_its_layers(function, invoke, tmp_path):
    layer = tmp_path / "layer"
    (layer / "runbooks").mkdir(parents=True)
    (layer / "shared.py").write_text("NAME = 'from the layer'")
    looking = function(
        "import os, shared\ndef handler(event, context): return {**os.environ, 'shared': shared.NAME}",
        layers=(layer,),
        environment={"RUNBOOKS_DIR": "/opt/runbooks", "STAGE": "test"},
    )

    seen, _ = invoke(looking)

    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == looking.name
    assert (seen["_HANDLER"], seen["STAGE"], seen["shared"]) == ("app.handler", "test", "from the layer")
    assert seen["RUNBOOKS_DIR"] == str(layer / "runbooks")
    assert seen["_X_AMZN_TRACE_ID"].startswith("Root=1-")


def test_what_a_function_writes_is_in_its_log_group(function, invoke, aws, wait_for):
    talking = function("def handler(event, context): print('said by the function')")
    invoke(talking)

    def lines():
        events = aws("logs").filter_log_events(logGroupName=talking.log_group)["events"]
        texts = [event["message"] for event in events]
        return texts if texts and texts[-1].startswith("END ") else []

    start, said, _ = wait_for(lines)
    assert start.startswith("START RequestId: ")
    assert said == "said by the function"


def test_an_asynchronous_call_that_fails_is_tried_again(function, aws, wait_for, tmp_path):
    tries = tmp_path / "tries"
    failing = function(
        f"def handler(event, context):\n  open({str(tries)!r}, 'a').write('x')\n  raise ValueError(event)"
    )

    answer = aws("lambda").invoke(FunctionName=failing.arn, InvocationType="Event", Payload=b"{}")

    assert answer["StatusCode"] == 202
    wait_for(lambda: tries.exists() and tries.read_text() == "xx")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"FunctionName": "no-such-function", "Payload": b"{}"}, "ResourceNotFoundException"),
        ({"Payload": b"{"}, "InvalidRequestContentException"),
        ({"Payload": json.dumps("x" * 6_291_457).encode()}, "RequestTooLargeException"),
    ],
)
def test_a_request_lambda_would_not_take_is_refused(function, aws, request_, code):
    own_pid = function(PID)

    with pytest.raises(ClientError) as refused:
        aws("lambda").invoke(**{"FunctionName": own_pid.name, **request_})

    assert refused.value.response["Error"]["Code"] == code


def test_an_answer_over_six_megabytes_is_an_error(function, invoke):
    talkative = function("def handler(event, context): return 'x' * 6_300_000")

    answer, error = invoke(talkative)

    assert (error, answer["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")


def test_killing_the_next_call_ends_it_and_no_other(function, invoke, cloud):
    slow = function("import time\ndef handler(event, context): time.sleep(event['s']); return 'done'")
    cloud.lambdas.kill_next_call(slow.name)

    answer, error = invoke(slow, {"s": 10})

    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert invoke(slow, {"s": 0}) == ("done", "")
