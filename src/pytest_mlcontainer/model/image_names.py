"""The name of an image in a registry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageName:
    """`HOST/REPOSITORY:TAG@DIGEST`, in its parts.

    Args:
        host: with its port where it has one; `docker.io` for Docker Hub.
        repository: `library/python` for Docker Hub's own `python`.
        tag, digest: "" where there is none.
    """

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def place(self) -> str:
        """Without tag and digest."""
        return f"{self.host}/{self.repository}"

    def at(self, digest: str) -> str:
        """The name by which exactly this content is pulled."""
        return f"{self.place}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.place}{tag}" + (f"@{self.digest}" if self.digest else "")
