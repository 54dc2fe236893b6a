"""What helps a run that had no image: words about images, in words about this machine."""

from __future__ import annotations

import re
from typing import Final

# In this order; each is replaced wherever it stands.
_WORDS: Final = tuple(
    (re.compile(pattern), there)
    for pattern, there in (
        (r"; or, where the engine keeps those for root: .*", ""),
        (r",? or network = \"bridge\",?( in \[[^]]*\])?", ""),
        (r"needs its network named: .*", "is reached from here as from anywhere"),
        (r"two of its own programs want .*", "end the program that has it: `ss -ltnp` names it"),
        (r", as is so without a network|; or put the environment first .*", ""),
        (r", which is not in the image", ", which is not there"),
        (r"use a newer base image", "use a newer system"),
        (
            r"the image has no CUDA libraries.*\), or",
            "install CUDA's libraries of that version, or",
        ),
        (r"build the image with an older CUDA", "install packages for an older CUDA"),
        (r": it follows the image's ENTRYPOINT", ""),
        (r"begin the image's last stage with a base that has one \([^)]*\)", "install that"),
        (r" in the Dockerfile: `RUN chmod \+x …` or `COPY --chmod=755 …`", ": `chmod +x …`"),
        (r"copy it into the image and let", "let"),
        (r"where it is the project's own, copy it and set", "where it is the project's own, set"),
        (r"in the image \(\.dockerignore leaves files out\)", "there"),
        (r"`RUN ", "`"),
        (r"use a base image with ", "use "),
        (r"the image's ", "its "),
        (r" in the Dockerfile \(in its last stage\)", " on this machine"),
        (r"download it in the Dockerfile, into", "download it, into"),
        (r"(put that|bring \S+) into the image", r"\1 onto this machine"),
        (r",? in the Dockerfile", " on this machine"),
        (r"\bin(side)? (its|a) container", "on this machine"),
        (r"\bin the image and in `env`", "in `env` and here"),
        (r"\bin the image", "on this machine"),
        (r"the image (has|does|sets)", r"this machine \1"),
    )
)


def on_host(text: str) -> str:
    """A cause or remedy as it is for a run on this machine itself.

    Args:
        text: as it is for a run in a container.
    """
    for pattern, there in _WORDS:
        text = pattern.sub(there, text)
    return text
