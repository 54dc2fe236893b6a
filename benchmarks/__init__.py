"""What the plugin costs, as ratios within one run: `python -m benchmarks`, or `make bench`."""

import os

# Projects that are made here are built once: nothing of them need stay for a next session.
os.environ.setdefault("MLCONTAINER_KEEP_IMAGES", "0")
