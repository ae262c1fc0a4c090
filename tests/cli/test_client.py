"""Every way the control plane can fail to answer becomes one clear error of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from beacon_detect.cli import client as client_module
from beacon_detect.cli.client import Client
from beacon_detect.cli.session import Session
from beacon_detect.errors import (
    BeaconError,
    ExitCode,
    NotFoundError,
    PermissionMissingError,
    UnreachableError,
)


def session(api: Any) -> Session:
    return Session(host="127.0.0.1", port=api.port)


def error_of(given: Session, **seconds: float) -> BeaconError:
    with pytest.raises(BeaconError) as caught, Client(given, **seconds) as client:
        client.get("status")
    return caught.value


def test_an_answer_is_returned_and_parameters_are_sent(api: Any) -> None:
    with Client(session(api)) as client:
        answer = client.get("beacons", limit=1, min_score=None, severity=["HIGH", "LOW"])

    assert answer["count"] == 1
    assert api.asked == [("/api/v1/beacons", {"limit": ["1"], "severity": ["HIGH", "LOW"]})]


def test_the_token_is_sent_and_only_where_there_is_one(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEACON_API_TOKEN", "s3cret")
    with Client(session(api)) as client:
        client.get("status")
    monkeypatch.delenv("BEACON_API_TOKEN")
    with Client(session(api)) as client:
        client.get("status")

    assert [sent.get("Authorization") for sent in api.headers] == ["Bearer s3cret", None]


def test_nothing_listening_is_unreachable_and_says_what_to_start(closed_port: int) -> None:
    error = error_of(Session(host="127.0.0.1", port=closed_port))

    assert isinstance(error, UnreachableError)
    assert "Connection refused" in error.message
    assert "beacon-detect up" in error.hint


@pytest.mark.parametrize("host", ["no.such.host.invalid", "not a host", "http://x", "a" * 300])
def test_a_host_that_does_not_exist_is_unreachable(host: str) -> None:
    assert error_of(Session(host=host)).exit_code == ExitCode.UNREACHABLE


def test_a_proxy_from_the_environment_is_not_used(
    api: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port}")
    with Client(session(api)) as client:
        assert client.get("status")["status"] == "running"


def test_a_missing_token_says_how_to_give_one_and_a_wrong_one_too(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "right"
    monkeypatch.delenv("BEACON_API_TOKEN", raising=False)
    error = error_of(session(api))

    assert isinstance(error, PermissionMissingError)
    assert "wants an API token" in error.message
    assert "--token-file" in error.hint
    monkeypatch.setenv("BEACON_API_TOKEN", "wrong")
    assert "wants another API token" in error_of(session(api)).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BeaconError),
        (403, PermissionMissingError),
        (404, NotFoundError),
        (500, BeaconError),
        (503, UnreachableError),
    ],
)
def test_a_refusal_gives_its_reason(api: Any, status: int, kind: type[BeaconError]) -> None:
    api.status, api.problem = status, {"type": "x", "status": status, "detail": "because of this"}
    error = error_of(session(api))

    assert type(error) is kind
    assert "refuses: because of this" in error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>hello</html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"schema": "other/1"}'),
        (200, b"[" * 100_000),
        (404, b"not here"),
        (302, b""),
    ],
)
def test_something_else_that_answers_is_told_from_a_control_plane(
    api: Any, status: int, body: bytes
) -> None:
    api.answers["status"] = body
    api.status, api.problem = status, body
    error = error_of(session(api))

    assert isinstance(error, UnreachableError)
    assert "is no Beacon Detect control plane" in error.message


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def babbling_port() -> Iterator[int]:
    """A port that answers no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_server_that_never_answers_is_given_up(silent_port: int) -> None:
    error = error_of(Session(host="127.0.0.1", port=silent_port), answer_seconds=0.2)

    assert isinstance(error, UnreachableError)
    assert "does not answer in time" in error.message


def test_a_server_that_speaks_no_http_is_unreachable(babbling_port: int) -> None:
    assert isinstance(error_of(Session(host="127.0.0.1", port=babbling_port)), UnreachableError)


def test_an_answer_beyond_the_bound_is_not_taken(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1 << 20)
    api.answers["status"] = {"schema": "beacon-detect.status/1", "x": "y" * (1 << 20)}

    assert "larger than 1 MiB" in error_of(session(api)).message
