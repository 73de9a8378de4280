"""What is hidden, and what stays readable."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.masking import mask, mask_document, mask_environment, mask_lines
from taskmedic.domain.secret_kinds import KINDS, MASK, Kind

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
        ("MYSQL_PASS = hunter2", "hunter2"),
        ("dbPass=hunter2", "hunter2"),
        ("token=abc", "abc"),
        ("{'password':'it\\'s'}", "it\\'s"),
        ("password=p)w;d", "p)w;d"),
        ('"password":12345678', "12345678"),
        ("mongodb://u:a@b@h1:27017,h2:27017/db", "a@b"),
        ("authorization=Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("Set-Cookie: connect.sid=s%3Aabcdef0123; Path=/", "s%3Aabcdef0123"),
        ("x-api-key: abcdefghijklmnop", "abcdefghijklmnop"),
        ('["mysql", "--password", "hun ter2"]', "hun ter2"),
        ("--db-password hunter2", "hunter2"),
        ('["mysql", "-phunter2"]', "hunter2"),
        ("redis://:hunter2@cache:6379", "hunter2"),
        ("{password: hunter2, user: x}", "hunter2"),
        ("curl -su admin:hunter2 https://x", "hunter2"),
        ("docker login -u orders -p hunter2 registry.internal", "hunter2"),
        ('{"Authorization":["Bearer abcdefgh"]}', "abcdefgh"),
        ('{"apiKey": ["abcdefgh"]}', "abcdefgh"),
        (r'{"q": "password\u003dhunter2"}', "hunter2"),
        ("/login?user%3Da%26password%3Dhunter2", "hunter2"),
        ("token:abcd1234efgh5678ijkl", "abcd1234efgh5678ijkl"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl-odd.line\n-----END OPENSSH PRIVATE KEY-----", "b3Bl"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    shown = mask(text)

    assert secret not in shown
    assert MASK in shown


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_hides_its_examples(kind: Kind) -> None:
    for text, shown in kind.examples.items():
        assert mask(text) == shown
        assert re.sub(kind.pattern, kind.replacement, text) == shown  # and needs no other kind for it
        assert any(hint in text.lower() for hint in kind.hints)


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
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
            "retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 time(s)"
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed"
        ),
        (
            "unable to retrieve secret from asm: secret: arn:aws:secretsmanager:eu-west-1:123456789012:"
            "secret:orders/db-password-AbCdEf:password:AWSCURRENT:"
        ),
        "invalid ssm parameters: /prod/orders/db-password, /prod/orders/api-token",
        "fetching arn:aws:ssm:eu-west-1:1:parameter/prod/db-password: AccessDeniedException: User:",
        "DB_SECRET_ARN=arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf",
        '{"secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf"}',
        "aws secretsmanager get-secret-value --secret-id orders/db",
        "An error occurred (ExpiredTokenException): The security token included in the request is expired",
        "not authorized to perform: secretsmanager:BatchGetSecretValue",
        "spring.datasource.password=${DB_PASSWORD}",
        "Could not resolve placeholder 'DB_PASSWORD' in value \"${DB_PASSWORD}\"",
        "Access denied for user 'orders'@'10.0.0.1' (using password: YES)",
        "KeyError: 'API_KEY'",
        "token expired",
        "failed to get token: context deadline exceeded",
        "refreshing the token: unauthorized",
        'FATAL: password authentication failed for user "orders"',
        "invalid password: must have at least 8 characters",
        "password=null token=None secret=true",
        '{"prompt_tokens": 1200, "completion_tokens": 35, "token_type": "Bearer", "expires_in": 3600}',
        "max_tokens=4096 secrets=3 bypass=1 passed=12 author=bob oauth=on",
        "PASSWORD_FILE=/run/secrets/db TOKEN_URL=https://auth.internal/token",
        "pulling registry.internal/orders/forgot_password:1.2.3 and auth-token-service:v12",
        "https://web.internal:8080/users/@orders/pkg and ssh://git@github.com/orders/web.git",
        "curl -fsS http://localhost:8080/health || exit 1",
        "cache key: orders:123, partition key user_id, primary key violated",
        "at com.example.TokenService.passwordFor(TokenService.java:42)",
        "http: named cookie not present",
        'level=info ts=2026-03-04T05:00:00Z msg="session opened" status=200 took=12ms',
        "arn:aws:ecs:eu-west-1:123456789012:service/sk-prod-cluster-eu-1/rk-checkout-service-prod",
        "service/sk-prod-cluster-eu-1 and cluster sk-prod-cluster-eu-1",
        "acme/sk-learn-model-server:1 and acme/sk-Learn-Model-Server-1:1",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sk-orders-service-prod:1",
        "container rk-metrics-exporter-prod-2 stopped, sk-production-orders-service exited",
        "log group /ecs/sk-orders-service-production",
        "npm_config_registry_something_long=https://npm.internal and npm_package_dependencies_react_dom_18",
        "task-pypi-mirror-service-production-2 and pypi-mirror-service-production-x",
        "docker://registry.internal:5000/orders@sha256:" + "0123456789abcdef" * 4,
        "auth=ldap pass=3/4",
        '{"token":null,"id":1} {\\"token\\":null,\\"id\\":1}',
        '{"token": "expired.", "password": \'missing\'}',
        '{"msg": "refreshing the token: unauthorized"}',
        "login failed (using password: NO).",
        "Server=db;Pwd=null;User Id=sa",
    ],
)
def test_what_aws_and_plain_logs_say_stays_readable(text: str) -> None:
    assert mask(text) == text


PIECES = st.sampled_from(
    [example for kind in KINDS for text, shown in kind.examples.items() for example in (text, shown)]
    + [
        *"\n \"'\\{}[]():=;,&@/-",
        "password",
        "token",
        "auth",
        "--secret ",
        "eyJ",
        "https://",
        "arn:aws:",
        MASK,
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=6).map("".join))
def test_masking_twice_is_masking_once_and_keeps_the_lines(text: str) -> None:
    shown = mask(text)

    assert mask(shown) == shown
    assert shown.count("\n") == text.count("\n")


HOSTILE = [
    *("eyJ-", "eyJabcdef.", "-----BEGIN PRIVATE KEY-----", "-----END ", "://a:", "://a:@@", "password=a,"),
    *(
        "secret_token_key",
        "--password ",
        "-a-",
        "mysql -",
        "token: ",
        "cookie: a",
        "<password",
        "password='a\\",
    ),
    *("'x-token", "sk-", "token=a.", "password: no),;", "://a:1/"),
    *("authorization: bearer ", "A1b/", "a.b-", "bearer a", "hooks.slack.com/", "arn:aws:secretsmanager:"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_four_times_the_text_takes_about_four_times_as_long(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        began = time.process_time()
        mask(text)
        return time.process_time() - began

    seconds(1000)  # compiles the patterns
    quarter, whole = seconds(50_000), seconds(200_000)

    # Quadratic would be 16; the slack is for a busy machine and for what is too short to measure.
    assert whole < 9 * quarter + 0.1


def test_a_key_printed_over_several_log_events_is_seen_whole() -> None:
    lines = [
        "loaded\nthe key",
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADAN",
        "x9Kc-odd",
        "-----END PRIVATE KEY-----",
    ]

    shown = mask_lines([*lines, "ready"])

    assert shown == ["loaded\nthe key", f"-----PRIVATE KEY {MASK}-----", "", "", "", "ready"]
    assert mask_lines([]) == []


def test_a_tail_that_begins_within_a_key_shows_nothing_of_it() -> None:
    body = ["q3ZrT0xKb1d4" * 6, "c29tZQ==", "-----END RSA PRIVATE KEY-----", "ready"]

    shown = mask_lines([body[0][:64], *body[1:]])

    assert "q3Zr" not in "".join(shown)
    assert "c29t" not in "".join(shown)
    assert shown[-1] == "ready"


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


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "--password", "hunter2", "--verbose"], ["run", "--password", MASK, "--verbose"]),
        (["run", "--token", "--quiet"], ["run", "--token", "--quiet"]),
        (["/usr/bin/mysql", "-uroot", "-phunter2"], ["/usr/bin/mysql", "-uroot", f"-p{MASK}"]),
        (["curl", "-su", "a:b", "https://x"], ["curl", "-su", MASK, "https://x"]),
        (["redis-cli", "-a", "hunter2", "ping"], ["redis-cli", "-a", MASK, "ping"]),
        (["sh", "-c", "mysql -phunter2"], ["sh", "-c", f"mysql -p{MASK}"]),
        (["get", "--secret", "arn:aws:ssm:eu-west-1:1:parameter/db"],) * 2,
        (["java", "-port", "8080"],) * 2,
        ([],) * 2,
    ],
)
def test_a_command_loses_the_values_of_its_flags(words: list[str], shown: list[str]) -> None:
    assert mask_document({"command": words}) == {"command": shown}


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"password": 12345678}, {"password": MASK}),
        ({"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "DB_PASSWORD", "value": MASK}),
        ({"name": "STAGE", "value": "prod"},) * 2,
        ({"environment": {"A": "hunter2"}}, {"environment": {"A": MASK}}),
        ({"secretArn": "arn:aws:secretsmanager:eu-west-1:1:secret:db"},) * 2,
        ({"tokens": ["a", "arn:aws:ssm:::b"]}, {"tokens": [MASK, "arn:aws:ssm:::b"]}),
        ({"enableToken": True, "password": "", "secrets": [{"name": "A", "valueFrom": "b"}]},) * 2,
    ],
)
def test_a_name_tells_that_its_value_is_a_secret(document: object, shown: object) -> None:
    assert mask_document(document) == shown
