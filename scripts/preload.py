"""Compiles the library that is loaded into containers, for each architecture (`scripts.native`).

python -m scripts.preload           write the libraries beside their source, and the digests
python -m scripts.preload --check   compile, and fail where another byte comes out
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.native import Native

ROOT = Path(__file__).resolve().parent.parent
PRELOAD = Native(
    ROOT / "src/pytest_mlcontainer/variations/preload/preload.c",
    (
        *("-shared", "-fPIC", "-fvisibility=hidden", "-fno-plt"),
        # A thread can be cancelled, and is then unwound, while it waits in one of our functions.
        "-fasynchronous-unwind-tables",
        # Loadable by old and new loaders.
        *("-Wl,--hash-style=both", "-Wl,-soname,libmlcontainer.so"),
    ),
    suffix=".so",
    # Its atomic functions would otherwise be those of libgcc, which is not linked.
    more={"arm64": ("-mno-outline-atomics",)},
)

if __name__ == "__main__":
    sys.exit(PRELOAD.main(sys.argv[1:]))
