"""``python3 -m control_plane.server -c FILE``: the control plane, started from a checkout.

Works with the package installed or not, as long as its dependencies are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"


def main() -> int:
    """Run the control plane until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m control_plane.server",
        description="The Beacon Detect control plane: storage, analysis, alerts and API.",
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration file")
    arguments = parser.parse_args()
    if SOURCE.is_dir():
        sys.path.insert(0, str(SOURCE))
    try:
        from beacon_detect.config import load_config
        from beacon_detect.control_plane.server import serve
        from beacon_detect.errors import BeaconError
    except ModuleNotFoundError as error:
        print(
            f"error: the Python package {error.name!r} is missing for {sys.executable}\n"
            "  hint: pip install -r requirements.txt, or use the Python of the virtual environment",
            file=sys.stderr,
        )
        return 1
    try:
        serve(load_config(arguments.config))
    except BeaconError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
