"""Who may speak to the API: names, tokens, origins, and how much they may send."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from beacon_detect.config.schema import ControlPlane
from beacon_detect.control_plane.api import security
from beacon_detect.control_plane.api.problems import ProblemError
from beacon_detect.control_plane.api.security import (
    BodyReader,
    allowed_hosts,
    host_name,
    read_token,
)
from beacon_detect.errors import ConfigError
from live_server import LiveServer
from patience import PATIENCE

TOKEN = "t0k3n-of-the-tests"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> LiveServer:
    """Give a server with a token; the caller's fixture stops it."""
    live = LiveServer(
        tmp_path_factory.mktemp("guarded"),
        {"control_plane": {"max_request_mb": 1, "allowed_hosts": ["Sensors.Example.test"]}},
    )
    return live.start(BEACON_API_TOKEN=TOKEN)


@pytest.fixture(scope="module", autouse=True)
def _stopped(guarded: LiveServer):  # noqa: ANN202 (a generator fixture)
    yield
    guarded.stop()


def test_a_listener_for_other_machines_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="needs an API token") as error:
        read_token(ControlPlane(listen_address="0.0.0.0"), {})

    assert error.value.exit_code == 78
    assert "BEACON_API_TOKEN" in error.value.hint
    assert read_token(ControlPlane(listen_address="0.0.0.0"), {"BEACON_API_TOKEN": "x"}) == "x"


def test_loopback_needs_none() -> None:
    assert read_token(ControlPlane(), {}) == ""


def test_the_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", "utf-8")
    file.chmod(0o600)

    assert read_token(ControlPlane(token_file=str(file)), {}) == TOKEN
    assert read_token(ControlPlane(token_file=str(file)), {"BEACON_API_TOKEN": "other"}) == "other"


@pytest.mark.parametrize("content", ["", " \n", "two words", "x" * 5000, "schlüssel"])
def test_a_file_without_a_usable_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, "utf-8")

    with pytest.raises(ConfigError, match="token"):
        read_token(ControlPlane(token_file=str(file)), {})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(ControlPlane(token_file=str(tmp_path / "none")), {})


def test_a_token_file_that_others_can_read_is_told(tmp_path: Path, own_server: LiveServer) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN, "utf-8")
    file.chmod(0o644)
    own_server.configure({"control_plane": {"token_file": str(file)}})
    own_server.token = TOKEN

    own_server.start()

    [warning] = own_server.events("the token file can be read by other users")
    assert warning["level"] == "warning"
    assert own_server.get("status").status == 200


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer wrong", "Basic dXNlcg==", TOKEN, "Bearer té"]
)
def test_a_wrong_token_is_refused_everywhere_but_health(guarded: LiveServer, sent: str) -> None:
    refused = [
        guarded.get("status", Authorization=sent),
        guarded.get("/openapi.json", Authorization=sent),
        guarded.get("nothing", Authorization=sent),
        guarded.ask("POST", "analyze", Authorization=sent),
        guarded.ask("POST", "telemetry", b"{}", Authorization=sent),
    ]

    assert {answer.status for answer in refused} == {401}
    assert refused[0].json["type"] == "urn:beacon-detect:problem:token-needed"
    assert refused[0].headers["www-authenticate"].startswith("Bearer")
    assert guarded.get("health", Authorization=sent).status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_right_token_opens(guarded: LiveServer, scheme: str) -> None:
    assert guarded.get("status", Authorization=f"{scheme} {TOKEN}").status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "", "127.0.0.1.evil.example", "[::2]:{port}"])  # fmt: skip
def test_other_names_are_refused_on_loopback(guarded: LiveServer, host: str) -> None:
    answer = guarded.get("status", Host=host.format(port=guarded.port))

    assert answer.status == 403
    assert answer.json["type"] == "urn:beacon-detect:problem:host-not-allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}", "sensors.example.test:80"])  # fmt: skip
def test_names_of_this_machine_and_allowed_hosts_are_accepted(
    guarded: LiveServer, host: str
) -> None:
    assert guarded.get("status", Host=host.format(port=guarded.port)).status == 200


def test_a_listener_for_other_machines_takes_any_name() -> None:
    assert allowed_hosts(ControlPlane(listen_address="0.0.0.0")) is None


@given(
    st.text(st.characters(codec="ascii", exclude_characters="[]:"), min_size=1),
    st.integers(0, 65535),
)
def test_the_port_is_no_part_of_the_name(name: str, port: int) -> None:
    assert host_name(f"{name}:{port}") == host_name(name) == name.lower()
    assert host_name(f"[::1]:{port}") == "::1"


def test_pages_of_other_origins_may_not_post(guarded: LiveServer) -> None:
    answer = guarded.ask("POST", "analyze", Origin="https://evil.example")

    assert answer.status == 403
    assert answer.json["type"] == "urn:beacon-detect:problem:cross-origin"
    own = f"http://127.0.0.1:{guarded.port}"
    assert guarded.ask("POST", "analyze", Origin=own).status == 200


@pytest.mark.parametrize("origin", ["null", "http://[", "http://[::1", "//", "", "a" * 5000])
def test_an_origin_that_is_no_url_is_a_foreign_one(guarded: LiveServer, origin: str) -> None:
    assert guarded.ask("POST", "analyze", Origin=origin).status == 403
    assert guarded.get("status", Origin=origin).status == 200
    assert guarded.events("request failed") == []


@pytest.mark.parametrize("path", ["telemetry", "config"])
def test_bodies_over_the_limit_are_refused_with_and_without_a_declared_length(
    guarded: LiveServer, path: str
) -> None:
    size = (1 << 20) + 1
    declared = guarded.ask("POST", path, bytes(size), Content_Type="application/json")
    chunked = guarded.ask(
        "POST", path, (bytes(1 << 14) for _ in range(66)), Content_Type="application/json"
    )

    for answer in (declared, chunked):
        assert answer.status == 413
        assert "control_plane.max_request_mb" in answer.json["detail"]


def test_an_absurd_length_is_refused_before_a_byte_of_it_is_sent(guarded: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=PATIENCE) as connection:
        connection.sendall(
            f"POST /api/v1/telemetry HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
            "\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )

        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_client_that_hangs_up_leaves_no_fault_behind(guarded: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=PATIENCE) as connection:
        connection.sendall(
            f"POST /api/v1/telemetry HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
            "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\nabc".encode()
        )

    assert guarded.get("status").status == 200
    assert guarded.events("request failed") == []


def test_a_body_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.3)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read() -> None:
        bodies = BodyReader(lambda: 1 << 20)
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(ProblemError) as stalled:
            async with bodies.read(request):
                pass
        assert stalled.value.status == 408

    asyncio.run(asyncio.wait_for(read(), PATIENCE))
