"""The kinds of secret that ``masking`` looks for, in the order in which it looks.

Each kind has examples: a text, and what is shown of it. A test runs them all. Every pattern is linear in the
length of the text: its repetitions are bounded, possessive, or begin where no other match could have begun.
Only a private key goes over the end of a line, and what is shown of it has as many lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmedic.domain.secret_names import (
    ANY_NAME,
    BARE,
    COLON,
    EQUALS,
    FLAG,
    LOGIN_NAME,
    NAME_HINTS,
    NOT_HARMLESS,
    NOT_HARMLESS_QUOTED,
    OPEN_QUOTE,
    QUOTED,
    SEPARATOR,
    SHORT_OPTIONS,
    TOKEN_NAME,
    WORD_BEGINS,
)

if TYPE_CHECKING:
    import re

MASK = "****"
KEPT = rf"\1{MASK}"  # what the first group holds stays: a name, a user, a program


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of secret. It is looked for only where the lower-cased text has one of ``hints``, and one of
    ``signs`` besides: what no such secret can be written without.

    The pattern is compiled (and kept by ``re``) when a hint is first seen: most invocations see few of them.
    """

    name: str
    pattern: str
    examples: Mapping[str, str]
    hints: tuple[str, ...] = ("",)
    signs: tuple[str, ...] = ("",)
    replacement: str | Callable[[re.Match[str]], str] = KEPT


def _with_its_lines(shown: str) -> Callable[[re.Match[str]], str]:
    return lambda found: shown + "\n" * found[0].count("\n")


_COMMANDS = "|".join(
    rf"\b{name}\b[^\n|;&]{{0,300}}?[ \t\"']{option}" for name, option in SHORT_OPTIONS.items()
)
_SCHEMES = (
    r"bearer|basic|digest|negotiate|ntlm|hawk|bot|splunk|jwt|ssws|signature|sharedkey|geniekey|api-?key|key|"
    r"token|aws4-hmac-sha256"
)
_MIXED = r"(?=[a-z\d/+]{0,75}[A-Z])(?=[A-Z\d/+]{0,75}[a-z])(?=[a-zA-Z/+]{0,75}\d)"
_DIGIT = r"(?=[a-zA-Z_\-]{0,200}\d)"
_MIXED_WORD = rf"{_DIGIT}(?=[a-z\d_\-]{{0,200}}[A-Z])(?=[A-Z\d_\-]{{0,200}}[a-z])"

KINDS: tuple[Kind, ...] = (
    Kind(
        "a private key in PEM, whole or without its end",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^\-]|-(?!----)){0,16000}+-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|"
        r"[\w+/=\s\\:,]{0,16000})",
        {
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----\nready": (
                f"-----PRIVATE KEY {MASK}-----\n\n\n\nready"
            ),
            "key: -----BEGIN PRIVATE KEY-----\nMIIEow": f"key: -----PRIVATE KEY {MASK}-----\n",
        },
        ("-----begin",),
        replacement=_with_its_lines(f"-----PRIVATE KEY {MASK}-----"),
    ),
    Kind(
        "the end of a private key whose beginning is gone",
        r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{0,76}\s{0,3}-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        {"qIBAAKC0x=\n-----END PRIVATE KEY-----": f"-----PRIVATE KEY {MASK}-----\n"},
        ("-----end",),
        replacement=_with_its_lines(f"-----PRIVATE KEY {MASK}-----"),
    ),
    Kind(
        "a line of base64 as long as PEM has them, or an AWS secret access key",
        rf"(?<![\w/+=.\-]){_MIXED}(?:[A-Za-z0-9/+]{{76}}|[A-Za-z0-9/+]{{70}}|[A-Za-z0-9/+]{{64}}|"
        rf"[A-Za-z0-9/+]{{40}})(?![\w/+=.\-])",
        {
            "with aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7k as it is": f"with {MASK} as it is",
            "MIIEowIBAAKCAQ3A" * 4: MASK,
        },
        replacement=MASK,
    ),
    Kind(
        "user:password in a URL, also where the password has @ or /",
        # A number before the first / is a port, but for a database, whose users have passwords of all kinds.
        r"(://(?:(?:(?<=postgres://)|(?<=sql://)|(?<=mongodb://)|(?<=redis://))[^\s:/@\"'<>]{0,100}:|"
        r"[^\s:/@\"'<>]{0,100}:(?!\d{1,5}/)))"
        r"(?:[^\s/\"'<>]{1,300}@|[^\s@\"'<>]{1,300}@(?:[^\s/@\"'<>]{1,100}@){0,3})",
        {
            "postgres://orders:p4ss@db.internal/orders": f"postgres://orders:{MASK}@db.internal/orders",
            "postgres://shop:p@ssHUNTER@db": f"postgres://shop:{MASK}@db",
            "postgres://user:pa/ss@host/db": f"postgres://user:{MASK}@host/db",
            "postgres://u:1234/5@h/db": f"postgres://u:{MASK}@h/db",
        },
        ("://",),
        replacement=rf"\1{MASK}@",
    ),
    Kind(
        "a key as the user of a URL",
        r"(://)(?=[A-Za-z_\-]{0,200}\d)[\w\-]{16,200}@",
        {"https://0123456789abcdef0123@o1.ingest.sentry.io/2": f"https://{MASK}@o1.ingest.sentry.io/2"},
        ("://",),
        replacement=rf"\1{MASK}@",
    ),
    Kind(
        "user/password of Oracle's driver",
        r"(jdbc:oracle:\w{1,20}:\w{1,100}/)[^\s@]{1,300}(?=@)",
        {"jdbc:oracle:thin:scott/tiger@db:1521/x": f"jdbc:oracle:thin:scott/{MASK}@db:1521/x"},
        ("jdbc:oracle",),
    ),
    Kind(
        "a webhook whose URL is its secret: Slack, Discord, Telegram",
        r"(?i)(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{1,30}/|"
        r"api\.telegram\.org/bot)[\w/:\-]{8,300}",
        {"to https://hooks.slack.com/services/T0/B0/XXXXXXXX": f"to https://hooks.slack.com/services/{MASK}"},
        ("hooks.slack", "/api/webhooks/", "api.telegram"),
    ),
    Kind(
        "a JWT",
        r"(?<![\w\-])eyJ[\w\-]{5,8000}+\.[\w\-]{2,8000}+(?:\.[\w\-]{0,8000}+)?",
        {"session eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0 ended": f"session {MASK} ended"},
        ("eyj",),
        replacement=MASK,
    ),
    Kind(
        "an AWS access key id, and the session token that goes with it",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[\w+/=%]{16,4000}",
        {
            "key AKIAIOSFODNN7EXAMPLE used": f"key {MASK} used",
            "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3Q": MASK,
        },
        ("akia", "asia", "iqojb3jpz2lu", "gzxivyxdz"),
        replacement=MASK,
    ),
    Kind(
        "a token marked by its maker",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w\-]{16,64}|"
        r"xox[abeprs]-[\w\-]{10,250}|xapp-[\w\-]{10,250}|whsec_[\w+/=]{16,250}|rubygems_\w{20,64}|dckr_pat_[\w\-]{20,64}|hf_[A-Za-z0-9]{20,64}|"
        r"AIza[\w\-]{30,50}|ya29\.[\w\-]{20,500}|SG\.[\w\-]{16,64}\.[\w\-]{16,64}|do[opr]_v1_[a-f0-9]{40,80}|"
        r"shp(?:at|ca|pa|ss)_\w{20,64}|hv[sbr]\.[\w\-]{20,250}|glsa_\w{20,64}|NRAK-[A-Z0-9]{20,40}|"
        r"ATATT3[\w\-=]{20,300}|lin_api_\w{20,64}|AGE-SECRET-KEY-1[A-Z0-9]{20,80}|"
        # These begin as names of services and images do too.
        rf"(?<!/)(?:[sr]k[-_](?:(?:live|test|proj|ant|or)[-_]{_DIGIT}|{_MIXED_WORD}|(?=[0-9a-f]{{32}}))"
        rf"[\w\-]{{16,250}}|pypi-{_MIXED_WORD}[\w\-]{{20,250}}|npm_{_MIXED_WORD}\w{{20,64}}))",
        {
            f"sent by {token} today": f"sent by {MASK} today"
            for token in (
                "ghp_0123456789abcdefghij0123456789abcdef",
                "xoxb-1234567890-abcdefghij",
                "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuv-123",
                "hf_abcdefghijklmnopqrstuvwxyz012345",
                "dop_v1_" + "0123456789abcdef" * 4,
                "whsec_abcdefghijklmnopqrstuvwxyz012345",
                "sk_test_" + "abcdefghij0123456789",
                "sk-proj-" + "abcdefghij-0123456789",
                "sk-" + "0123456789abcdef" * 2,
                "rk-" + "abcdefghijKLMNOP_0123",
                "npm_" + "abcdefghijKLMNOPQRST0123456789",
                "pypi-" + "abcdefghijKLMNOP_-0123456789",
            )
        },
        (
            *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "glpat-", "xox", "xapp-", "sk-", "sk_"),
            *(
                "rk-",
                "rk_",
                "whsec_",
                "pypi-",
                "npm_",
                "rubygems_",
                "dckr_pat",
                "hf_",
                "aiza",
                "ya29.",
                "sg.",
            ),
            *("_v1_", "shpat", "shpca", "shppa", "shpss", "hvs.", "hvb.", "hvr.", "glsa_", "nrak-", "atatt3"),
            *("lin_api_", "age-secret"),
        ),
        replacement=MASK,
    ),
    Kind(
        "the header Authorization with its scheme",
        rf"(?i)(authorization[\"'\\\]]{{0,8}}[ \t]{{0,3}}[:=][ \t]{{0,3}}[\[\"'\\]{{0,5}}"
        rf"(?:{_SCHEMES})[ =]{{1,3}})"
        rf"{NOT_HARMLESS}(?!(?:tokens?|credentials?|scheme)\b)[^\"'\\\n]{{1,4000}}",
        {
            "Authorization: Bearer abcdefghijklmnop": f"Authorization: Bearer {MASK}",
            "-H 'Authorization: ApiKey abcdefghij0123' https://x": f"-H 'Authorization: ApiKey {MASK}' https://x",
        },
        ("authorization",),
    ),
    Kind(
        "the headers Cookie and Set-Cookie",
        r"(?i)(cookie[\"'\\]{0,4}[ \t]{0,3}:[ \t]{0,3}[\"'\\]{0,4})(?=[^\s=;\"']{1,100}=)[^\"'\\\n]{1,4000}",
        {"Cookie: session=abcdef0123456789; theme=dark": f"Cookie: {MASK}"},
        ("cookie",),
    ),
    Kind(
        "a scheme and its token, without the header",
        r"(?i)\b((?:bearer|basic|token) {1,4})(?=[A-Za-z+/_.\-]{0,200}[\d=])[\w+/.=\-]{12,4000}",
        {"sent Basic b3JkZXJzOnBhc3M= to it": f"sent Basic {MASK} to it"},
        ("bearer", "basic", "token "),
    ),
    Kind(
        "what signs a presigned URL",
        r"(?i)((?:X-Amz-(?:Credential|Security-Token|Signature)|sig)=)[^\s&\"']{4,4000}",
        {"s3/x?X-Amz-Credential=ABC/2026&a=b": f"s3/x?X-Amz-Credential={MASK}&a=b"},
        ("x-amz-", "sig="),
    ),
    Kind(
        "the short option of a program that takes a secret",
        rf"((?:{_COMMANDS})(?:[\"'],)?[ \t=]{{0,2}}[\"']?)[^\s\"']{{1,400}}",
        {
            "mysql -u root -phunter2 -h db": f"mysql -u root -p{MASK} -h db",
            '["curl", "-u", "a:b"]': f'["curl", "-u", "{MASK}"]',
            "redis-cli -h cache -a hunter2 ping": f"redis-cli -h cache -a {MASK} ping",
        },
        ("mysql", "mariadb", "curl", "redis-cli", "sshpass", " login"),
    ),
    Kind(
        "a flag and its quoted value, also as two members of a list",
        rf"(?i)({FLAG}(?:[ \t]{{1,3}}|[\"'\\]{{1,4}},[ \t]{{0,3}}){OPEN_QUOTE})"
        rf"(?!-){NOT_HARMLESS_QUOTED}{QUOTED}",
        {
            "run --api-key 'abc def' now": f"run --api-key '{MASK}' now",
            'command: ["run", "--db-password", "hunter2"]': f'command: ["run", "--db-password", "{MASK}"]',
        },
        NAME_HINTS,
        signs=('"', "'"),
    ),
    Kind(
        "a flag and its value",
        rf"(?i)({FLAG}[ \t]{{1,3}})(?!-){NOT_HARMLESS}{BARE}",
        {"run --password hunter2x --verbose": f"run --password {MASK} --verbose"},
        NAME_HINTS,
    ),
    Kind(
        "a setting and its quoted value",
        rf"(?i)({ANY_NAME}{SEPARATOR}{OPEN_QUOTE}){NOT_HARMLESS_QUOTED}{QUOTED}",
        {
            'password: "x"': f'password: "{MASK}"',
            "export API_KEY='abc def'": f"export API_KEY='{MASK}'",
            '{"client_secret": "s3\\"cr3t", "id": 7}': f'{{"client_secret": "{MASK}", "id": 7}}',
            '{\\"password\\": \\"in a text\\"}': f'{{\\"password\\": \\"{MASK}\\"}}',
            "{'api_token': 's3cr3t'}": f"{{'api_token': '{MASK}'}}",
            '"password" => "hunter2"': f'"password" => "{MASK}"',
            '{"password":"no,way-99"}': f'{{"password":"{MASK}"}}',
            '{"password": "the fox jumped"}': f'{{"password": "{MASK}"}}',
        },
        NAME_HINTS,
        signs=('"', "'"),
    ),
    Kind(
        "a setting = its value, as in an environment, a query or a connection string",
        rf"(?i)({ANY_NAME}{EQUALS}){NOT_HARMLESS}{BARE}",
        {
            "DB_PASS=hunter2": f"DB_PASS={MASK}",
            "SMTP_AUTH=hunter2": f"SMTP_AUTH={MASK}",
            "RAILS_MASTER_KEY=0123456789abcdef": f"RAILS_MASTER_KEY={MASK}",
            "AccountName=a;AccountKey=abcd1234+/ab12==;": f"AccountName=a;AccountKey={MASK};",
            "Server=db;Pwd=Str0ng!;User Id=sa": f"Server=db;Pwd={MASK};User Id=sa",
            "DB_PW=hunter2": f"DB_PW={MASK}",
            "APP_KEY=base64:abcd/1234=": f"APP_KEY={MASK}",
            "FERNET_KEY=abcd1234=": f"FERNET_KEY={MASK}",
            "DB_PASSWORD=a.b3kd9": f"DB_PASSWORD={MASK}",
            "password=no.Way-123": f"password={MASK}",
            "token=a.AbCd1234567890": f"token={MASK}",
            "PASSWORD=is;x": f"PASSWORD={MASK}",
            "DB_PASSWORD=error:42x": f"DB_PASSWORD={MASK}",
            "/?token=a.bcd3": f"/?token={MASK}",
            "password => hunter2": f"password => {MASK}",
            "db?password=hun,ter&2&user=a": f"db?password={MASK}&user=a",
        },
        NAME_HINTS,
        signs=("=", "u003d", "%3d"),
    ),
    Kind(
        "password: value",
        rf"(?i)({WORD_BEGINS}{LOGIN_NAME}(?:{COLON}|:(?=\S{{3}})(?=\S{{0,40}}[A-Za-z])))"
        rf"{NOT_HARMLESS}(?!\S{{1,200}}:\s){BARE}",
        {
            "password: swordfish": f"password: {MASK}",
            "spring.datasource.password: swordfish": f"spring.datasource.password: {MASK}",
            '{"password": 12345678}': f'{{"password": {MASK}}}',
            "pwd:hunter2": f"pwd:{MASK}",
            "password: a.b3kd9": f"password: {MASK}",
        },
        ("pass", "pw"),
        signs=(":",),
    ),
    Kind(
        "token: value, where the value has a digit or nothing follows it",
        rf"(?i)({WORD_BEGINS}{TOKEN_NAME}(?:{COLON}|:(?=[^\s/]{{16}})(?=[^\s\d]{{0,400}}\d)))"
        rf"{NOT_HARMLESS}(?!\S{{1,200}}:(?:\s|\Z))(?!\S{{0,20}}://)"
        rf"(?:(?=[^\s\d]{{0,400}}\d)[^\s\"',;{{}}\[\]]{{8,4000}}+|"
        rf"[^\s\"',;{{}}\[\]()<>]{{1,400}}+(?=[ \t]{{0,3}}(?:[,;}}\]\n]|\Z)))",
        {
            "token: abcd1234efgh was sent": f"token: {MASK} was sent",
            "token: abcdefgh": f"token: {MASK}",
            "secret: x": f"secret: {MASK}",
            "X-Vault-Token: s.abcdefghij0123456": f"X-Vault-Token: {MASK}",
            "api key: abcdef0123456789": f"api key: {MASK}",
            "token: is.abcdef0123456789": f"token: {MASK}",
        },
        ("token", "key", "secret", "session", "authorization"),
        signs=(":",),
    ),
    Kind(
        "a header in quotes",
        rf"(?i)([\"'][\w\-]{{0,60}}?{TOKEN_NAME}:[ \t]{{0,3}}){NOT_HARMLESS}[^\s\"'\\]{{1,4000}}+(?=[\"'])",
        {'-H "X-Api-Key: abcdefghij"': f'-H "X-Api-Key: {MASK}"'},
        ("-token", "-key", "-secret", "-session"),
        signs=('"', "'"),
    ),
    Kind(
        "an element of XML",
        rf"(?i)(<[\w:.\-]{{0,40}}?{ANY_NAME}>)[^<\n]{{1,4000}}",
        {"<db><password>hunter2</password></db>": f"<db><password>{MASK}</password></db>"},
        NAME_HINTS,
        signs=("<",),
    ),
)
