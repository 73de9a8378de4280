"""What may be sent again after TLS failed: a server on 127.0.0.1 that fails on purpose."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from taskmedic.domain.errors import PagerDutyUnavailable
from taskmedic.pagerduty.client import Client, Credentials
from taskmedic.pagerduty.http import Ambiguous, Patience

# TLS records of application data that nobody can decrypt, and what a proxy says in plain text.
GARBAGE = b"\x17\x03\x03\x00\x20" + bytes(32)
PLAIN = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + pem)
    return path


class TlsServer:
    """Takes a request in and answers ``answer`` below TLS; counts the requests."""

    def __init__(self, certificate: Path, answer: bytes) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    if not connection.recv(65_536):
                        return  # `stop`
                    self.requests += 1
                    with socket.socket(fileno=connection.detach()) as below:
                        below.sendall(self._answer)
            except OSError:
                continue  # the handshake failed

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def server(certificate: Path, request: pytest.FixtureRequest) -> Iterator[TlsServer]:
    server = TlsServer(certificate, request.param)
    yield server
    server.stop()


def a_client(server: TlsServer, pool: urllib3.PoolManager) -> Client:
    return Client(
        Credentials("token", "taskmedic@example.com"),
        api_url=server.url,
        patience=Patience(sleep=lambda _: None),
        pool=pool,
    )


@pytest.mark.parametrize("server", [GARBAGE, PLAIN, b""], indirect=True, ids=["garbage", "plain", "closed"])
def test_a_post_whose_answer_cannot_be_decrypted_may_have_happened_and_is_not_repeated(
    server: TlsServer, certificate: Path
) -> None:
    with urllib3.PoolManager(ca_certs=str(certificate)) as pool, pytest.raises(Ambiguous):
        a_client(server, pool).post_note("Q1", "text")

    assert server.requests == 1


@pytest.mark.parametrize("server", [b""], indirect=True)
def test_a_certificate_that_is_not_trusted_stops_the_request_before_it_is_sent(server: TlsServer) -> None:
    with urllib3.PoolManager() as pool, pytest.raises(PagerDutyUnavailable, match="tried 4 times"):
        a_client(server, pool).post_note("Q1", "text")

    assert server.requests == 0
