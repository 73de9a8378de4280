"""Is this body PagerDuty's? The signature of V3 webhooks.

HMAC-SHA256 over the raw bytes of the body, keyed with the subscription's secret; sent as
``X-PagerDuty-Signature: v1=<64 hex>[,v1=<64 hex>...]``, several while a secret is being rotated.
Source: PagerDuty's developer docs, "Verifying Signatures". Its Go verifier decodes hex: upper case passes.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Iterable

VERSION = "v1="


def sign(body: bytes, secret: str) -> str:
    """The header value PagerDuty sends with ``body`` for one ``secret``."""
    return VERSION + _digest(body, secret).hex()


def is_authentic(body: bytes, header: str, secrets: Iterable[str]) -> bool:
    """Whether any signature in ``header`` is that of ``body`` under any of ``secrets``.

    Every pair is compared, each in constant time, so that the time taken does not tell which one matched.
    Elements of other versions and such that are no hex are passed over. An empty body is never authentic:
    PagerDuty sends none.

    Args:
        body: The bytes as they came, before any decoding but that of API Gateway's base64.
        header: The value of X-PagerDuty-Signature; the values joined with commas when the header came twice.
        secrets: The signing secrets; several while one is being replaced. Empty ones are ignored.
    """
    given = [_decoded(element.strip()) for element in header.split(",")]
    expected = [_digest(body, secret) for secret in secrets if secret]
    matches = [hmac.compare_digest(one, other) for one in given for other in expected]
    return bool(body) and any(matches)


def is_one_of(token: str, secrets: Iterable[str]) -> bool:
    """Whether ``token`` equals any of ``secrets``, in constant time whatever their lengths."""
    given = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
    expected = [hashlib.sha256(secret.encode()).digest() for secret in secrets if secret]
    matches = [hmac.compare_digest(given, one) for one in expected]
    return bool(token) and any(matches)


def _digest(body: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def _decoded(element: str) -> bytes:
    """The digest in one ``v1=<hex>``; empty, which matches nothing, for anything else."""
    if not element.startswith(VERSION):
        return b""
    try:
        return binascii.unhexlify(element.removeprefix(VERSION))
    except ValueError:  # no hex, or not ASCII
        return b""
