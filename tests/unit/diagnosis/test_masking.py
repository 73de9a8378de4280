"""What is hidden, and what stays readable."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.masking import MASK, mask, mask_document, mask_environment

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
AWS_SECRET = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7k"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DB_PASSWORD=hunter22", "hunter22"),
        ("export API_KEY='abc def'", "abc def"),
        ("password: swordfish", "swordfish"),
        ('{"client_secret": "s3cr3t", "id": 7}', "s3cr3t"),
        ("{'api_token': 's3cr3t'}", "s3cr3t"),
        ('{\\"password\\": \\"in a text\\"}', "in a text"),
        ("postgres://orders:p4ssw0rd@db.internal/orders", "p4ssw0rd"),
        (f"Authorization: Bearer {JWT}", JWT),
        ("Authorization: Basic b3JkZXJzOnBhc3M=", "b3JkZXJzOnBhc3M="),
        (f"session {JWT} ended", JWT),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        (f"with {AWS_SECRET} as it is", AWS_SECRET),
        ("token: abcd1234efgh", "abcd1234efgh"),
        ("https://s3/x?X-Amz-Credential=ABC/2026&X-Amz-Signature=0a1b2c3d4e", "0a1b2c3d4e"),
        ("cloned with ghp_0123456789abcdefghij0123456789abcdef", "ghp_0123456789abcdefghij0123456789abcdef"),
        ("sent by xoxb-1234567890-abcdefghij", "xoxb-1234567890-abcdefghij"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("Server=db;User Id=sa;Pwd=Str0ng!;", "Str0ng!"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    shown = mask(text)

    assert secret not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        (
            "unable to retrieve secret from asm: AccessDeniedException: not authorized to perform: "
            "secretsmanager:GetSecretValue"
        ),
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf",
        (
            'failed to authorize: failed to fetch anonymous token: Get "https://auth.docker.io/token": i/o '
            "timeout"
        ),
        (
            "manifest for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:"
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef not found"
        ),
        "commit 0123456789abcdef0123456789abcdef01234567",
        "did not contain json key password",
        "https://registry-1.docker.io/v2/: net/http: request canceled",
        "Essential container in task exited",
    ],
)
def test_what_aws_says_stays_readable(text: str) -> None:
    assert mask(text) == text


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_environment_values_are_hidden_whatever_they_are() -> None:
    assert mask_environment([{"name": "LOG_LEVEL", "value": "debug"}]) == [
        {"name": "LOG_LEVEL", "value": MASK}
    ]


def test_a_document_keeps_names_and_references_and_loses_values() -> None:
    document = {
        "containerDefinitions": [
            {
                "name": "app",
                "environment": [{"name": "STAGE", "value": "prod"}],
                "secrets": [{"name": "DB", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:db"}],
                "command": ["run", "--api-key=abc123"],
            }
        ],
        "password": "x",
        "count": 3,
        "overrides": {"containerOverrides": [{"environment": [{"name": "A", "value": "plain"}]}]},
    }

    masked = mask_document(document)

    app = masked["containerDefinitions"][0]
    assert app["environment"] == [{"name": "STAGE", "value": MASK}]
    assert app["secrets"][0]["valueFrom"].endswith("secret:db")
    assert masked["password"] == MASK
    assert masked["count"] == 3
    for secret in ("prod", "abc123", "plain"):
        assert secret not in json.dumps(masked)
