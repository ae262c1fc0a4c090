"""Helpers of the hunt tests: chunks of records made from plain columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import Flows, record_table
from beacon_detect.records import SECOND, Kind, pack_address


def chunk_of(
    seconds: Sequence[float],
    src: str = "10.0.0.5",
    dst: str = "192.0.2.7",
    *,
    dst_port: int = 443,
    kind: int = Kind.CONNECTION,
    **columns: Any,
) -> Chunk:
    count = len(seconds)

    def address(text: str) -> Any:
        return np.tile(np.frombuffer(pack_address(text), np.uint8), (count, 1))

    given = {
        name: np.full(count, value, np.int64) if isinstance(value, int) else value
        for name, value in columns.items()
    }
    return Chunk(
        record_table(
            Flows(
                time=np.rint(np.asarray(seconds, float) * SECOND).astype(np.int64),
                src=address(src), dst=address(dst), dst_port=np.full(count, dst_port),
                protocol=np.full(count, 6, np.uint8), valid=np.ones(count, bool),
                kind=np.full(count, kind, np.uint8), **given,
            )
        )
    )  # fmt: skip


@pytest.fixture
def make_chunk() -> Callable[..., Chunk]:
    return chunk_of
