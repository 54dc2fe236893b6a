"""Lets `python3 scripts/cluster` run as a package, so that modules import each other by name."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.cluster.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
