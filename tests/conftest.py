"""Shared by all tests: what needs root runs in CI, and is skipped elsewhere without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import hypothesis
import pytest

from beacon_detect.analysis.compiled_cache import is_compiled

# The same examples in every run, so that a run fails for a change and not by chance;
# TEST_EXPLORE=1 looks for new ones. A busy machine may take seconds over an example:
# only the tests' own time limits count.
hypothesis.settings.register_profile(
    "here",
    deadline=None,
    derandomize=not os.environ.get("TEST_EXPLORE"),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("here")


def pytest_configure() -> None:
    """Let Ctrl-C mean what it does: a script's background job ignores it, and so would its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the analysis before the first test, or every server of a test begins to."""
    is_worker = hasattr(session.config, "workerinput")
    if is_worker or session.config.option.collectonly or is_compiled():
        return
    sys.stderr.write("compiling the analysis, once on this machine: half a minute\n")
    subprocess.run([sys.executable, "-m", "beacon_detect.control_plane.compile_ahead"], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="needs root: loads eBPF programs and makes namespaces")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)
