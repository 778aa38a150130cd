# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way in which a tracking server cannot be reached has a reason of its own."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import parse_connection
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import make_certificate


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    server = FakeMlflow()
    yield server
    server.close()


def failure(connection: Connection) -> MlflowError:
    with pytest.raises(MlflowError) as caught:
        Client(connection).call("GET", "health")
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_answer(raw: bytes | None) -> int:
    """A server that takes one connection, answers these bytes (or nothing, ever), and closes."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def serve() -> None:
        peer, _address = listener.accept()
        with listener, peer:
            if raw is None:
                peer.settimeout(20)
                while peer.recv(1000):
                    pass
                return
            peer.recv(1000)
            peer.sendall(raw)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_name_does_not_resolve() -> None:
    error = failure(Connection("http://mlflow.invalid"))
    assert (error.reason, error.waiting_helps) == ("dns", True)
    assert "mlflow.invalid" in error.message


def test_host_name_that_cannot_exist() -> None:
    error = failure(Connection(f"http://{'a' * 70}.example.org"))
    assert (error.reason, error.waiting_helps) == ("bad_uri", False)


def test_connection_refused() -> None:
    error = failure(Connection(f"http://127.0.0.1:{free_port()}"))
    assert (error.reason, error.waiting_helps) == ("connection_refused", True)


def test_timeout() -> None:
    error = failure(Connection(f"http://127.0.0.1:{one_answer(None)}", timeout=0.2))
    assert (error.reason, error.waiting_helps) == ("timeout", True)
    assert "gave no answer within 0.2 s (request_timeout)." in error.message


def test_connection_closed_without_an_answer() -> None:
    error = failure(Connection(f"http://127.0.0.1:{one_answer(b'')}"))
    assert (error.reason, error.waiting_helps) == ("connection_closed", True)


def test_something_else_than_http() -> None:
    error = failure(Connection(f"http://127.0.0.1:{one_answer(b'SSH-2.0-OpenSSH_9.2' + bytes([13, 10]))}"))
    assert (error.reason, error.waiting_helps) == ("wrong_service", False)


def test_https_towards_a_server_without_tls(fake: FakeMlflow) -> None:
    error = failure(Connection(fake.url.replace("http:", "https:")))
    assert error.reason == "tls_failed"
    assert "http://" in error.message


@pytest.mark.parametrize(
    ("name", "days", "trusted", "expected"),
    [
        ("127.0.0.1", 1, False, ("tls_not_trusted", False)),
        ("other.example.org", 1, True, ("tls_wrong_host", True)),
        ("127.0.0.1", -1, True, ("tls_expired", True)),
    ],
)
def test_certificates(tmp_path: Path, name: str, days: int, trusted: bool, expected: tuple[str, bool]) -> None:
    certificate = make_certificate(tmp_path, name, days)
    server = FakeMlflow(certificate)
    try:
        error = failure(Connection(server.url, ca_path=str(certificate[0]) if trusted else None))
    finally:
        server.close()
    assert (error.reason, error.waiting_helps) == expected


def test_ca_path_counts_whatever_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = make_certificate(other)
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(stranger[0]))
    server = FakeMlflow(certificate)
    try:
        assert Client(Connection(server.url, ca_path=str(certificate[0]))).call("GET", "health").status == 200
        # And the other way round: what the environment trusts does not help when ca_path names something else.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert failure(Connection(server.url, ca_path=str(stranger[0]))).reason == "tls_not_trusted"
    finally:
        server.close()


def test_redirects_are_not_followed(fake: FakeMlflow) -> None:
    fake.canned["GET", "/health"] = (302, {"Location": "http://127.0.0.1:1/login"}, b"")
    assert Client(Connection(fake.url)).call("GET", "health").status == 302


def test_netrc_is_not_read(fake: FakeMlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else-somewhere-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fake.login = ("somebody", "else-somewhere-password")
    assert Client(Connection(fake.url)).call("GET", "version").status == 401


def test_logins(fake: FakeMlflow) -> None:
    fake.login = ("admin", "pässword:with/every@thing%41")
    assert Client(Connection(fake.url, username="admin", password=fake.login[1])).call("GET", "version").status == 200
    assert Client(Connection(fake.url, username="admin", password="wrong")).call("GET", "version").status == 401
    fake.login = "a-bearer-token"
    assert Client(Connection(fake.url, token="a-bearer-token")).call("GET", "version").status == 200


def test_a_proxy_is_not_asked_for_this_machine(fake: FakeMlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert Client(Connection(fake.url)).call("GET", "health").status == 200


def test_prefix_of_the_uri_is_kept(fake: FakeMlflow) -> None:
    fake.canned["GET", "/prefix/health"] = (200, {}, b"ok")
    assert Client(parse_connection({"tracking_uri": f"{fake.url}/prefix/"})).call("GET", "health").text == "ok"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mlflow.example.org",
        "sqlite:///mlflow.db",
        "https://",
        "https://host:port",
        "https://h/?a=b",
        "https://h/#x",
    ],
)
def test_uris_that_can_never_work(uri: str) -> None:
    with pytest.raises(MlflowError) as caught:
        parse_connection({"tracking_uri": uri})
    assert caught.value.reason == "bad_uri"


def test_a_login_in_the_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(MlflowError) as caught:
        parse_connection({"tracking_uri": "https://admin:this-is-a-secret@host"})
    assert "this-is-a-secret" not in caught.value.message


def test_secrets_do_not_show_in_repr() -> None:
    connection = Connection("https://h", username="u", password="this-is-a-secret", token="and-this-too")
    assert "secret" not in repr(connection)
    assert "and-this-too" not in repr(connection)


def test_ca_path_that_cannot_be_used(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    for path, word in ((str(tmp_path / "absent.pem"), "cannot be read"), (str(empty), "PEM")):
        with pytest.raises(MlflowError) as caught:
            parse_connection({"tracking_uri": "https://h", "ca_path": path})
        assert caught.value.reason == "bad_ca"
        assert word in caught.value.message


def test_the_deadline_shortens_requests_but_leaves_them_time_to_tell(fake: FakeMlflow) -> None:
    client = Client(Connection(fake.url, timeout=30))
    client.deadline = 0.0  # long ago
    assert client.call("GET", "health").status == 200


def test_environment_is_left_alone(fake: FakeMlflow) -> None:
    before = dict(os.environ)
    Client(Connection(fake.url)).call("GET", "health")
    assert dict(os.environ) == before
