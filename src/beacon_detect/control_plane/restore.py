"""Rebuilds what the control plane keeps in memory from the store, at the start.

The same code that counts incoming batches counts the stored records, so a
restart shows what was shown before it. Limit: it reads every record within the
retention once (about a second for a million).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.control_plane.columns import numbers, texts
from beacon_detect.records import pack_address

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.control_plane.pairs import PairTable
    from beacon_detect.control_plane.storage.store import Store
    from beacon_detect.control_plane.working_set import WorkingSet

_COLUMNS = [
    "pair_id", "sensor", "kind", "connection_id", "time", "series_time", "duration", "bytes_out",
    "bytes_in", "origin", "direction", "pid", "process", "executable", "container", "name",
]  # fmt: skip


def restore(store: Store, working_set: WorkingSet, pairs: PairTable, since_ns: int) -> int:
    """Fill ``working_set`` and ``pairs`` with the records dated ``since_ns`` or later.

    Returns how many records were read. Call before the first batch is taken.
    """
    known = store.query("SELECT pair_id, src, dst, dst_port, protocol FROM pair")
    pairs.make_known(
        numbers(known, "pair_id"),
        _packed(known, "src"),
        _packed(known, "dst"),
        numbers(known, "dst_port"),
        numbers(known, "protocol"),
    )
    # What records past retention had added is kept, so that totals go on where they were.
    pairs.add_past(store.query("SELECT * FROM pair_past"))
    count = 0
    for table in store.scan_records(since_ns, _COLUMNS):
        working_set.add(numbers(table, "pair_id"), table)
        pairs.add_stored(table)
        count += table.num_rows
    # Pairs that are only in the database because a long connection refers to them.
    pairs.forget(since_ns)
    return count


def _packed(table: pa.Table, name: str) -> NDArray[np.uint8]:
    """Return the ``(n, 16)`` bytes of a column of addresses in text, each distinct one packed once."""
    codes, values = texts(table, name)
    packed = np.frombuffer(b"".join(map(pack_address, values)), np.uint8).reshape(-1, 16)
    return packed[codes]
