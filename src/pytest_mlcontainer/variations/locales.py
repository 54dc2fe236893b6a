"""`locale` and `encoding`: how text is sorted and written, and how it becomes bytes.

Both turn `LC_ALL`, which overrules all other variables of the locale (POSIX.1-2017, section 8.2),
so that neither shows behind the other.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import has_fact, kept, no_python, unpinned, where

_VARIABLE: Final = "LC_ALL"
# Those that write a decimal comma, and sort otherwise than bytes.
_COMMA: Final = ("de_DE", "fr_FR", "sv_SE", "tr_TR")
_POINT: Final = ("en_US",)
# Python takes the C locale for UTF-8 unless both are off (PEP 538, PEP 540).
_POSIX: Final = ((_VARIABLE, "POSIX"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0"))
_UTF8: Final = ((_VARIABLE, "C.UTF-8"), ("PYTHONUTF8", "1"))


def choose_locale(situation: Situation) -> Choice:
    """One with another decimal sign, or at least another order, than there is now."""
    pinned = _kept_locale(situation)
    if pinned is not None:
        return pinned
    if not has_fact(situation, "locale.available"):
        return NotExercised(f"no other locale {where(situation)} (locale -a)")
    available = str(situation.facts.get("locale.available")).split()
    comma = str(situation.facts.get("locale.decimal") or ".") == ","
    for language in (*_POINT, *_COMMA) if comma else (*_COMMA, *_POINT):
        name = next((each for each in available if each.startswith(f"{language}.")), None)
        if name is not None and not _is_present(situation, language):
            witness = ("locale.decimal", "locale.collation")
            return Variation("locale", name, Knobs(env=((_VARIABLE, name),)), witness)
    return NotExercised(f"no other locale {where(situation)} (locale -a)")


def choose_encoding(situation: Situation) -> Choice:
    """ASCII; UTF-8 where the default is something else."""
    refusal = no_python(situation) or _kept_encoding(situation)
    if refusal is not None:
        return refusal
    present = str(situation.facts.get("locale.encoding") or "utf-8").lower().replace("-", "")
    name, wanted = ("POSIX", _POSIX) if present in ("utf8", "") else ("UTF-8", _UTF8)
    return unpinned(situation, Variation("encoding", name, Knobs(env=wanted), ("locale.encoding",)))


def _kept_locale(situation: Situation) -> NotExercised | None:
    """What the project says of it. An image's LANG, which is there for the encoding, says nothing
    of how numbers are written."""
    if _VARIABLE in situation.pinned:
        return kept(situation, [_VARIABLE])
    return kept(situation, ["LANG"]) if "LANG" in dict(situation.entry.env) else None


def _kept_encoding(situation: Situation) -> NotExercised | None:
    """What the project or its image says of it; an empty variable says nothing."""
    pinned = situation.pinned
    names = ("PYTHONUTF8", _VARIABLE, "LANG")
    return next((kept(situation, [name]) for name in names if pinned.get(name)), None)


def _is_present(situation: Situation, language: str) -> bool:
    """Whether the variables that there are anyway ask for it."""
    for name in (_VARIABLE, "LC_NUMERIC", "LANG"):
        value = situation.facts.get(f"env.{name}") or situation.present.get(name)
        if value:
            return str(value).startswith(language)
    return False


LOCALE: Final = Family(
    "locale",
    "how text is sorted and numbers are written",
    choose_locale,
    hints=(
        r"\bsetlocale\(",
        r"\bstr(?:coll|xfrm)\b",
        r"\blocale\.(?:atof|atoi|format_string|currency|str|localeconv|getlocale)\b",
        r"\bLC_(?:ALL|COLLATE|NUMERIC|CTYPE|TIME)\b",
        r"[\"']LANG[\"']",
        r"\b(?:run|Popen|check_output|check_call|call|system)\([^\n]*"
        r"\b(?:sort|ls|join|comm|awk|uniq|printf)\b",
        r"\bnatsort|\bhumansorted\b|\bpyicu\b|\bicu\.",
    ),
    weight=2.0,
)
ENCODING: Final = Family(
    "encoding",
    "the default encoding of text",
    choose_encoding,
    hints=(
        # What is written is mostly numbers; what is read may be anything.
        r"(?<![.\w])open\((?![^\n]*(?:encoding|,\s*(?:mode\s*=\s*)?[\"'][rt+]*[wabx]))",
        r"\.open\(\s*(?:[\"']rt?[\"'])?\s*\)",
        r"\.read_text\(\s*\)",
        r"\bensure_ascii\s*=\s*False|[^\x00-\x7f]",
        r"\bcodecs\.open\(|\bio\.TextIOWrapper\((?![^\n]*encoding)",
        r"\bget(?:preferred|filesystem|default|)encoding\(",
        r"\b(?:text|universal_newlines)\s*=\s*True",
        r"\bPYTHON(?:UTF8|IOENCODING|COERCECLOCALE)\b",
        r"\bsurrogateescape\b|\bUnicode(?:De|En)?codeError\b",
    ),
    weight=1.0,
)
