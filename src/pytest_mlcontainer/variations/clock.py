"""`clock`: what time it is.

A preloaded library shifts the clock of the programs in the container, or stops it; the kernel's
own cannot differ between containers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_preload
from pytest_mlcontainer.variations.preload import CLOCK_FIXED, CLOCK_OFFSET

# Weekday, day, month, year, hour and minute all become others, wherever in the year one starts:
# it is more than a leap year, by more than a month and less than two, and no multiple of a week.
_OFFSET_S: Final = 401 * 86_400 + 5 * 3600 + 17 * 60
_PINNED_S: Final = int(datetime(2025, 1, 15, 12, tzinfo=UTC).timestamp())


def choose(situation: Situation) -> Choice:
    """More than a year ahead."""
    missing = no_preload(situation)
    if missing is not None:
        return missing
    knobs = Knobs(env=((CLOCK_OFFSET, str(_OFFSET_S)),), preload=True)
    return Variation("clock", "+401d", knobs, ("clock.date",))


def pin(situation: Situation) -> Choice:
    """Noon of the day on which the facts were read, for good."""
    missing = no_preload(situation)
    if missing is not None:
        return missing
    noon_s = _noon_s(str(situation.facts.get("clock.date") or ""))
    day = datetime.fromtimestamp(noon_s, UTC).date().isoformat()
    knobs = Knobs(env=((CLOCK_FIXED, str(noon_s)),), preload=True)
    return Variation("clock", day, knobs, (f"clock.date={day}",))


def _noon_s(date: str) -> int:
    """Noon of an ISO date, in seconds since the epoch; of a fixed day where there is none."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", date) is None:
        return _PINNED_S
    return int(datetime.fromisoformat(f"{date}T12:00:00+00:00").timestamp())


FAMILY: Final = Family(
    "clock",
    "what time it is",
    choose,
    hints=(
        r"\b(?:datetime|dt)\.(?:now|utcnow|today)\(",
        r"\bdate\.today\(",
        r"\b(?:Timestamp|DatetimeIndex)\.(?:now|utcnow|today)\(",
        r"\bto_datetime\(\s*[\"'](?:now|today)",
        r"\bdatetime64\(\s*[\"'](?:now|today)",
        # Not where it only measures how long something took.
        r"(?<!- )(?<!start = )(?<!started = )(?<!start_time = )(?<!begin = )(?<!t0 = )(?<!tic = )"
        r"\btime\.time(?:_ns)?\(\s*\)(?!\s*-)",
        r"\btime\.(?:localtime|gmtime|ctime|asctime)\(\s*\)",
        r"\btime\.strftime\(\s*[\"'][^\"']*[\"']\s*\)",
        r"\buuid1\(",
        r"\btf\.timestamp\(",
    ),
    weight=3.0,
    pin=pin,
)
