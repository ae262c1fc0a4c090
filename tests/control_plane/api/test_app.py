"""The API as a whole: every path described, nothing unknown accepted, nothing loaded from elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from beacon_detect.control_plane.api import models, problems
from beacon_detect.control_plane.api.problems import Problem
from live_server import ROOT, LiveServer

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
        ("GET", "explain"),
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


PAGE = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
SHAPES = {
    model.model_fields["schema_"].default: model
    for model in (
        models.AlertList,
        models.BeaconList,
        models.ConnectionList,
        models.LongConnectionList,
        models.Status,
    )
}


def test_the_reference_page_names_every_path_parameter_and_field(document: dict[str, Any]) -> None:
    names = set(document["paths"])
    for operations in document["paths"].values():
        for operation in operations.values():
            names |= {parameter["name"] for parameter in operation.get("parameters", ())}
    for schema in document["components"]["schemas"].values():
        names |= set(schema.get("properties", ()))
    names -= {"Beacon-Sensor", "Beacon-Batch", "Content-Encoding"}  # on the page about telemetry

    assert {name for name in names if name not in PAGE} == set()


@pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
def test_the_answers_on_the_reference_page_have_the_shapes_of_today(example: str) -> None:
    answer = json.loads(example)
    kind = SHAPES.get(answer.get("schema"))
    if kind is not None:
        assert kind.model_validate(answer).model_dump() == answer
    elif "title" in answer:
        assert Problem.model_validate(answer).model_dump() == answer
    else:
        shape = {"ok": models.Health, "accepted": models.Accepted, "done": models.Analyzed}
        assert shape[answer["status"]].model_validate(answer).model_dump() == answer


def test_the_reference_page_names_every_kind_of_problem() -> None:
    sources = (ROOT / "src" / "beacon_detect" / "control_plane" / "api").glob("*.py")
    text = "".join(source.read_text("utf-8") for source in sources)
    raised = set(re.findall(r"ProblemError\(\s*\d+,\s*\"([a-z-]+)\"", text))
    mapped = {name for _, _, name in problems._STATUS_OF}

    assert {name for name in raised | mapped if f"`{name}`" not in PAGE} == set()
