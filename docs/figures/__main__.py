"""``python -m docs.figures``: draw every picture again, into the folder of this file."""

from __future__ import annotations

from pathlib import Path

from docs.figures import PICTURES

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Write every picture."""
    for picture in PICTURES:
        (FOLDER / picture.NAME).write_text(picture.draw(), "utf-8")


if __name__ == "__main__":
    main()
