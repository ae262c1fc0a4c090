"""The house stays in order: every source file has its tests, and no file grows too long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "beacon_detect"
MAX_LINES = 500


def modules() -> list[Path]:
    return [
        path.relative_to(SOURCE)
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name not in {"__init__.py", "__main__.py"}
    ]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_has_a_test_file_at_the_mirrored_place(module: Path) -> None:
    assert (ROOT / "tests" / module.parent / f"test_{module.name}").is_file()


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_is_longer_than_the_cap(module: Path) -> None:
    assert len((SOURCE / module).read_text("utf-8").splitlines()) <= MAX_LINES


SENSOR_NEVER = {"duckdb", "fastapi", "uvicorn", "numba", "beacon_detect.analysis"}
CLI_NEVER = {"duckdb", "fastapi", "uvicorn", "numba", "pyarrow", "numpy"}
HELP_NEVER = CLI_NEVER | {"pydantic", "rich", "httpx2", "structlog", "yaml"}


RUN_VERB = """
from beacon_detect.cli.main import main
import sys; sys.argv = ['beacon-detect', *{words}]
try: main()
except SystemExit: pass
"""


@pytest.mark.parametrize(
    ("code", "never"),
    [
        ("import beacon_detect.data_plane.collector", SENSOR_NEVER),
        ("import beacon_detect.cli.main", HELP_NEVER),
        (RUN_VERB.format(words=["--help"]), HELP_NEVER),
        (RUN_VERB.format(words=["--port", "1", "beacons"]), CLI_NEVER),
    ],
    ids=["sensor", "cli", "help", "list verb"],
)
def test_heavy_imports_stay_out(code: str, never: set[str]) -> None:
    report = f"{code}\nimport sys; print('\\nLOADED', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())

    assert loaded & never == set()
