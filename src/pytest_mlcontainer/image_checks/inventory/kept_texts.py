"""Small files whose content says what is installed: kept with the inventory."""

from __future__ import annotations

import re

MOST_BYTES = 32 << 20
"""Of one such file; the list of what a distribution holds takes two for the largest."""

MOST_BYTES_TOGETHER = 192 << 20

_KEPT = re.compile(
    r"(?:^|/)[^/]+\.dist-info/(?:RECORD|direct_url\.json)$"
    r"|(?:^|/)(?:torch|tensorflow|jax_cuda\d+_plugin|onnxruntime_gpu)-[^/]*\.dist-info/METADATA$"
    r"|^var/lib/dpkg/(?:status$|status\.d/[^/]+$|info/[^/]+\.list$)"
    r"|^(?:usr/)?lib/apk/db/installed$"
    r"|(?:^|/)conda-meta/[^/]+\.json$"
    r"|^(?:usr/lib|etc)/os-release$"
    r"|^usr/local/cuda[^/]*/version\.json$"
    # What these frameworks were built with, as they say themselves.
    r"|(?:^|/)(?:torch/version|tensorflow/python/platform/build_info"
    r"|onnxruntime/capi/build_and_package_info)\.py$"
)


def is_kept(path: str, size_bytes: int) -> bool:
    """Whether the content of a file is kept.

    Args:
        path: in the image, without a slash at its beginning.
    """
    return 0 < size_bytes <= MOST_BYTES and _KEPT.search(path) is not None
