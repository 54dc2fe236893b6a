"""Compiles the program that watches which files a run opens, for each architecture
(`scripts.native`).

    python -m scripts.file_watcher           write the programs beside their source, and the digests
    python -m scripts.file_watcher --check   compile, and fail where another byte comes out
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.native import Native

ROOT = Path(__file__).resolve().parent.parent
WATCHER = Native(
    ROOT / "src/pytest_mlcontainer/inside/file_watcher/watcher.c",
    # It starts in any image, also in one without a loader.
    ("-static", "-no-pie", "-fno-pie"),
)

if __name__ == "__main__":
    sys.exit(WATCHER.main(sys.argv[1:]))
