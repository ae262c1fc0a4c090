"""Compressed bodies: taken apart, bounded, and refused when they are not what they say."""

from __future__ import annotations

import gzip
import resource

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import BodyTooLargeError, UnsupportedBodyError
from beacon_detect.control_plane.intake.compression import decompress
from beacon_detect.errors import DataError

MIB = 1 << 20


def zstd(plain: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(plain))


PACK = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd, "": bytes, "Identity": bytes}


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("plain", [b"x", b"hello" * 1000, bytes(range(256)) * 20_000])
def test_undoes_each_encoding(encoding: str, plain: bytes) -> None:
    assert decompress(PACK[encoding](plain), f" {encoding} ", 16 * MIB) == plain


def test_several_gzip_members_are_one_body() -> None:
    assert decompress(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", MIB) == b"ab"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_given_up_before_it_fills_memory(encoding: str) -> None:
    bomb = PACK[encoding](bytes(200 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BodyTooLargeError, match="larger than 4 MiB"):
        decompress(bomb, encoding, 4 * MIB)

    assert len(bomb) < MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * 1024


def test_a_body_too_large_as_sent_is_refused_unread() -> None:
    with pytest.raises(BodyTooLargeError):
        decompress(b"not gzip at all" * MIB, "gzip", MIB)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(st.binary(max_size=200), st.integers(0, 60))
def test_damage_is_a_data_error_or_harmless(encoding: str, noise: bytes, cut: int) -> None:
    good = PACK[encoding](b"some text " * 20)
    for body in (noise, good[:cut], good[:cut] + noise):
        try:
            decompress(body, encoding, MIB)
        except DataError:
            continue


def test_other_encodings_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedBodyError, match="'br'"):
        decompress(b"x", "br", MIB)
