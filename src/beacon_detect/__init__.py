"""Beacon Detect: finds command-and-control beacons on Linux networks and says which process and why."""

from __future__ import annotations

__version__ = "0.1.0"
