"""Runs the command line as ``python -m beacon_detect``."""

from __future__ import annotations

from beacon_detect.cli.main import main

if __name__ == "__main__":
    main()
