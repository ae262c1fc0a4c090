"""Shared by all tests: what needs root runs in CI, and is skipped elsewhere without it."""

from __future__ import annotations

import os

import hypothesis
import pytest

# A busy machine may take seconds over the first example; the tests' own time limits stay.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="needs root: loads eBPF programs and makes namespaces")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)
