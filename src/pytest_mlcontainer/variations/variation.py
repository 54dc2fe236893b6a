"""What a variation is."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mlcontainer.model import Pairs


@dataclass(frozen=True)
class Variation:
    """One named change of the environment.

    Args:
        name: of the family, as reports and labels use it: `threads`.
        setting: which of the family's settings: `1`.
        env: variables that make it so.
    """

    name: str
    setting: str
    env: Pairs

    def __str__(self) -> str:
        return f"{self.name}={self.setting}"
