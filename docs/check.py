"""Checks the documents: links lead somewhere, generated files are current.

Run by ``make check``. Exit code 1 and one line per fault.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return every Markdown page of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page make (GitHub's rule)."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links() -> list[str]:
    """Return one line for each relative link without a target."""
    faults = []
    for page in pages():
        for match in _LINK.finditer(_FENCE.sub("", page.read_text("utf-8"))):
            link = match.group(1) or match.group(2)
            if link.startswith(("http://", "https://", "mailto:")):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                faults.append(f"{page.relative_to(ROOT)}: no such file: {link}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                faults.append(f"{page.relative_to(ROOT)}: no such heading: {link}")
    return faults


def stale_files() -> list[str]:
    """Return one line for each generated file that the schema would render differently."""
    command = [sys.executable, "-m", "beacon_detect.config.render", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [(done.stdout + done.stderr).strip()]


def main() -> int:
    """Print every fault; return 1 when there is one."""
    faults = broken_links() + stale_files()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
