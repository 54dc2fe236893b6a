"""`home`: where `~` is; here in no folder that exists, as for a user without one."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import unpinned

_NOWHERE: Final = "/nonexistent"
_ELSEWHERE: Final = "/nonexistent-home"


def choose(situation: Situation) -> Choice:
    """A folder that does not exist."""
    home = _ELSEWHERE if situation.facts.get("user.home") == _NOWHERE else _NOWHERE
    knobs = Knobs(env=(("HOME", home),))
    return unpinned(situation, Variation("home", home, knobs, (f"user.home={home}",)))


FAMILY: Final = Family(
    "home",
    "the home folder",
    choose,
    hints=(
        r"\bexpanduser\(|\bPath\.home\(",
        r"[\"']HOME[\"']|[\"']USERPROFILE[\"']",
        r"[\"']~/",
        r"\bXDG_\w+|\b(?:HF|TORCH|KERAS|SKLEARN|NLTK|TRANSFORMERS)_(?:HOME|DATA|CACHE)\b",
        r"[\"'/]\.(?:cache|config|local|keras|kaggle|torch)\b",
        r"\bget_data_home\(|\bplatformdirs\b|\bappdirs\b|\buser_(?:cache|data|config)_dir\(",
        r"\btorch\.hub\b|\bget_dir\(",
    ),
    weight=2.0,
    demanding=True,
)
