"""Programs that are sent into images, as text, for whatever Python or shell is there.

They import the standard library alone, beside what the image's own program brings, and can be
parsed by Pythons from `OLDEST` on. In this process nothing of them is run but their constants.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

OLDEST: Final = (3, 6)


def source(name: str) -> str:
    """The text of a program, by its file's name."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
