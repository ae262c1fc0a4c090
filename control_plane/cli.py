"""``python3 -m control_plane.cli VERB``: the command line, started from a checkout.

Works with the package installed or not, as long as its dependencies are.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"


def main() -> int:
    """Run one command line; return the exit code where it does not exit by itself."""
    if find_spec("beacon_detect") is None:
        sys.path.insert(0, str(SOURCE))
        # The daemons that `up` starts look for the package too.
        paths = [str(SOURCE), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    try:
        from beacon_detect.cli.main import main as run
    except ModuleNotFoundError as error:
        print(
            f"error: the Python package {error.name!r} is missing for {sys.executable}\n"
            "  hint: pip install -r requirements.txt, or use the Python of the virtual environment",
            file=sys.stderr,
        )
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
