"""Files that a container is given, as a tar stream."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable


def readable_tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files that every user may read, for unpacking at `/`.

    Args:
        files: absolute container path → content.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
