"""The flow map of the real kernel: read whole, deleted from, inserted into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beacon_detect.data_plane.events import FLOW, FLOW_KEY
from beacon_detect.data_plane.flow_map import CHUNK, FlowMap
from beacon_detect.data_plane.libbpf import library
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions

pytestmark = pytest.mark.root

CAPACITY = 4 * CHUNK


@pytest.fixture(scope="module")
def program() -> Iterator[KernelProgram]:
    with KernelProgram.load(ProgramOptions(flow_map_size=CAPACITY)) as program:
        yield program


@pytest.fixture(params=["batched", "one by one"])
def flow_map(program: KernelProgram, request: pytest.FixtureRequest) -> FlowMap:
    batched = request.param == "batched"
    made = FlowMap(library(), program._map("flows"), CAPACITY, batched=batched)
    made.delete(made.snapshot()["key"])
    return made


def make(count: int, first: int = 0) -> NDArray[Any]:
    flows = np.zeros(count, FLOW)
    numbers = np.arange(first, first + count)
    flows["key"]["port_a"] = numbers % 65536
    flows["key"]["zone"] = numbers // 65536
    flows["value"]["first"] = numbers * 1000
    flows["value"]["comm"] = b"worker"
    return flows


def numbers(flows: NDArray[Any]) -> list[int]:
    return sorted((flows["value"]["first"] // 1000).tolist())


def test_an_empty_map_gives_an_empty_array(flow_map: FlowMap) -> None:
    flows = flow_map.snapshot()

    assert len(flows) == 0
    assert flows.dtype == FLOW


def test_what_goes_in_comes_out(flow_map: FlowMap) -> None:
    flows = make(101)

    assert flow_map.insert(flows) == 101
    found = flow_map.snapshot()
    order = np.argsort(found["key"]["port_a"])
    assert found[order].tobytes() == flows.tobytes()


def test_insert_leaves_flows_that_are_there(flow_map: FlowMap) -> None:
    flow_map.insert(make(5))
    again = make(8)
    again["value"]["tgid"] = 7

    assert flow_map.insert(again) == 3
    assert np.count_nonzero(flow_map.snapshot()["value"]["tgid"]) == 3


def test_delete_tells_how_many_were_there(flow_map: FlowMap) -> None:
    flow_map.insert(make(50))
    keys = make(60, first=30)["key"]
    shuffled = np.random.default_rng(7).permutation(keys)

    assert flow_map.delete(shuffled) == 20
    assert numbers(flow_map.snapshot()) == list(range(30))


def test_delete_of_nothing_deletes_nothing(flow_map: FlowMap) -> None:
    flow_map.insert(make(3))

    assert flow_map.delete(np.empty(0, FLOW_KEY)) == 0
    assert len(flow_map.snapshot()) == 3


def test_more_flows_than_one_call_carries(program: KernelProgram) -> None:
    count = 2 * CHUNK + 11
    flows = make(count)
    program.flows.delete(program.flows.snapshot()["key"])

    assert program.flows.insert(flows) == count
    assert numbers(program.flows.snapshot()) == list(range(count))
    assert program.flows.delete(flows["key"]) == count
    assert len(program.flows.snapshot()) == 0
