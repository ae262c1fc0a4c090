"""The wheel is complete: it installs and runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    name = run(sys.executable, "-c", build, str(out), cwd=ROOT).split()[-1]
    return out / name


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh environment with the wheel; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"), cwd=folder)
    python = folder / "venv" / "bin" / "python"
    site = Path(
        run(str(python), "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    )
    target = ["--target", str(site), "--no-deps", "--quiet", "--no-index", str(wheel)]
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *target, cwd=folder)
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", "utf-8")
    return python


def test_the_wheel_is_pure_and_carries_the_kernel_object(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert wheel.name.endswith("-py3-none-any.whl")
    assert "beacon_detect/data_plane/beacon.bpf.o" in names
    assert "beacon_detect/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_wheel_runs_outside_the_checkout(installed: Path) -> None:
    where = "import beacon_detect as b, pathlib; print(pathlib.Path(b.__file__).parent)"
    package = Path(run(str(installed), "-c", where, cwd=installed.parent).strip())

    assert ROOT not in package.parents
    assert "status" in run(str(installed), "-m", "beacon_detect", "--help", cwd=installed.parent)


@pytest.mark.root
def test_the_installed_wheel_loads_its_kernel_program(installed: Path) -> None:
    load = (
        "from beacon_detect.data_plane.program import KernelProgram, ProgramOptions\n"
        "with KernelProgram.load(ProgramOptions()) as program: print(sorted(program.counters()))"
    )

    assert "packets" in run(str(installed), "-c", load, cwd=installed.parent)
