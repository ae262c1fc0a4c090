"""Reads the layout of structs out of a BPF object: ELF sections and BTF, nothing else.

Format: Documentation/bpf/btf.rst of the kernel. Only what the tests compare.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST = range(1, 11)
FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64 = 13, 14, 15, 17, 19
_ENTRY_BYTES = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
_EXTRA_BYTES = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}


def sections(path: Path) -> dict[str, bytes]:
    """Return the contents of an ELF64 little-endian file's sections by name."""
    data = path.read_bytes()
    offset = struct.unpack_from("<Q", data, 40)[0]
    size, count, names_index = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    names = headers[names_index][4]
    found = {}
    for name, _, _, _, start, length in headers:
        end = data.index(0, names + name)
        found[data[names + name : end].decode()] = data[start : start + length]
    return found


@dataclass(frozen=True)
class Type:
    name: str
    kind: int
    size_or_type: int
    entries: tuple[tuple[int, ...], ...]
    extra: tuple[int, ...]


class Btf:
    """The types of an object."""

    def __init__(self, data: bytes) -> None:
        _, _, _, header, type_at, type_size, text_at, text_size = struct.unpack_from(
            "<HBBIIIII", data
        )
        self._text = data[header + text_at : header + text_at + text_size]
        self.types: list[Type] = [Type("void", 0, 0, (), ())]
        body = data[header + type_at : header + type_at + type_size]
        position = 0
        while position < len(body):
            name, info, size_or_type = struct.unpack_from("<III", body, position)
            position += 12
            kind, count = info >> 24 & 31, info & 0xFFFF
            words = _ENTRY_BYTES.get(kind, 0) // 4
            extra = struct.unpack_from(f"<{_EXTRA_BYTES.get(kind, 0) // 4}I", body, position)
            position += 4 * len(extra)
            flat = struct.unpack_from(f"<{words * count}I", body, position)
            position += 4 * len(flat)
            entries = tuple(flat[i * words : (i + 1) * words] for i in range(count * bool(words)))
            self.types.append(Type(self.name(name), kind, size_or_type, entries, extra))

    def name(self, offset: int) -> str:
        return self._text[offset : self._text.index(0, offset)].decode()

    def find(self, name: str, kind: int) -> Type:
        (found,) = (t for t in self.types if t.name == name and t.kind == kind)
        return found

    def size(self, index: int) -> int:
        """Return the bytes of a type."""
        found = self.types[index]
        if found.kind in {TYPEDEF, VOLATILE, CONST}:
            return self.size(found.size_or_type)
        if found.kind == ARRAY:
            element, _, count = found.extra
            return self.size(element) * count
        return 8 if found.kind == PTR else found.size_or_type

    def layout(self, name: str) -> tuple[int, dict[str, tuple[int, int]]]:
        """Return a struct's size and its members' (offset, size) in bytes."""
        found = self.find(name, STRUCT)
        members = {
            self.name(member): (bits // 8, self.size(index))
            for member, index, bits in found.entries
        }
        return found.size_or_type, members

    def enum(self, name: str) -> dict[str, int]:
        """Return the constants of an enum."""
        return {self.name(member): value for member, value in self.find(name, ENUM).entries}
