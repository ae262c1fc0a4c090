"""Failures are problem documents (RFC 9457): the same shape, a stable type, a useful sentence."""

from __future__ import annotations

import asyncio

import duckdb
import httpx2
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from beacon_detect.control_plane.api import problems
from beacon_detect.control_plane.api.problems import ProblemError, from_error
from beacon_detect.errors import BeaconError, ConfigError
from live_server import LiveServer


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("GET", "/api/v1/health/", 404, "not-found"),
        ("DELETE", "beacons", 405, "method-not-allowed"),
        ("GET", "telemetry", 405, "method-not-allowed"),
        ("GET", "beacons/0123456789abcdef", 404, "not-found"),
        ("GET", "beacons?limit=many", 400, "parameter-not-valid"),
    ],
)
def test_failures_are_problem_documents(
    idle_server: LiveServer, method: str, path: str, status: int, name: str
) -> None:
    answer = idle_server.ask(method, path)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:beacon-detect:problem:{name}"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert answer.json["detail"]


def test_the_allowed_methods_are_named(idle_server: LiveServer) -> None:
    assert idle_server.ask("DELETE", "beacons").headers["allow"] == "GET"


def test_an_error_of_several_lines_lists_its_faults() -> None:
    problem = from_error(ConfigError("a: too low\nb: too high"), 400, "configuration-not-valid")

    assert problem.faults == ["a: too low", "b: too high"]
    assert problem.detail == "2 faults; the first: a: too low"


def test_a_hint_is_part_of_the_sentence() -> None:
    problem = from_error(BeaconError("the store is behind", hint="wait"), 503, "busy")

    assert problem.detail == "the store is behind (wait)"
    assert int(problem.headers["Retry-After"]) > 0


def test_headers_reach_the_answer() -> None:
    answer = ProblemError(401, "token-needed", "send it", headers={"X-Test": "1"}).response()

    assert answer.headers["x-test"] == "1"
    assert answer.media_type == "application/problem+json"


def answer_to(error: Exception) -> httpx2.Response:
    """Return the answer of an application whose endpoint raises ``error``."""
    app = FastAPI()
    problems.install(app)

    @app.get("/broken")
    def broken() -> None:
        raise error

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/broken")

    return asyncio.run(ask())


def test_a_fault_of_ours_is_a_problem_document_that_tells_no_details() -> None:
    with capture_logs() as logs:
        answer = answer_to(ZeroDivisionError("secret detail"))

    # The server above never sees it, or it would log it a second time.
    assert [entry["event"] for entry in logs] == ["request failed"]
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:beacon-detect:problem:fault"
    assert "secret" not in answer.text


@pytest.mark.parametrize("error", [duckdb.IOException("IO Error: No space left on device"), duckdb.TransactionException("Failed to commit: No space left on device"), OSError(28, "No space left on device")])  # fmt: skip
def test_a_disk_that_takes_nothing_is_told_in_one_line(error: Exception) -> None:
    with capture_logs() as logs:
        answer = answer_to(error)

    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:beacon-detect:problem:not-stored"
    assert "No space left on device" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert ["exc_info" in entry for entry in logs] == [False]
