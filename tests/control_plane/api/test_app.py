"""The API as a whole: every path described, nothing unknown accepted, nothing loaded from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from live_server import LiveServer

READS = ("health", "status", "beacons", "alerts", "connections", "long-connections", "config")


@pytest.fixture(scope="module")
def document(idle_server: LiveServer) -> dict[str, Any]:
    return dict(idle_server.fetch("/openapi.json"))


def test_every_documented_endpoint_is_described(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert described == {
        *(("GET", path) for path in READS),
        ("GET", "beacons/{id}"),
        ("POST", "config"),
        ("POST", "telemetry"),
        ("POST", "analyze"),
    }


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = set(document["components"]["schemas"])

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"].rpartition("/")[2]} if "$ref" in node else set()
            return own.union(*(references(value) for value in node.values()))
        return (
            set().union(*(references(value) for value in node)) if isinstance(node, list) else set()
        )

    assert references(document) <= schemas
    assert "HTTPValidationError" not in schemas


def test_every_operation_has_a_summary_an_answer_and_a_problem(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    seen = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            seen.add(operation["operationId"])
            answers = operation["responses"]
            assert "application/json" in answers["200"]["content"]
            assert "application/problem+json" in answers["default"]["content"]
            assert "422" not in answers
    assert len(seen) == sum(map(len, document["paths"].values()))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_there_is_no_page_that_loads_scripts_from_elsewhere(
    idle_server: LiveServer, path: str
) -> None:
    assert idle_server.get(path).status == 404


@pytest.mark.parametrize("path", READS)
def test_unknown_parameters_are_refused_by_name(idle_server: LiveServer, path: str) -> None:
    answer = idle_server.get(f"{path}?limt=5")

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == "urn:beacon-detect:problem:unknown-parameter"
    assert answer.json["faults"] == ["limt: unknown parameter"]


@pytest.mark.parametrize("path", ["analyze?now=1", "telemetry?sensor=x", "config?x=1"])
def test_unknown_parameters_of_posts_are_refused_too(idle_server: LiveServer, path: str) -> None:
    assert idle_server.ask("POST", path, b"{}", Content_Type="application/json").status == 400


def test_lists_carry_their_schema(idle_server: LiveServer) -> None:
    for path in READS[1:]:
        assert idle_server.fetch(path)["schema"] == f"beacon-detect.{path}/1"
