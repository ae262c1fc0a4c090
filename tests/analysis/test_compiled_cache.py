"""Compiled code is kept where it may be written, and only when nobody else may write there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from beacon_detect.analysis import compiled_cache


def test_the_service_directory_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "service"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    directory = compiled_cache.cache_directory("1.0")

    assert directory is not None
    assert directory.is_relative_to(tmp_path / "service")
    assert directory.stat().st_mode & 0o077 == 0


def test_a_directory_others_may_write_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    directory = compiled_cache.cache_directory("1.0")
    assert directory is not None
    directory.chmod(0o777)

    assert compiled_cache.cache_directory("1.0") is None


def test_no_home_means_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))

    assert compiled_cache.cache_directory("1.0") is None


def test_a_new_machine_has_nothing_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert not compiled_cache.is_compiled()


def test_another_numba_never_reads_our_code() -> None:
    assert compiled_cache.fingerprint("1.0") != compiled_cache.fingerprint("1.1")


def test_importing_the_core_and_scoring_a_small_batch_does_not_import_numba() -> None:
    program = (
        "import sys, numpy as np; from beacon_detect.analysis import *;"
        "analyze(SeriesBatch.from_lists([np.arange(20) * 10**9]), Settings());"
        "assert 'numba' not in sys.modules;"
        "from beacon_detect.analysis.compiled_cache import is_loaded;"
        "assert not is_loaded()"
    )

    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
