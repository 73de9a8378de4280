"""Executions of the state machine: starting them, and whether they are under way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from taskmedic.aws.errors import translated


def start_execution(stepfunctions: Any, machine_arn: str, name: str, document: Mapping[str, Any]) -> bool:
    """Starts an execution; False when the name has been used within 90 days.

    While an execution of that name and input is running, starting it again is no error and changes nothing.
    Source: StartExecution in the API reference of Step Functions.

    Raises:
        Throttled, AwsError: it was not started.
    """
    with translated("cannot start the execution", machine_arn):
        try:
            stepfunctions.start_execution(stateMachineArn=machine_arn, name=name, input=json.dumps(document))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
                return False
            raise
    return True


def is_running(stepfunctions: Any, execution_arn: str, *, new: bool) -> bool:
    """Whether the execution is under way; one that Step Functions does not know is, while it is ``new``.

    DescribeExecution is eventually consistent. Source: its page in the API reference of Step Functions.

    Raises:
        Throttled, AwsError: it cannot be seen.
    """
    with translated("cannot describe the execution", execution_arn):
        try:
            answer = stepfunctions.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return new
            raise
    return bool(answer["status"] == "RUNNING")
