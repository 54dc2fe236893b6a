"""Removing what a run wrote, however deep it lies and whatever its modes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays.

    `shutil.rmtree` fails on folders that lie 1,000 deep, and on ones that their owner may not read.
    Here each folder is moved up to the top before it is emptied, so that no path gets long.
    """
    number = 0
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        with suppress(OSError):
            path.chmod(0o700)
            for inner in list(path.iterdir()):
                with suppress(OSError):
                    if inner.is_symlink() or not inner.is_dir():
                        inner.unlink()
                    elif path == folder:
                        waiting.append(inner)
                    else:
                        inner.chmod(0o700)
                        number += 1
                        waiting.append(inner.rename(folder / f".removed-{number}-{os.getpid()}"))
            if path != folder:
                path.rmdir()
    with suppress(OSError):
        folder.rmdir()
