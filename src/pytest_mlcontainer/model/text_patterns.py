"""What differs in text from run to run and means nothing, as regular expressions by name.

Each runs in linear time, on any text: repeats are bounded, or what they repeat and what follows
have no character in common. Dates and times are matched as a whole, weekday and zone included,
because what is left over of them would differ on another day. A pattern that matched in May and not
in June would be worse than none, so months and weekdays are never told apart, and where programs
pad with a blank (` 1 Nov`, `28 Nov`), that blank belongs to the match.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Blanks that pad a number belong to it, but for one that would be there anyway.
_PAD: Final = r"(?:(?:(?<=[\[(,])|(?<= )(?<!  )|(?<![\s\S])) {1,200})?"
# A terminal's colour, ESC [ 1;32 m, ends with a letter that belongs to no word.
_COLOUR_BEFORE: Final = (
    r"(?<=m)(?:(?<=\x1b\[m)|(?<=\x1b\[[0-9]m)|(?<=\x1b\[[0-9]{2}m)|(?<=[0-9];[0-9]m)"
    r"|(?<=[0-9];[0-9]{2}m)|(?<=[0-9];[0-9]{3}m))"
)
_START: Final = rf"(?:(?<![0-9A-Za-z])|{_COLOUR_BEFORE})"
_NOT_INSIDE: Final = r"(?<![0-9])(?<![0-9][.,:])"
_WEEKDAY: Final = (
    r"(?:Mon(?:day)?|Tue(?:s(?:day)?)?|Wed(?:nesday)?|Thu(?:r(?:s(?:day)?)?)?|Fri(?:day)?"
    r"|Sat(?:urday)?|Sun(?:day)?)(?![A-Za-z])\.?"
)
_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
    r"|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(?![A-Za-z])\.?"
)
_YEAR: Final = r"(?:19|20)[0-9]{2}"
_MM: Final = r"(?:0[1-9]|1[0-2])"
_DD: Final = r"(?:0[1-9]|[12][0-9]|3[01])"
_DAY: Final = r"(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?"
_FRACTION: Final = r"(?:[.,][0-9]{1,9})?"
_HALF: Final = r"(?: ?(?:[AaPp][Mm](?![A-Za-z])|[AaPp]\.[Mm]\.))"
_ZONE_NAME: Final = (
    r"(?:UTC|GMT|WES?T|CES?T|EES?T|MSK|BST|IST|JST|KST|HKT|SGT|PKT|WIB|[ECMPAN][SD]T|AK[SD]T|HST"
    r"|A[CEW][SD]T|NZ[SD]T|SAST|EAT|WAT|CAT|BRS?T|ART|CLS?T|Z)(?![A-Za-z])"
)
_ZONE: Final = (
    rf"(?: ?\(?(?:{_ZONE_NAME}(?:[+-][0-9]{{1,2}}(?::?[0-9]{{2}})?)?|[+-][0-9]{{2}}:?[0-9]{{2}}"
    r"(?![0-9]))\)?(?: \([A-Z][A-Za-z ]{2,40}\))?)?(?: ?\[?[A-Z][A-Za-z]{2,15}/[A-Z][A-Za-z_]{1,25}"
    r"(?:/[A-Z][A-Za-z_]{1,25})?\]?)?"
)
_CLOCK: Final = rf"[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}}{_FRACTION}{_HALF}?{_ZONE}"
_HOURS: Final = rf"[0-9]{{1,2}}:[0-9]{{2}}{_HALF}{_ZONE}"
# After a date a time may be written in any way.
_TIME: Final = (
    rf"(?:{_CLOCK}|[0-9]{{1,2}}(?:[:.][0-9]{{2}})?{_HALF}{_ZONE}|[0-9]{{1,2}}:[0-9]{{2}}{_ZONE}"
    r"|[0-9]{1,2}(?:时|時|시) ?[0-9]{1,2}(?:分|분)(?: ?[0-9]{1,2}(?:秒|초))?"
    r"|[0-9]{2}[.h_-]?[0-9]{2}(?:[.m_-]?[0-9]{2}s?(?:[.,_-]?[0-9]{1,9})?)?(?![0-9])" + f"{_ZONE})"
)
_THEN: Final = rf"(?:(?:[T_:-]|,? {{1,2}}(?:at )?|, at | [-@|] |/){_PAD}{_TIME})?"
_DAY_AFTER: Final = rf"(?:,? \(?{_WEEKDAY}\)?)?"
_DAY_BEFORE: Final = rf"(?:{_WEEKDAY},? (?:the )?)?"
_NUMERIC: Final = (
    rf"[0-9]{{4}}[-/][0-9]{{2}}[-/][0-9]{{2}}|{_YEAR}[._]{_MM}[._]{_DD}"
    rf"|{_YEAR}-?W[0-5][0-9](?:-?[1-7])?"
    rf"|{_YEAR}-(?:[0-2][0-9]{{2}}|3[0-6][0-9])(?![0-9A-Za-z.-]*[0-9A-Za-z])"
    rf"|(?:0?[1-9]|[12][0-9]|3[01])(?:/(?:0?[1-9]|[12][0-9]|3[01])/|[.](?:0?[1-9]|1[0-2])[.]"
    rf"|-(?:0?[1-9]|[12][0-9]|3[01])-){_YEAR}|[0-3][0-9]/[0-3][0-9]/[0-9]{{2}}(?![0-9/])"
    # Of two digits each, in any order, where a time follows.
    r"|[0-9]{2}(?:/[0-9]{2}/|-[0-9]{2}-|[.][0-9]{2}[.])[0-9]{2}(?=,? [0-2]?[0-9]:[0-5][0-9])"
    rf"|{_YEAR}(?:年|년) ?[0-9]{{1,2}}(?:月|월) ?[0-9]{{1,2}}(?:日|일)"
)
_NAMED_MONTH: Final = (
    rf"{_PAD}{_DAY}(?: of )?[-/ .]{{0,2}}{_MONTH},?(?:[-/ ]?(?:{_YEAR}|'?[0-9]{{2}}(?![0-9:.])))?"
    rf"|{_MONTH}[ -]{{0,2}}{_DAY}(?!:)(?:,? {_YEAR}|[-/]{_YEAR})?|{_MONTH}[ -]{_YEAR}"
    rf"|{_YEAR}[ -]{_MONTH}[ -]{_DAY}"
)
_ASCTIME: Final = rf"{_MONTH} {{0,2}}{_DAY},? {{1,2}}{_CLOCK}(?: {_YEAR})?"
_COMPACT: Final = (
    rf"{_YEAR}{_MM}{_DD}(?:[T_-]?[0-9]{{6}}(?:[.,_-]?[0-9]{{1,9}})?|[T_-][0-9]{{4}})(?![0-9])"
    rf"{_ZONE}"
)
_SHORT: Final = rf"[0-9]{{2}}{_MM}{_DD}[_-](?:[01][0-9]|2[0-3])(?:[0-5][0-9]){{2}}(?![0-9])"
_DATED_NAME: Final = rf"(?<=[_-]){_YEAR}{_MM}{_DD}(?![0-9A-Za-z])"
_GLOG: Final = rf"(?<=[IWEF])(?:{_YEAR})?{_MM}{_DD} {{1,2}}{_CLOCK}"
_SINCE_1970: Final = r"1[4-9][0-9]{8}(?:\.[0-9]{1,9}|[0-9]{3}(?:\.[0-9]{1,9})?|[0-9]{6}|[0-9]{9})?"
_LABELLED: Final = (
    r"(?<![A-Za-z0-9])(?:timestamp|time_?stamp_?ms|unix_?time|epoch_?(?:time|ms|seconds|millis)"
    r"|ts|mtime|ctime)[\"']?(?: ?[:=] ?| )(?:[0-9]{9,19}(?:\.[0-9]{1,9})?"
    r"|[12]\.[0-9]{1,18}[eE]\+?(?:0?9|12|15|18))(?![0-9])"
)
_REPR: Final = (
    r"datetime\.(?:datetime|date)\([0-9, ]{6,40}"
    r"(?:tzinfo=[\w.]{1,60}(?:\([^()\n]{0,60}(?:\([^()\n]{0,60}\))?\))?)?\)"
)
_TIME_BEFORE: Final = rf"(?:[0-9]{{1,2}}:[0-9]{{2}}{_HALF}?{_ZONE},? (?:on )?)?"
_DATES: Final = (
    rf"{_START}{_TIME_BEFORE}{_DAY_BEFORE}{_PAD}(?:{_NUMERIC})(?![0-9]){_DAY_AFTER}{_THEN}{_DAY_AFTER}"
    rf"|{_START}{_TIME_BEFORE}{_DAY_BEFORE}(?:{_ASCTIME}|(?:{_NAMED_MONTH})(?![0-9A-Za-z]|\.[0-9]){_DAY_AFTER}"
    rf"{_THEN}){_DAY_AFTER}"
)
_TIMES: Final = (
    rf"{_START}{_REPR}|{_START}{_COMPACT}|{_START}{_SHORT}|{_DATED_NAME}|{_GLOG}"
    rf"|{_START}{_WEEKDAY},? (?:at )?{_PAD}(?:{_CLOCK}|[0-9]{{1,2}}:[0-9]{{2}}{_HALF}?{_ZONE})"
    rf"|{_PAD}{_NOT_INSIDE}(?:{_CLOCK}|{_HOURS}){_DAY_AFTER}(?![0-9])"
    rf"|(?<![A-Za-z])(?:[Dd]ate|[Dd]ay|[Tt]oday|[Ww]eekday|on)(?: is)?[:=]? {{0,20}}{_WEEKDAY}"
    rf"(?:,? (?:at )?{_TIME})?"
    rf"|{_LABELLED}|(?<![0-9.]){_SINCE_1970}(?![0-9])"
)

_NUMBER: Final = r"[0-9]{1,19}(?:,[0-9]{3})*(?:\.[0-9]{1,19})?(?:[eE][+-]?[0-9]{1,3})?"
_SECONDS: Final = (
    r"(?:[nuµμm]?s|[nuµμm]?sec|[Ss]ecs?|[Ss]econds?|(?:nano|micro|milli)s(?:ec(?:ond)?s?)?|millis)"
)
# "max 35 min 2" names two numbers; "5 min 3 s" is one duration.
_MINUTE: Final = (
    r"[Mm]in(?:ute)?s?(?!(?: ?[:=]| ) {0,5}[-+]?\.?[0-9]{1,19}(?:[.,][0-9]{1,19})?"
    r"(?![0-9]|[.,][0-9])"
    rf"(?! ?{_SECONDS}(?![A-Za-z])))"
)
# m and d alone are as often metres and dimensions: they count beside other units, or behind a name.
_UNIT: Final = rf"(?:{_SECONDS}|{_MINUTE}|[Hh]rs?|[Hh]ours?|h|[Dd]ays?)"
_ANY_UNIT: Final = rf"(?:{_UNIT}|m|d)"
_PER: Final = r"(?:/[A-Za-z]{1,20}| per [a-z]{1,20})?"
# What is done per second; metres, degrees and the like are results.
_DONE: Final = (
    r"(?:it|ex|im|B|[kKMGT]i?[Bb]|(?!(?:rad|deg|rev|mol|gal|lbs|mi|ft|metres?|meters?|miles|feet"
    r"|degrees|radians)/)[A-Za-z]{3,20})"
)
_SECOND: Final = r"(?:secs?|seconds?|s|ms|minute|min|hour|hr|h)(?![A-Za-z])"
_RATE: Final = (
    rf"(?:(?:{_DONE}/{_SECOND}|/s(?![A-Za-z]))(?! ?[:=])|[Ff][Pp][Ss]"
    r"|(?!(?:radians|degrees|metres|meters|miles|feet) )[A-Za-z]{1,20}"
    r" per (?:second|sec|minute|hour))"
)
_MINUTES: Final = r"(?:[0-9]{1,4}:)?[0-9]{1,2}:[0-9]{2}(?:\.[0-9]{1,9})?"
_TIMER: Final = rf"(?:{_NUMBER} days?,? )?[0-9]{{1,6}}:[0-9]{{2}}:[0-9]{{2}}(?:[.,][0-9]{{1,9}})?"
_SURE: Final = rf"(?:{_NUMBER}|\?) {{0,2}}{_UNIT}{_PER}"
_AMOUNT: Final = (
    rf"(?:(?:{_NUMBER}|\?)(?:[kKMGT]? {{0,2}}{_RATE})"
    rf"|{_SURE}|{_NUMBER} ?[dm](?:,? )?(?:{_NUMBER} ?m ?)?{_SURE}"
    rf"|(?<=[Tt]ook ){_NUMBER}[dm](?![A-Za-z0-9]))"
)
_MORE: Final = rf"(?:(?:,? (?:and )?)?(?:{_AMOUNT}|{_NUMBER} ?{_ANY_UNIT}(?![A-Za-z0-9/])))*"
_ISO_DURATION: Final = (
    r"P(?:[0-9]{1,9}D)?T(?=[0-9])(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?S)?"
    r"(?![A-Za-z0-9])"
)
_DURATION_LABEL: Final = (
    r"(?:[A-Za-z0-9_]{0,40}?(?:[Rr]untime|[Ee]lapsed|[Dd]uration|[Ll]atency|[Tt]hroughput"
    r"|(?:[Ss]amples|[Ss]teps|[Tt]okens|[Ii]terations|[Ee]xamples)_per_sec(?:ond)?)"
    r"(?:_?(?:time|s|ms|us|ns|sec|secs|seconds|millis))?|ETA|eta"
    r"|(?:[A-Za-z0-9]{1,20}_){0,3}[Tt]ime(?:_(?:s|ms|us|ns|sec|secs|seconds|millis))?"
    rf"|{_DONE}/{_SECOND}|[Ff][Pp][Ss])"
    r"(?: ?\([a-z:][a-z: ]{0,30}\))?[\"']?(?:[ \t]{0,40}[:=|][ \t]{0,20}|[ \t]{1,20})"
)
_ALONE: Final = rf"(?:(?<![A-Za-z0-9_.])|{_COLOUR_BEFORE})"
_DURATIONS: Final = (
    # Frames of a progress bar that later ones overwrote: how many there are depends on the time.
    r"(?<![^\r\n])(?:[^\r\n]{0,200}%\|[^\r\n]{0,200}\r)+"
    rf"|{_MINUTES}<(?:{_MINUTES}|\?)|(?<=\[){_MINUTES}(?=, )"
    rf"|{_ALONE}{_DURATION_LABEL}(?:{_TIMER}(?![A-Za-z0-9_])|{_MINUTES}(?![A-Za-z0-9_])"
    rf"|{_NUMBER}(?: ?(?:{_RATE}|{_ANY_UNIT}{_PER}(?![A-Za-z0-9_])){_MORE})?(?![A-Za-z0-9_]))"
    rf"|{_ALONE}(?:{_ISO_DURATION}|(?:datetime\.)?timedelta\([^()\n]{{0,80}}\)|{_TIMER}(?![0-9])"
    rf"|{_PAD}{_AMOUNT}{_MORE}(?![A-Za-z0-9_]| ?=))"
)

# How much memory a program had, beside a word that says so: a size alone may be a result.
_BYTES: Final = r"(?: ?(?:[kKMGT]i?(?:B|b|bytes)?|B|[Bb]ytes)(?![A-Za-z0-9]))"
_MEMORY_WORD: Final = r"(?:[Mm]em(?:ory)?|MEM(?:ORY)?|[Vv]?RAM|vram|[Rr]ss|RSS)"
_IN_USE: Final = r"(?:usage|used|use|in use|allocated|reserved|cached|peak|footprint|consumption)"
_SIZE: Final = rf"{_NUMBER}{_BYTES}(?: ?/ ?{_NUMBER}{_BYTES})?"
_MEMORIES: Final = (
    rf"(?<![A-Za-z])(?:[A-Za-z0-9]{{1,20}}[ _-]){{0,3}}{_MEMORY_WORD}(?:[ _-]{_IN_USE}){{0,2}}"
    rf"[\"']?(?: {{0,20}}[:=|] {{0,20}}| is | of | {{1,20}}){_SIZE}"
    rf"|(?<![A-Za-z0-9.]){_SIZE}(?= (?:of )?(?:[A-Za-z]{{1,10}} )?{_MEMORY_WORD}(?![A-Za-z0-9]))"
)

# Only what is called an id: a bare word of letters and digits may be anything.
_ID_LABEL: Final = (
    r"(?:[Rr]un|[Ss]ession|[Tt]race|[Ss]pan|[Jj]ob|[Rr]equest|[Ee]xperiment|[Pp]rocess|[Tt]hread"
    r"|[Ii]nvocation|RUN|SESSION|JOB|REQUEST)[ _-]?(?:id|ID|Id|uid|UID)"
)
_IS: Final = r"[\"']?(?: ?[:=#] ?| (?:is )?)[\"']?"
_LEVEL: Final = r"(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
_IDS: Final = (
    rf"(?<![A-Za-z0-9]){_ID_LABEL}{_IS}(?=[A-Za-z_-]{{0,63}}[0-9])[0-9A-Za-z][0-9A-Za-z_-]{{0,63}}"
    rf"|(?<![A-Za-z0-9])(?:p?pid|P?PID|tid|TID){_IS}[0-9]{{1,19}}(?![0-9A-Za-z]|\.[0-9])"
    r"|(?<![A-Za-z])[Pp]rocess \[[0-9]{1,10}\]"
    # The process as formats of logging have it, gunicorn's among them: before the level.
    rf"|(?<![0-9A-Za-z])\[[0-9]{{1,10}}\](?=:? ?\[?{_LEVEL}(?![A-Za-z]))"
    rf"|(?<=[-|] )[0-9]{{1,10}}(?= [-|] {_LEVEL} ?[-|:])"
    # The thread in lines of glog and absl.
    rf"|{_PAD}(?<![0-9A-Za-z.])[0-9]{{1,19}}(?= [\w./-]{{1,80}}\.(?:py|cc|cpp|go|h):[0-9]{{1,6}}\])"
    # ULIDs of the years 2004 to 2039.
    r"|(?<![0-9A-Za-z])01(?=[0-9]{0,23}[A-Za-z])(?:[0-9A-HJKMNP-TV-Z]{24}|[0-9a-hjkmnp-tv-z]{24})"
    r"(?![0-9A-Za-z])"
    # What Python's tempfile calls what it makes.
    r"|(?<![0-9A-Za-z])tmp(?=[a-z]{0,7}[0-9_])[a-z0-9_]{8}(?![0-9A-Za-z_])"
)

NAMED_PATTERNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time": f"(?:{_DATES}|{_TIMES})",
        "uuid": (
            r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
        ),
        # With a letter, and not after a point: 0.123456789012 is a number.
        "hex": r"(?<![0-9A-Za-z.])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{12,}(?![0-9A-Za-z])",
        "path": (
            r"(?:file:(?://)?|(?<![\w.:/~<>*-]))/[^\s'\"`<>|:;,()\[\]{}/][^\s'\"`<>|:;,()\[\]{}]*"
            r"|(?<![0-9A-Za-z])[A-Za-z]:\\[^\s'\"`<>|:;,()\[\]{}]+"
        ),
        "address": r"(?<![0-9A-Za-z])0x[0-9a-fA-F]+(?![0-9A-Za-z])",
        "duration": f"(?:{_DURATIONS})",
        "memory": f"(?:{_MEMORIES})",
        "id": f"(?:{_IDS})",
    }
)
