"""Accounts are kept apart by the role that a caller has assumed."""

from __future__ import annotations

import boto3
import pytest


@pytest.fixture
def as_role(aws, cloud):
    """``as_role(account, "ecs")``: a client with the credentials of a role in that account."""

    def client(account, service):
        role = f"arn:aws:iam::{account}:role/taskmedic-reader"
        found = aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=cloud.endpoint,
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=found["SessionToken"],
        )

    return client


@pytest.mark.parametrize(
    ("service", "make", "names"),
    [
        (
            "ecs",
            lambda client: client.create_cluster(clusterName="theirs"),
            lambda client: [arn.rsplit("/", 1)[1] for arn in client.list_clusters()["clusterArns"]],
        ),
        (
            "s3",
            lambda client: client.create_bucket(Bucket="theirs"),
            lambda client: [bucket["Name"] for bucket in client.list_buckets()["Buckets"]],
        ),
    ],
)
def test_what_a_role_makes_is_in_its_account_alone(as_role, aws, service, make, names):
    ours = names(aws(service))
    theirs = as_role("210987654321", service)

    make(theirs)

    assert names(theirs) == ["theirs"]
    assert names(aws(service)) == ours


def test_an_execution_cannot_be_seen_from_another_account(as_role, aws):
    assert aws("stepfunctions").list_state_machines()["stateMachines"]
    assert as_role("210987654321", "stepfunctions").list_state_machines()["stateMachines"] == []
