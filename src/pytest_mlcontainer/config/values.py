"""Single values: raw text or TOML value → a checked value.

Every parser raises MlContainerError whose `what` reads well after a key ("timeout: not a
duration"); whoever knows the key puts it in front.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar

from pytest_mlcontainer.config.words import show, suggest
from pytest_mlcontainer.errors import MlContainerError

Choice = TypeVar("Choice", bound=Enum)

_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_SIZE_POWERS: Final[Mapping[str, int]] = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_LARGEST_SIZE: Final = 2**63 - 1
_LEAST_MEMORY: Final = 6 * 2**20  # Docker Engine refuses less
_LEAST_SHM: Final = 4096  # one page
_LEAST_LOG: Final = 4096
_MOST_PROCESSES: Final = 2**22  # what Linux can number
_MOST_FILES: Final = 10**9
_MEANT_AS_GIGABYTES: Final = 64

_NUMBER: Final = r"([0-9]{1,12}(?:\.[0-9]{1,12})?)"
_DURATION: Final = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_LONGEST_DURATION_S: Final = 30 * 24 * 3600
MOST_REPEATS: Final = 50  # each is held against each other
MOST_RUNS: Final = 1000


def parse_size(value: object) -> int:
    """Bytes: a number, or text as docker takes it, in powers of 1024 (`512m`, `4g`, `1.5GiB`)."""
    size = -1
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        number, unit = found.groups()
        factor: int = 1024 ** _SIZE_POWERS[unit.lower()]
        size = int(float(number) * factor) if "." in number else int(number) * factor
    if not 0 < size <= _LARGEST_SIZE:
        raise MlContainerError(
            "not a size", show(value), 'write a number with its unit: "512m", "4g"'
        )
    return size


def parse_kept(value: object) -> int:
    """A size, or 0 for nothing at all."""
    return 0 if value in (0, "0") and value is not False else parse_size(value)


def parse_memory(value: object) -> int:
    """A size that Docker accepts as a memory limit."""
    return _at_least(_LEAST_MEMORY, "6m", value)


def parse_shm_size(value: object) -> int:
    """A size that can hold anything at all as /dev/shm."""
    return _at_least(_LEAST_SHM, "4k", value)


def parse_log_limit(value: object) -> int:
    """A size that leaves room for an error message."""
    return _at_least(_LEAST_LOG, "4k", value)


def _at_least(least: int, shown: str, value: object) -> int:
    size = parse_size(value)
    if size < least:
        meant = f"{value}g" if size <= _MEANT_AS_GIGABYTES else f"{value}m"
        hint = f'; a number alone is in bytes, did you mean "{meant}"?'
        raise MlContainerError(
            f"too small, the least is {shown}",
            show(value),
            'write a number with its unit: "512m", "4g"' + (hint if isinstance(value, int) else ""),
        )
    return size


def parse_duration(value: object) -> float:
    """Seconds: a number, or text such as `90s`, `10m`, `2h`, `1h30m`."""
    seconds = 0.0
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        hours, minutes, rest = (float(part or 0) for part in found.groups())
        seconds = 3600 * hours + 60 * minutes + rest
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    if not 0 < seconds <= _LONGEST_DURATION_S:
        raise MlContainerError(
            "not a duration",
            show(value),
            'write seconds (600) or text with units ("90s", "10m", "2h"); '
            "it has to be more than 0 and at most 30 days",
        )
    return float(seconds)


def parse_text(value: object) -> str:
    """Any string without NUL, which no path, argument or variable can hold."""
    if not isinstance(value, str):
        scalar = isinstance(value, (bool, int, float))
        remedy = f'put it in quotes: "{show(value)}"' if scalar else 'write "…"'
        raise MlContainerError("has to be a string", show(value), remedy)
    if "\0" in value:
        raise MlContainerError("holds the character NUL", show(value), r"remove the \u0000")
    return value


def parse_filled_text(value: object) -> str:
    """A string that is not blank."""
    text = parse_text(value)
    if not text.strip():
        raise MlContainerError("is empty", show(text), "give a value or remove the key")
    return text


def parse_word(value: object) -> str:
    """A name that can stand alone as an argument: no white space, no leading dash."""
    text = parse_filled_text(value)
    if re.search(r"\s", text) or text.startswith("-"):
        raise MlContainerError(
            "not a name", show(text), "write it without white space and without a leading dash"
        )
    return text


def parse_user(value: object) -> str:
    """A user as after `docker run --user`: `1000`, `1000:1000`, `app`, `app:users`."""
    text = parse_word(value)
    if not re.fullmatch(r"[^:]+(:[^:]+)?", text):
        raise MlContainerError("not a user", show(text), 'write "user" or "user:group"')
    return text


def parse_variable_name(value: object) -> str:
    """A name of an environment variable or build argument; what Kubernetes accepts as one."""
    text = parse_text(value)
    if not re.fullmatch(r"[-._A-Za-z][-._A-Za-z0-9]*", text):
        raise MlContainerError(
            "not a variable's name",
            show(text),
            "use letters, digits, _, - and . and begin with a letter or _",
        )
    return text


def parse_arguments(value: object) -> tuple[str, ...]:
    """A command as a list of arguments; it is not given to a shell."""
    if isinstance(value, str):
        raise MlContainerError(
            "has to be a list of strings", show(value), f"write {_as_arguments(value)}"
        )
    if not isinstance(value, list):
        raise MlContainerError("has to be a list of strings", show(value), 'write ["python", "…"]')
    for index, item in enumerate(value):
        try:
            parse_filled_text(item) if index == 0 else parse_text(item)
        except MlContainerError as error:
            where = f"argument {index + 1} {error.what}"
            raise MlContainerError(where, error.value, error.remedy) from error
    return tuple(value)


def _as_arguments(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words or re.search(r"[&|;<>$`*\n]", text):
        words = ["sh", "-c", text]
    return show(words)


def parse_cpus(value: object) -> float:
    """A number of CPUs, fractions too."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= 1_000_000:  # type: ignore[operator]
        raise MlContainerError(
            "not a number of CPUs", show(value), "write a number above 0: 2, 0.5"
        )
    return float(value)  # type: ignore[arg-type]


def parse_port(value: object) -> int:
    """A TCP port."""
    return _whole_number(value, 1, 65535, "not a port")


def parse_exit_code(value: object) -> int:
    """A process's exit code."""
    return _whole_number(value, 0, 255, "not an exit code")


def parse_processes(value: object) -> int:
    """How many processes and threads there may be at one time."""
    return _whole_number(value, 1, _MOST_PROCESSES, "not a number of processes")


def parse_file_count(value: object) -> int:
    """How many files there may be."""
    return _whole_number(value, 1, _MOST_FILES, "not a number of files")


def parse_ulp(value: object) -> int:
    """A distance in units in the last place."""
    return _whole_number(value, 0, 2**63 - 1, "not a number of ULP")


def parse_repeat(value: object) -> int:
    """How often each target runs."""
    return _whole_number(value, 1, MOST_REPEATS, "not a number of runs")


def parse_budget(value: object) -> int:
    """The most runs that a search may make."""
    return _whole_number(value, 1, MOST_RUNS, "not a number of runs")


def parse_variation(value: object) -> str:
    """The name of a family of variations. Which there are is known once plugins are loaded."""
    name = parse_word(value)
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise MlContainerError(
            "not the name of a variation", show(name), 'write one such as "threads" or "hash-seed"'
        )
    return name


def parse_seed(value: object) -> str:
    """The value of a variable, as text; whole numbers are written as such."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return parse_filled_text(value)


def _whole_number(value: object, least: int, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MlContainerError(what, show(value), f"write a whole number from {least} to {most}")
    return value


def parse_bound(value: object) -> float:
    """A tolerance: a finite number that is not negative."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= sys.float_info.max:  # type: ignore[operator]
        raise MlContainerError(
            "not a tolerance", show(value), "write a finite number from 0: 1e-5, 0.005"
        )
    return float(value)  # type: ignore[arg-type]


def parse_width(value: object) -> float:
    """A bound that leaves some room."""
    width = parse_bound(value)
    if not width:
        raise MlContainerError("has to be more than 0", show(value), "write how far it may be off")
    return width


def parse_share(value: object) -> float:
    """A share of elements, as a fraction."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:  # type: ignore[operator]
        percent = number and 1 < value <= 100  # type: ignore[operator]
        hint = f"; did you mean {value / 100:g}?" if percent else ""  # type: ignore[operator]
        remedy = f"write a fraction above 0 and at most 1: 0.99{hint}"
        raise MlContainerError("not a share", show(value), remedy)
    return float(value)  # type: ignore[arg-type]


def parse_axis(value: object) -> int:
    """An axis of an array along which vectors lie."""
    if isinstance(value, bool) or value not in (0, 1):
        remedy = "write 0 where rows are the vectors, 1 where columns are"
        raise MlContainerError("not an axis", show(value), remedy)
    return 1 if value == 1 else 0


def parse_calibrated(value: object) -> bool:
    """The word "calibrated"."""
    if value != "calibrated":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        hint = f"; a bound is written rtol = {show(value)}" if number else ""
        remedy = f'write tolerance = "calibrated", or remove it{hint}'
        raise MlContainerError("not a way to find the tolerance", show(value), remedy)
    return True


def parse_any(value: object) -> bool:
    """The word "any"."""
    if value != "any":
        raise MlContainerError(
            "not a choice", show(value), 'write "any" where it does not count, or remove it'
        )
    return True


def parse_switch(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise MlContainerError("has to be true or false", show(value), "write true or false")
    return value


def parse_health(value: object) -> str:
    """The path that a server answers when it is ready."""
    text = parse_text(value)
    if not text.startswith("/") or re.search(r"\s", text):
        raise MlContainerError(
            "not a path of a URL", show(text), 'begin it with a slash: "/health"'
        )
    return text


def parse_choice(value: object, choices: type[Choice]) -> Choice:
    """One of a few words: the values of an enum."""
    text = parse_text(value)
    known = {str(choice.value): choice for choice in choices}
    if text not in known:
        raise MlContainerError("not a choice", show(text), suggest(text, known))
    return known[text]
