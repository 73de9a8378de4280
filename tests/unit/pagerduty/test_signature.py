"""Whether a webhook's body is PagerDuty's."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.pagerduty import signature
from taskmedic.pagerduty.signature import is_authentic, is_one_of, sign

# RFC 4231, test case 2: an answer that does not come from our own code.
RFC_KEY, RFC_BODY = "Jefe", b"what do ya want for nothing?"
RFC_DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_the_digest_is_hmac_sha256() -> None:
    assert sign(RFC_BODY, RFC_KEY) == f"v1={RFC_DIGEST}"
    assert is_authentic(RFC_BODY, f"v1={RFC_DIGEST}", [RFC_KEY])


@pytest.mark.parametrize(
    "header",
    [
        f"v1={RFC_DIGEST.upper()}",
        f"v1={'0' * 64},v1={RFC_DIGEST}",
        f"v1={RFC_DIGEST},v1={'0' * 64}",
        f"v1={'0' * 64}, v1={RFC_DIGEST}",
        f"v2=deadbeef,v1={RFC_DIGEST}",
        f"v1=no hex,v1={RFC_DIGEST}",
        f"v1=ümläut,v1={RFC_DIGEST}",
    ],
)
def test_one_right_signature_of_several_is_enough(header: str) -> None:
    assert is_authentic(RFC_BODY, header, ["another", RFC_KEY])


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "v1=",
        RFC_DIGEST,
        f"V1={RFC_DIGEST}",
        f"v2={RFC_DIGEST}",
        f"sha256={RFC_DIGEST}",
        f"v1={RFC_DIGEST[:-2]}",
        f"v1={RFC_DIGEST}00",
        f"v1={RFC_DIGEST[:32]} {RFC_DIGEST[32:]}",
        f"v1={'é' * 64}",
        "v1=\ud800",
        f"v1={'0' * 64},v1={'1' * 64}",
    ],
)
def test_anything_else_is_not_authentic(header: str) -> None:
    assert not is_authentic(RFC_BODY, header, [RFC_KEY])


def test_no_secret_and_no_body_authenticate_nothing() -> None:
    assert not is_authentic(RFC_BODY, sign(RFC_BODY, ""), [""])
    assert not is_authentic(RFC_BODY, sign(RFC_BODY, RFC_KEY), [])
    assert not is_authentic(b"", sign(b"", RFC_KEY), [RFC_KEY])


@given(body=st.binary(min_size=1, max_size=2000), secret=st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_is_signed_is_authentic(body: bytes, secret: str) -> None:
    assert is_authentic(body, sign(body, secret), [secret])
    assert not is_authentic(body, sign(body, secret), [secret + "x"])


@given(body=st.binary(min_size=1, max_size=500), data=st.data())
def test_any_changed_byte_of_the_body_is_found(body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(1, 255))
    changed = body[:place] + bytes([body[place] ^ other]) + body[place + 1 :]

    assert not is_authentic(changed, sign(body, "secret"), ["secret"])


@given(body=st.binary(min_size=1, max_size=500), data=st.data())
def test_any_changed_character_of_the_header_is_found(body: bytes, data: st.DataObject) -> None:
    header = sign(body, "secret")
    place = data.draw(st.integers(0, len(header) - 1))
    # The case of a hex digit carries nothing; a V for the v does.
    other = data.draw(
        st.characters().filter(lambda c: c != header[place] and (place == 0 or c.lower() != header[place]))
    )

    assert not is_authentic(body, header[:place] + other + header[place + 1 :], ["secret"])


def test_256_kilobytes_verify() -> None:
    body = b"x" * 256 * 1024
    assert is_authentic(body, sign(body, "secret"), ["secret"])


def test_every_pair_is_compared_by_the_constant_time_function(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = [], hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        assert isinstance(one, bytes), "text would raise for what is not ASCII"
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(signature.hmac, "compare_digest", counting)
    header = f"{sign(RFC_BODY, RFC_KEY)},v1={'0' * 64}"

    assert is_authentic(RFC_BODY, header, [RFC_KEY, "second", "third"])
    assert len(compared) == 6, "it must not stop at the first match"


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_bearer_secret_matches_only_itself(token: str, other: str) -> None:
    assert is_one_of(token, ["decoy", token])
    assert is_one_of(token, [other]) == (token == other)


def test_an_empty_bearer_secret_matches_nothing() -> None:
    assert not is_one_of("", ["", "x"])
    assert not is_one_of("x", [])
