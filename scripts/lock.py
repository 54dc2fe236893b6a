"""The packages that a release is built with: exact versions and hashes, none younger than a week.

`python scripts/lock.py` writes `dev.lock` anew; `pip install --require-hashes -r dev.lock` installs
it. What was published with harm in it is mostly found and taken away again within days.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "dev.lock"
COOL_DOWN = timedelta(days=7)
_EXPORT = (
    *("export", "--quiet", "--extra", "dev", "--format", "requirements-txt"),
    *("--no-emit-project", "--no-header", "--no-annotate"),
)


def main() -> int:
    """Write the lock; the exit status of what resolves it."""
    newest = (datetime.now(UTC) - COOL_DOWN).strftime("%Y-%m-%d")
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(ROOT / "pyproject.toml", name)
        uv = (sys.executable, "-m", "uv", *_EXPORT, "--exclude-newer", f"{newest}T00:00:00Z")
        done = subprocess.run(uv, cwd=name, stdout=subprocess.PIPE, text=True)
    if done.returncode == 0:
        head = f"# Made by scripts/lock.py: nothing that was published after {newest}.\n"
        LOCK.write_text(head + done.stdout, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
