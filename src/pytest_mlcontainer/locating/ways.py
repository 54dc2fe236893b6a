"""How a difference enters a program, told by what a statement calls, and what usually stops it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Entrance:
    """A way in.

    Args:
        what: in a few words.
        mend: what usually stops it.
        factors: names of variations that let a difference in there.
    """

    what: str
    mend: str = ""
    factors: frozenset[str] = frozenset()


SEED: Final = Entrance("a generator of random numbers, by its seed", "seed it with a constant")
RANDOM: Final = Entrance(
    "random numbers",
    "seed the generator: random_state=0, default_rng(0)",
)
_GENERATOR: Final = re.compile(r"\((\w+\.)?random\)")
FOLDER: Final = Entrance(
    "the folder that it works in",
    "keep absolute paths out of results",
    factors=frozenset({"workdir"}),
)
FETCHED: Final = Entrance(
    "something that is fetched",
    "put it into the image, by its digest",
    factors=frozenset({"network"}),
)
ORDER: Final = Entrance("the same elements in another order", "sort them, or use a list")
FINISHED: Final = Entrance(
    "which of several tasks ends first",
    "take results in the order in which they were asked for: map(…), or by the task's number",
)
_VARIABLE: Final = Entrance(
    "an environment variable",
    "set it in the image or in `env` of [tool.mlcontainer]",
    factors=frozenset({"env", "home"}),
)
_WAYS: Final[tuple[tuple[str, Entrance], ...]] = (
    (
        r"(^|\.)(listdir|scandir|iterdir|glob|iglob|rglob|walk|fwalk)$",
        Entrance(
            "the order of a folder's listing",
            "sort the listing: sorted(…)",
            factors=frozenset({"file-order"}),
        ),
    ),
    (
        r"(^|\.)(monotonic|perf_counter|process_time|thread_time)(_ns)?$",
        Entrance(
            "how fast it runs",
            "end after a number of steps, not of seconds, and keep durations out of outputs",
        ),
    ),
    (
        r"(^|\.)(time|time_ns|now|utcnow|today|localtime|gmtime|ctime|strftime|asctime)$"
        r"|\bTimestamp\.now$",
        Entrance(
            "the clock or the time zone",
            "pass the moment in, in UTC, and keep it out of outputs",
            factors=frozenset({"clock", "timezone"}),
        ),
    ),
    (
        r"(^|\.)(astimezone|fromtimestamp|mktime|tzset|timestamp)$",
        Entrance("the time zone", 'name the zone: tz="UTC"', factors=frozenset({"timezone"})),
    ),
    (
        r"(^|\.)(gethostname|getfqdn|node|uname)$",
        Entrance(
            "the machine's name",
            "pass what depends on it as a setting",
            factors=frozenset({"hostname"}),
        ),
    ),
    (
        r"(^|\.)(cpu_count|process_cpu_count|sched_getaffinity|effective_n_jobs)$",
        Entrance(
            "the number of processors",
            "set the number of workers and chunks explicitly",
            factors=frozenset({"cpus"}),
        ),
    ),
    (
        r"(^|\.)(getenv|environ\.get|environb?\.setdefault|expandvars|expanduser|home)$",
        _VARIABLE,
    ),
    (
        r"(^|\.)(getuser|getuid|geteuid|getlogin)$",
        Entrance(
            "the user that it runs as",
            "do not derive results from the user",
            factors=frozenset({"user"}),
        ),
    ),
    (
        r"(^|\.)(getlocale|setlocale|localeconv|strcoll|strxfrm|getpreferredencoding)$"
        r"|(^|\.)locale\.(format_string|currency|str|atof|atoi|delocalize|localize)$",
        Entrance(
            "the locale",
            "set LC_ALL in the image, or format and sort without a locale",
            factors=frozenset({"locale", "encoding"}),
        ),
    ),
    (
        r"(^|\.)(uuid1|uuid4|token_hex|token_bytes|urandom|getpid|mkdtemp|mkstemp)$",
        Entrance(
            "an identifier that is made anew in each run",
            "keep it out of outputs, or name it yourself",
        ),
    ),
    (
        r"(^|\.)(seed|default_rng|Random|RandomState|SystemRandom|manual_seed|PRNGKey|random\.key|set_seed"
        r"|set_random_seed|seed_everything)$",
        SEED,
    ),
    (
        r"(^|\.)(random|rand|randn|randint|randrange|uniform|normal|standard_normal|gauss|choice"
        r"|choices|sample|shuffle|permutation|permuted|integers|bernoulli|multinomial|randperm"
        r"|train_test_split)$",
        RANDOM,
    ),
    (
        r"(^|\.)(set|frozenset|hash)$",
        Entrance(
            "the order of a set, or a hash of text",
            "sort it; PYTHONHASHSEED=0 pins the order of texts",
            factors=frozenset({"hash-seed"}),
        ),
    ),
    (r"(^|\.)(resolve|abspath|realpath|getcwd|cwd|absolute)$", FOLDER),
    (
        r"(^|\.)(gethostbyname|getaddrinfo|create_connection|if_nameindex|net_if_addrs)$",
        Entrance(
            "the network",
            "ask for it explicitly, and fail where it is not there",
            factors=frozenset({"network"}),
        ),
    ),
    (
        r"(^|\.)(disk_usage|statvfs|sysconf|virtual_memory|getrlimit)$",
        Entrance(
            "how much room there is, on disk or in memory",
            "set the size explicitly",
            factors=frozenset({"memory", "shm", "nofile"}),
        ),
    ),
    (
        r"(^|\.)(stat|lstat|getmtime|getctime|filemode|umask)$",
        Entrance(
            "what the file system says of a file",
            "keep modes and times out of results",
            factors=frozenset({"umask", "user"}),
        ),
    ),
    (r"(^|\.)(as_completed|imap_unordered|map_unordered)$", FINISHED),
    (
        r"(^|\.)(id)$",
        Entrance("an address in memory", "do not sort or key by id()", factors=frozenset({"aslr"})),
    ),
    (
        r"(^|\.)(requests|httpx|session|client)\.(get|post|request)$"
        r"|(^|\.)(urlopen|urlretrieve|download|from_pretrained|snapshot_download"
        r"|load_dataset|fetch_\w+)$",
        FETCHED,
    ),
)
_COMPILED: Final = tuple((re.compile(pattern), way) for pattern, way in _WAYS)
_ANEW: Final = re.compile(
    r"(^|\.)((time|monotonic|perf_counter|process_time|thread_time)(_ns)?|now|utcnow|id|uuid1|uuid4"
    r"|token_hex|token_bytes|urandom|getpid|mkdtemp|mkstemp)$"
)
_ENCODING: Final = Entrance(
    "the default encoding", 'name it where text is read or written: open(…, encoding="utf-8")'
)
# A program can only ask for these: where one of them alone is varied, what differs first is that.
_ONLY_ASKED: Final = frozenset({"clock", "hostname", "memory", "timezone", "workdir"})
FILE: Final = Entrance(
    "what is read from a file, which the project's own code was not seen to write",
    "look at what writes the file: an earlier step, another program, the image; where it is the "
    'same on both sides, name its encoding: encoding="utf-8"',
)
_READS: Final = re.compile(
    r"(^|\.)(open|fromfile|genfromtxt|imread|load|loadtxt|memmap|read|read_\w+|readlines?|reader"
    r"|scan_\w+)$"
)
# Beside one that reads they compute nothing that could differ by itself.
_PLAIN: Final = re.compile(
    r"(^|\.)(Path|close|decode|dict|enumerate|float|int|join|joinpath|len|list|loads|map|next|split"
    r"|splitlines|str|l?r?strip|tuple|zip|DictReader)$"
)
_ENVIRONMENT: Final = re.compile(r"(?<!import )\benvironb?\b(?!\.(?!items|keys|values|copy))")
# What a text says is not done; but what stands in an f-string is.
_LITERAL: Final = re.compile(r"""(?<![fF])("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_SET: Final = re.compile(r"\{[^{}:]*\}|\bset\(")


def way_in(calls: tuple[str, ...], text: str, *, reordered: bool) -> Entrance | None:
    """How a difference enters at a statement.

    Args:
        calls: dotted names of what it calls, as written.
        text: the statement.
        reordered: both sides hold the same there, in another order.
    """
    return next(_ways_in(calls, text), ORDER if reordered else None)


def way_by(calls: tuple[str, ...], text: str, factors: frozenset[str]) -> Entrance | None:
    """How a difference that these variations make enters at a statement, which may ask for
    several things: for the folder that it works in, and for what is listed there."""
    return next((way for way in _ways_in(calls, text) if way.factors & factors), None)


def way_alone(factors: frozenset[str]) -> Entrance | None:
    """How a difference enters that this variation alone makes, whatever the statement calls; None
    where it may as well change how something is computed."""
    if factors == {"encoding"}:
        return _ENCODING
    if len(factors) != 1 or not factors <= _ONLY_ASKED:
        return None
    fitting = [way for _pattern, way in _COMPILED if way.factors & factors]
    return min(fitting, key=lambda way: len(way.factors), default=None)


def _ways_in(calls: tuple[str, ...], text: str) -> Iterator[Entrance]:
    for pattern, way in _COMPILED:
        if any(pattern.search(each) for each in calls):
            yield way
    if _ENVIRONMENT.search(_LITERAL.sub('""', text)):
        yield _VARIABLE


def is_everywhere(way: Entrance) -> bool:
    """Whether nearly all programs ask for it, or for what is only called so (`dict.get`)."""
    return way in (FOLDER, FETCHED)


def reads_alone(calls: tuple[str, ...]) -> bool:
    """Whether a statement reads a file, and computes nothing beside that could differ by itself."""
    return any(map(_READS.search, calls)) and all(
        _READS.search(each) or _PLAIN.search(each) for each in calls
    )


def is_generator(name: str) -> bool:
    """Whether a name is not one of the program's, but that of a generator of its process."""
    return _GENERATOR.fullmatch(name) is not None


def is_made_anew(calls: tuple[str, ...]) -> bool:
    """Whether a statement asks for what is another in each run, whatever is varied."""
    return any(_ANEW.search(each) for each in calls)


def may_draw(calls: tuple[str, ...], text: str) -> bool:
    """Whether a statement may draw random numbers: nothing else is known of how it differs."""
    return way_in(calls, text, reordered=False) in (None, RANDOM, SEED)
