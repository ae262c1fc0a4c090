"""The kernel's flow map as NumPy arrays: read whole, delete, insert.

Batch system calls move thousands of flows at a time; where a kernel refuses
them the same is done entry by entry, some ten times slower.
"""

from __future__ import annotations

import ctypes
import errno
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from beacon_detect.data_plane.events import FLOW, FLOW_KEY, FLOW_VALUE
from beacon_detect.data_plane.libbpf import KernelCallError, Libbpf, explain

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK: Final = 16_384
"""Flows moved by one system call."""

_NO_EXIST: Final = 1  # BPF_NOEXIST
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, 524})  # 524: the kernel's ENOTSUPP


class FlowMap:
    """The map ``flows`` of the kernel programs.

    Parameters
    ----------
    libbpf, descriptor, capacity
        The library, the map's file descriptor, and its greatest number of flows.
    batched
        False forces entry-by-entry access.
    """

    def __init__(
        self, libbpf: Libbpf, descriptor: int, capacity: int, *, batched: bool = True
    ) -> None:
        self._libbpf = libbpf
        self._descriptor = descriptor
        self.capacity = capacity
        self._batched = batched

    def snapshot(self) -> NDArray[Any]:
        """Return every flow (dtype ``events.FLOW``); ones that change meanwhile as they were read.

        Raises
        ------
        KernelUnsupportedError, PermissionMissingError
            The kernel does not let the map be read.
        """
        try:
            return self._snapshot_batched() if self._batched else self._snapshot_single()
        except KernelCallError as error:
            if self._batched and error.number in _UNSUPPORTED:
                self._batched = False
                return self.snapshot()
            raise explain(error, "reading the flow map") from error

    def delete(self, keys: NDArray[Any]) -> int:
        """Delete flows by key (dtype ``events.FLOW_KEY``); return how many were there."""
        keys = np.ascontiguousarray(keys)
        deleted = 0
        position = 0
        while self._batched and position < len(keys):
            count = ctypes.c_uint32(min(CHUNK, len(keys) - position))
            wanted = count.value
            number = self._libbpf.try_call(
                "bpf_map_delete_batch",
                self._descriptor,
                _address(keys, position),
                ctypes.byref(count),
                None,
            )
            if number in _UNSUPPORTED:
                self._batched = False
                break
            if number not in {0, errno.ENOENT}:
                raise explain(KernelCallError("bpf_map_delete_batch", number), "deleting flows")
            deleted += count.value
            # A key that is gone stops the batch: step over it.
            position += count.value + (1 if number == errno.ENOENT else 0)
            if number == 0 and count.value < wanted:
                break
        for index in range(position, len(keys)):
            deleted += self._delete_single(_address(keys, index))
        return deleted

    def insert(self, flows: NDArray[Any]) -> int:
        """Add flows (dtype ``events.FLOW``) that the map does not have; return how many it took."""
        keys, values = np.ascontiguousarray(flows["key"]), np.ascontiguousarray(flows["value"])
        added = 0
        for index in range(len(flows)):
            number = self._libbpf.try_call(
                "bpf_map_update_elem",
                self._descriptor,
                _address(keys, index),
                _address(values, index),
                _NO_EXIST,
            )
            if number not in {0, errno.EEXIST, errno.ENOMEM, errno.E2BIG}:
                raise explain(KernelCallError("bpf_map_update_elem", number), "adding flows")
            added += number == 0
        return added

    def _snapshot_batched(self) -> NDArray[Any]:
        chunks = [np.empty(0, FLOW)]
        keys, values = np.empty(CHUNK, FLOW_KEY), np.empty(CHUNK, FLOW_VALUE)
        # The cursor is a bucket number for hash maps, but the kernel may use a key's room.
        cursor = np.zeros(1, FLOW_KEY)
        first, finished = True, False
        while not finished:
            count = ctypes.c_uint32(CHUNK)
            number = self._libbpf.try_call(
                "bpf_map_lookup_batch",
                self._descriptor,
                None if first else _address(cursor),
                _address(cursor),
                _address(keys),
                _address(values),
                ctypes.byref(count),
                None,
            )
            if number not in {0, errno.ENOENT}:
                raise KernelCallError("bpf_map_lookup_batch", number)
            chunk = np.empty(count.value, FLOW)
            chunk["key"], chunk["value"] = keys[: count.value], values[: count.value]
            chunks.append(chunk)
            first, finished = False, number == errno.ENOENT
        return np.concatenate(chunks)

    def _snapshot_single(self) -> NDArray[Any]:
        flows = np.empty(self.capacity, FLOW)
        key, value = np.empty(1, FLOW_KEY), np.empty(1, FLOW_VALUE)
        previous: int | None = None
        count = 0
        # Bounded: deleting the key that the walk stands on makes the kernel start over.
        while count < self.capacity:
            number = self._libbpf.try_call(
                "bpf_map_get_next_key", self._descriptor, previous, _address(key)
            )
            if number == errno.ENOENT:
                break
            if number:
                raise KernelCallError("bpf_map_get_next_key", number)
            previous = _address(key)
            if not self._libbpf.try_call(
                "bpf_map_lookup_elem", self._descriptor, _address(key), _address(value)
            ):
                flows["key"][count], flows["value"][count] = key[0], value[0]
                count += 1
        return flows[:count].copy()

    def _delete_single(self, key: int) -> int:
        number = self._libbpf.try_call("bpf_map_delete_elem", self._descriptor, key)
        if number not in {0, errno.ENOENT}:
            raise explain(KernelCallError("bpf_map_delete_elem", number), "deleting flows")
        return int(number == 0)


def _address(array: NDArray[Any], index: int = 0) -> int:
    """Return the address of an element, for a system call."""
    return int(array.ctypes.data) + index * array.itemsize
