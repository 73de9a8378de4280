"""Hides what looks like a secret before a text is shown, logged or stored.

What stays is enough to recognise what stood there (the setting's name, the user of a URL), never a part of
the value. It errs on the side of hiding, but leaves AWS's own words alone: an ARN of a secret is no secret,
and an error message has to stay readable. Every pattern is bounded, so the time is linear in the length of
the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MASK = "****"

_LOGIN = r"passw(?:or)?d|passphrase|passwd|pwd"
_NAME = (
    rf"{_LOGIN}|secret|token|api[_\-]?key|apikey|access[_\-]?key|private[_\-]?key|signing[_\-]?key|"
    rf"encry"
    rf"ption[_\-]?key|"
    r"auth[_\-]?key|credential|signature|session[_\-]?id|cookie|dsn|connection[_\-]?string|conn[_\-]?str"
)
_SECRET_NAME = re.compile(rf"[\w.\-]{{0,80}}(?:{_NAME}|authorization)[\w.\-]{{0,40}}", re.IGNORECASE)
_REFERENCES = frozenset(
    {"valueFrom", "credentialsParameter", "secretOptions", "nextToken"}
)  # names, not values
_NAME_HINTS = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "signature",
    "session",
    "cookie",
    "dsn",
    "connection_str",
    "connection-str",
    "connectionstr",
    "conn_str",
    "conn-str",
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of secret. It is looked for only where ``needs`` and one of ``hints`` stand in the lower-cased
    text.
    """

    pattern: re.Pattern[str]
    replacement: str = MASK
    hints: tuple[str, ...] = ("",)
    needs: str = ""


_KINDS: tuple[_Kind, ...] = (
    _Kind(  # a private key in PEM
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\w+/=\s\\:,]{0,8000}(?:-----END [A-Z ]{0,40}PRIVATE "
            r"KEY-----)?"
        ),
        f"-----PRIVATE KEY {MASK}-----",
        needs="-----begin",
    ),
    _Kind(
        re.compile(r"(://[^\s:/@]{0,100}):[^\s/@]{1,300}@"), rf"\1:{MASK}@", needs="://"
    ),  # user:password in a URL
    _Kind(re.compile(r"\beyJ[\w\-]{5,4000}\.[\w\-]{2,8000}(?:\.[\w\-]{0,2000})?"), needs="eyj"),  # a JWT
    _Kind(re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), hints=("akia", "asia")),  # an AWS access key
    _Kind(
        re.compile(
            r"\b(bearer|basic|token) {1,4}(?=[A-Za-z+/_.\-]{0,200}[\d=])[\w+/.=\-]{12,4000}", re.IGNORECASE
        ),
        rf"\1 {MASK}",
        hints=("bearer", "basic", "token "),
    ),
    _Kind(  # marked by their maker: GitHub, Slack, Stripe and OpenAI, GitLab, PyPI, npm, Google
        re.compile(
            r"\b(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|xox[abeprs]-[\w\-]{10,250}|"
            r"(?:sk|rk)[-_][\w\-]{16,250}|glpat-[\w\-]{16,64}|pypi-[\w\-]{20,250}|npm_\w{20,64}|"
            r"AIza[\w\-]{30,50}|ya29\.[\w\-]{20,500})"
        ),
        hints=(
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_",
            "xox",
            "sk-",
            "sk_",
            "rk_",
            "rk-",
            "glpat",
            "pypi-",
            "npm_",
            "aiza",
            "ya29.",
        ),
    ),
    _Kind(  # what signs a presigned URL
        re.compile(r"((?:X-Amz-(?:Credential|Security-Token)|sig)=)[^\s&\"']{4,4000}", re.IGNORECASE),
        rf"\1{MASK}",
        hints=("x-amz-", "sig="),
    ),
    _Kind(  # NAME=value, as in an environment, a query or a connection string
        re.compile(
            rf"((?:{_NAME})[\w.\-]{{0,40}}[\"']?\s{{0,2}}=\s{{0,2}})"
            r"(?:\"[^\"\n]{1,4000}\"|'[^'\n]{1,4000}'|[^\s,;&\"'){}\]]{1,4000})",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
        hints=_NAME_HINTS,
        needs="=",
    ),
    _Kind(  # "name": "value", as in JSON, also inside a JSON text
        re.compile(
            rf"((?:{_NAME})[\w.\-]{{0,40}}[\"'\\]{{1,3}}\s{{0,2}}:\s{{0,2}}[\"'\\]{{1,3}})[^\"'\\\n]{{1,400"
            rf"0}}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
        hints=_NAME_HINTS,
        needs='"',
    ),
    _Kind(
        re.compile(rf"((?:{_NAME})[\w.\-]{{0,40}}'\s{{0,2}}:\s{{0,2}}')[^'\n]{{1,4000}}", re.IGNORECASE),
        rf"\1{MASK}",
        hints=_NAME_HINTS,
        needs="':",
    ),
    _Kind(  # password: value
        re.compile(rf"((?:{_LOGIN})\w{{0,20}}: {{0,2}})[^\s\"']{{3,400}}", re.IGNORECASE),
        rf"\1{MASK}",
        hints=("passw", "passphrase", "pwd"),
        needs=":",
    ),
    _Kind(  # token: value, where the value is no word of a sentence
        re.compile(
            r"((?:token|api[_\-]?key|access[_\-]?key|secret[_\-]?key|client[_\-]?secret|private[_\-]?key)\w"
            r"{0,20}: {0,2})"
            r"(?=[^\s\d]{0,400}\d)[^\s\"'/]{8,4000}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
        hints=("token", "key", "secret"),
        needs=":",
    ),
    _Kind(  # an AWS secret access key by itself: 40 characters of base64, of all three kinds
        re.compile(
            r"(?<![\w/+=.\-])(?=[a-z\d/+]{0,39}[A-Z])(?=[A-Z\d/+]{0,39}[a-z])(?=[a-zA-Z/+]{0,39}\d)[A-Za-z0"
            r"-9/+]{40}"
            r"(?![\w/+=.\-])"
        )
    ),
)


def mask(text: str) -> str:
    """``text`` with everything that looks like a secret replaced by ``****``."""
    lowered = text.lower()
    for kind in _KINDS:
        if kind.needs not in lowered:
            continue
        for hint in kind.hints:
            if hint in lowered:
                text = kind.pattern.sub(kind.replacement, text)
                break
    return text


def mask_environment(pairs: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """ECS's ``[{"name", "value"}]`` with every value hidden; names stay."""
    return [{"name": str(pair.get("name", "")), "value": MASK} for pair in pairs]


def mask_document(document: Any) -> Any:
    """A copy of a JSON document with secrets hidden.

    Environment values are hidden whole; so is a text behind a name that is a secret's; the rest by what it
    looks like. References (a secret's ARN in ``valueFrom``) stay.
    """
    if isinstance(document, str):
        return mask(document)
    if isinstance(document, Mapping):
        return {key: _mask_member(key, value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [mask_document(item) for item in document]
    return document


def _mask_member(key: Any, value: Any) -> Any:
    if key in {"environment", "Environment"} and isinstance(value, list):
        return mask_environment(pair for pair in value if isinstance(pair, Mapping))
    if isinstance(key, str) and isinstance(value, str) and value and key not in _REFERENCES:
        return MASK if _SECRET_NAME.fullmatch(key) else mask(value)
    return mask_document(value)
