"""Shared by all tests: what needs root runs in CI, and is skipped elsewhere without it."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="needs root: loads eBPF programs and makes namespaces")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)
