"""Arrow columns as NumPy arrays: numbers, addresses and texts of record tables, without copies.

The one place that knows how Arrow lays them out. Limit: columns must not hold
nulls; record tables never do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.records import pair_ids

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

ADDRESS_BYTES = 16


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """Return the integer column ``name`` of ``table``; a view where it is one chunk."""
    return np.asarray(table.column(name).combine_chunks())


def addresses(table: pa.Table, name: str) -> NDArray[np.uint8]:
    """Return the address column ``name`` of ``table``, shape ``(n, 16)``."""
    column = table.column(name).combine_chunks()
    if len(column) == 0:
        return np.zeros((0, ADDRESS_BYTES), np.uint8)
    rows = np.frombuffer(column.buffers()[1], np.uint8, count=-1)
    start = column.offset * ADDRESS_BYTES
    return rows[start : start + len(column) * ADDRESS_BYTES].reshape(-1, ADDRESS_BYTES)


def texts(table: pa.Table, name: str) -> tuple[NDArray[np.int32], list[str]]:
    """Return the text column ``name`` as (codes, values): row ``i`` is ``values[codes[i]]``."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    else:
        column = column.dictionary_encode()
    joined = column.combine_chunks()
    return np.asarray(joined.indices).astype(np.int32, copy=False), joined.dictionary.to_pylist()


def table_pair_ids(table: pa.Table) -> NDArray[np.uint64]:
    """Return the pair id of each row of a record table."""
    return pair_ids(
        addresses(table, "src"),
        addresses(table, "dst"),
        numbers(table, "dst_port"),
        numbers(table, "protocol"),
    )
