"""`timezone`: what the local time is called.

`TZ` names a file of the time zone database, or says the offset itself, with the sign of POSIX:
`<+14>-14` is fourteen hours east (POSIX.1-2017, section 8.3). Without the database a name silently
means UTC.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import number, unpinned

_HOUR_S: Final = 3600
# What is as far east as this is nearer to the far east than to the far west.
_EAST_S: Final = 6 * _HOUR_S


def choose(situation: Situation) -> Choice:
    """The far east, or the far west where the east is near: the date differs most of the day."""
    present = number(situation, "timezone.offset_s") or 0
    zone, offset, hours = ("Pacific/Kiritimati", "<+14>-14", 14)
    if present > _EAST_S:
        zone, offset, hours = ("Pacific/Pago_Pago", "<-11>11", -11)
    name = zone if situation.facts.get("timezone.data") is True else offset
    witness = (f"timezone.offset_s={hours * _HOUR_S}",)
    return unpinned(situation, Variation("timezone", name, Knobs(env=(("TZ", name),)), witness))


FAMILY: Final = Family(
    "timezone",
    "the local time zone",
    choose,
    hints=(
        r"\bfromtimestamp\((?![^)\n]*(?:utc|UTC|tz\s*=))",
        r"\butcfromtimestamp\(",
        r"\btime\.(?:localtime|mktime|timezone|altzone|tzname|tzset|ctime|asctime|strftime)\b",
        r"\b(?:datetime|dt)\.(?:now|today)\(\s*\)",
        r"\bdate\.today\(",
        r"\bTimestamp\.(?:now|today)\(\s*\)",
        r"\.astimezone\(\s*\)",
        r"\btz(?:local|lookup)\b|\bget_localzone\b|[\"']dateutil/",
        r"\.timestamp\(\s*\)",
        r"[\"']TZ[\"']",
        r"\bgetmtime\(|\bst_mtime\b",
    ),
    weight=2.5,
    # Both are in how a date is written.
    kin=("locale",),
)
