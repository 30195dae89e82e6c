"""Write ``docker/requirements.lock``: the exact version of every package that a container gets.

Run with the Python version of the container (3.11): ``python docker/make_lock.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# Made by docker/make_lock.py: what the dependencies of pyproject.toml resolve to for Python 3.11.
# The container installs exactly these; to move on, run the script again and commit the difference.
"""


def main() -> None:
    """Ask pip what it would install, and write that down."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), str(ROOT)]
        subprocess.run(command, check=True)
        resolved = json.loads(report.read_text(encoding="utf-8"))
    pins = sorted(
        f"{entry['metadata']['name'].lower()}=={entry['metadata']['version']}"
        for entry in resolved["install"]
        if entry["metadata"]["name"].lower() != "anonymi-bids"
    )
    target = ROOT / "docker" / "requirements.lock"
    target.write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(pins)} packages in {target.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
