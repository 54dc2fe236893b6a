"""What a builder says of a Dockerfile without building it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BuildWarning:
    """One warning of BuildKit.

    Args:
        rule: `FromAsCasing`, …
        line: of the Dockerfile, from 1 on; None where it has none.
        url: BuildKit's page about the rule.
    """

    rule: str
    text: str
    line: int | None
    url: str


@dataclass(frozen=True)
class BuildCheck:
    """What came of `docker build --check`.

    Args:
        error: why the Dockerfile could not be gone through to its end; "" where it was.
        error_line: the line that is to blame, where that is known.
    """

    warnings: tuple[BuildWarning, ...] = ()
    error: str = ""
    error_line: int | None = None

    @property
    def lacks_an_image(self) -> bool:
        """Whether only looking up an image was in the way."""
        return "failed to resolve source metadata" in self.error
