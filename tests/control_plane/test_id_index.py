"""The index of ids equals a dict, whatever the order and repetition of ids."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.id_index import IdIndex

IDS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=60)


def column(ids: list[int]) -> np.ndarray:
    return np.array(ids, np.uint64)


@given(st.lists(IDS, max_size=8), IDS)
def test_equals_a_dict(batches: list[list[int]], asked: list[int]) -> None:
    index = IdIndex()
    model: dict[int, int] = {}
    for batch in batches:
        slots = index.add(column(batch)).tolist()
        for identifier, slot in zip(batch, slots, strict=True):
            assert model.setdefault(identifier, slot) == slot

    assert sorted(model.values()) == list(range(len(index)))
    assert index.ids.tolist() == sorted(model, key=model.__getitem__)
    assert index.slots(column(asked)).tolist() == [model.get(i, -1) for i in asked]


@given(st.lists(st.integers(0, 2**64 - 1), unique=True))
def test_given_ids_get_slots_in_their_order(ids: list[int]) -> None:
    assert IdIndex(column(ids)).slots(column(ids)).tolist() == list(range(len(ids)))


def test_keeps_every_id_while_it_grows() -> None:
    ids = np.arange(100_003, dtype=np.uint64) * np.uint64(2**40)
    index = IdIndex()
    for part in np.array_split(ids, 17):
        index.add(part)

    assert (index.ids[index.slots(ids)] == ids).all()
    assert (index.slots(ids + np.uint64(1)) == -1).all()
