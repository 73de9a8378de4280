"""Hides what looks like a secret before a text is shown, logged or stored.

Keeps enough to recognise what stood there (the key's name, the user of a URL), never any part of the value. It errs on the
side of hiding. Every pattern is bounded, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "****"

# Names of settings whose values are secrets: the value behind `NAME=`, `"name": ` or `name: ` is hidden.
_SECRET_NAME = (
    r"[\w.\-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_\-]?key|apikey|access[_\-]?key|private[_\-]?key|"
    r"credential|authorization|auth[_\-]?key|signing[_\-]?key|encryption[_\-]?key|session[_\-]?id|cookie|dsn|"
    r"connection[_\-]?string)[\w.\-]{0,40}"
)
_SECRET_NAME_ONLY = re.compile(_SECRET_NAME, re.IGNORECASE)

# (what must be in the lower-cased text for the pattern to be worth trying, pattern, replacement)
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (
        ("-----begin",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,8000}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        f"-----PRIVATE KEY {MASK}-----",
    ),
    (("://",), re.compile(r"(://[^\s:/@]{0,100}):[^\s/@]{1,300}@"), rf"\1:{MASK}@"),
    (("eyj",), re.compile(r"\beyJ[\w\-]{5,4000}\.[\w\-]{2,8000}(?:\.[\w\-]{0,2000})?"), MASK),
    (
        ("akia", "asia"),
        re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        MASK,
    ),
    (
        ("bearer ", "basic ", "token "),
        re.compile(r"\b(bearer|basic|token) {1,4}[A-Za-z0-9+/_.=\-]{12,4000}", re.IGNORECASE),
        rf"\1 {MASK}",
    ),
    (
        ("gh", "xox", "sk-", "sk_", "rk_", "glpat", "pypi-", "npm_", "aiza", "ya29."),
        re.compile(
            r"\b(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|xox[abeprs]-[\w\-]{10,250}|(?:sk|rk)[-_][\w\-]{16,250}|"
            r"glpat-[\w\-]{16,64}|pypi-[\w\-]{20,250}|npm_\w{20,64}|AIza[\w\-]{30,50}|ya29\.[\w\-]{20,500})"
        ),
        MASK,
    ),
    (
        ("x-amz-", "signature=", "sig="),
        re.compile(
            r"((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|sig)=)[^\s&\"']{8,4000}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (
        (
            "pass",
            "pwd",
            "secret",
            "token",
            "key",
            "credential",
            "auth",
            "session",
            "cookie",
            "dsn",
            "connection",
        ),
        re.compile(
            rf"({_SECRET_NAME}[\"']?\s{{0,4}}(?:=|:(?!/)|=>)\s{{0,4}})(\"[^\"]{{1,4000}}\"|'[^']{{1,4000}}'|[^\s,;&\"']{{3,4000}})",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def mask(text: str) -> str:
    """``text`` with everything that looks like a secret replaced by ``****``."""
    lowered = text.lower()
    for hints, pattern, replacement in _PATTERNS:
        if any(hint in lowered for hint in hints):
            text = pattern.sub(replacement, text)
    return text


def mask_environment(pairs: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """ECS's ``[{"name", "value"}]`` with every value hidden; names stay."""
    return [{"name": str(pair.get("name", "")), "value": MASK} for pair in pairs]


def mask_document(document: Any) -> Any:
    """A copy of a JSON document with secrets hidden: environment values whole, the rest by what it looks like."""
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
    if isinstance(key, str) and isinstance(value, str) and value and _SECRET_NAME_ONLY.fullmatch(key):
        return MASK
    return mask_document(value)
