"""Cases: where they are, what their labels say, and why one is not well formed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mlcontainer.explain.cure_changes import TRIABLE
from pytest_mlcontainer.variations.cure_settings import KNOWN

CASES = Path(__file__).parent / "cases"
SETS = ("development", "measuring")
CLASSES = ("numeric", "process", "files", "supply", "intrinsic", "interaction", "control")
DRIFTING = ("drift", "nondeterministic")
CLEAN = ("identical", "equivalent")
KINDS = ("one", "pair", "platforms")
RANDOMNESS = "randomness"
# The canonical names of changes. Those of distributions are a case's own.
VARIATIONS = (
    "blas-kernel", "threads", "simd", "libm", "precision", "hash-seed", "timezone", "clock",
    "locale", "encoding", "file-order", "hostname", "user", "home", "umask", "cpus", "memory",
    "shm", "read-only", "network", "aslr", "workdir", "env",
)  # fmt: skip
OF_IMAGES = ("base-image", "project", "env")

_LABEL = "label.toml"
_LINES = ("origins", "amplifiers", "decisions")
_OPTIONAL = {"kind", "cures", "issue", *_LINES}
_KEYS = {"what", "set", "class", "verdict", "causes", *_OPTIONAL}
_DOCKERFILES = {
    "one": ("Dockerfile",),
    "pair": ("a.Dockerfile", "b.Dockerfile"),
    "platforms": ("Dockerfile",),
}

Sets = frozenset[frozenset[str]]


@dataclass(frozen=True)
class Case:
    """A project and its label.

    Args:
        name: of its folder.
        what: the fault in a sentence, or why there is none.
        set: `development` (used while the search was made) or `measuring` (kept for scores).
        kind: `one` image under variations, a `pair` of images of which the second may drift, or
            one Dockerfile for two `platforms`, of which the second may.
        verdicts: those that are right.
        causes: every smallest set of changes that is truly a cause; of a nondeterministic case,
            what has to be pinned, or `randomness`.
        entrypoint: the one that is run.
        origins: `file:line` of the statement at which the difference comes in; of several, any.
            Empty where that is not labelled.
        amplifiers: the same, of the statement that makes a small difference large.
        decisions: the same, of the statement that makes another choice of it.
        cures: every smallest set of settings, or of changes that can be tried from outside, that
            stops the drift by its first cause; empty where none does, None where not labelled.
        issue: of whom it is rebuilt, as `owner/repository#number`; "" where it is made up.
    """

    name: str
    folder: Path
    what: str
    set: str
    kind: str
    group: str
    verdicts: tuple[str, ...]
    causes: Sets
    entrypoint: str
    origins: tuple[str, ...] = ()
    cures: Sets | None = None
    issue: str = ""
    amplifiers: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()

    @property
    def drifts(self) -> bool:
        return self.verdicts[0] in DRIFTING

    @property
    def intrinsic(self) -> bool:
        return self.causes == frozenset({frozenset({RANDOMNESS})})


def load_cases(folder: Path = CASES) -> tuple[Case, ...]:
    """All cases, by name.

    Raises:
        ValueError: one is not well formed; the message says all that is wrong with it.
    """
    found = []
    for label in sorted(folder.glob(f"*/{_LABEL}")):
        problems = tuple(find_problems(label.parent))
        if problems:
            raise ValueError(f"{label.parent.name}: {'; '.join(problems)}")
        found.append(_case(label.parent))
    return tuple(found)


def select(cases: tuple[Case, ...], which: str, names: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """The cases of a set (`all` for both), or those that are named.

    Raises:
        ValueError: there is no case of one of these names.
    """
    unknown = set(names) - {case.name for case in cases}
    if unknown:
        raise ValueError(f"no case is called {', '.join(sorted(unknown))}")
    if names:
        return tuple(case for case in cases if case.name in names)
    return tuple(case for case in cases if which in ("all", case.set))


def find_problems(folder: Path) -> Iterator[str]:
    """What makes a folder no case, in a few words each."""
    label = read_toml(folder / _LABEL)
    if set(label) - _KEYS or _KEYS - _OPTIONAL - set(label):
        yield f"the label has the keys {sorted(label)}"
        return
    kind = label.get("kind", "one")
    if label["set"] not in SETS or label["class"] not in CLASSES or kind not in KINDS:
        yield "unknown set, class or kind"
        return
    yield from _label_problems(label, _known_names(folder, kind))
    places = [place for key in _LINES for place in label.get(key, ())]
    known = {*(each.name for each in KNOWN), *(each.change.name for each in TRIABLE)}
    yield from (f"cure {each}" for each in label.get("cures", ()) if not {*each} <= known)
    yield from (f"no line {each}" for each in places if not _is_code(folder, each))
    for name in (*_DOCKERFILES[kind], "pyproject.toml"):
        if not (folder / name).is_file():
            yield f"no {name}"
    entries = read_toml(folder / "pyproject.toml")["tool"]["mlcontainer"]["entrypoints"]
    if len(entries) != 1 or not all(entry.get("outputs") for entry in entries.values()):
        yield "it needs one entrypoint, with outputs"


def _label_problems(label: dict[str, Any], known: frozenset[str]) -> Iterator[str]:
    verdicts, causes = label["verdict"], label["causes"]
    drifts = set(verdicts) <= set(DRIFTING)
    if not verdicts or not (drifts or set(verdicts) <= set(CLEAN)):
        yield f"verdicts {verdicts}"
    if drifts != bool(causes):
        yield "what drifts has causes, and what does not has none"
    if drifts == (label["class"] == "control"):
        yield "controls do not drift, and all others do"
    if (label["class"] == "intrinsic") != (causes == [[RANDOMNESS]]):
        yield f"{RANDOMNESS} is the cause of intrinsic cases, and of these alone"
    if (label["class"] == "interaction") != any(len(names) > 1 for names in causes):
        yield "interactions are sets of two or more"
    for names in causes:
        if not names or names != sorted(set(names)) or set(names) - known:
            yield f"cause {names}"
    sets = [frozenset(names) for names in causes]
    if any(one < other for one in sets for other in sets) or len(set(sets)) < len(sets):
        yield "a cause that holds another is not smallest"


def _known_names(folder: Path, kind: str) -> frozenset[str]:
    """Names that causes of a case may have: of two images also those of what they install."""
    if kind == "platforms":
        return frozenset({*VARIATIONS, "platform", *_installed(folder, kind)})
    if kind == "one":
        return frozenset({*VARIATIONS, RANDOMNESS})
    return frozenset({*OF_IMAGES, *_installed(folder, kind)})


def _installed(folder: Path, kind: str) -> Iterator[str]:
    """Names of what Dockerfiles install by version."""
    for name in _DOCKERFILES[kind]:
        words = (folder / name).read_text(encoding="utf-8").replace('"', " ").split()
        yield from (word.partition("==")[0] for word in words if "==" in word)


def _is_code(folder: Path, place: str) -> bool:
    """Whether a line of a file holds code."""
    name, _, number = place.partition(":")
    file = folder / name if (folder / name).exists() else folder / "src" / name
    lines = file.read_text(encoding="utf-8").splitlines()
    return 0 < int(number) <= len(lines) and bool(lines[int(number) - 1].strip())


def _case(folder: Path) -> Case:
    label = read_toml(folder / _LABEL)
    (entrypoint,) = read_toml(folder / "pyproject.toml")["tool"]["mlcontainer"]["entrypoints"]
    return Case(
        name=folder.name,
        folder=folder,
        what=label["what"],
        set=label["set"],
        kind=label.get("kind", "one"),
        group=label["class"],
        verdicts=tuple(label["verdict"]),
        causes=frozenset(frozenset(names) for names in label["causes"]),
        entrypoint=entrypoint,
        origins=tuple(label.get("origins", ())),
        cures=frozenset(map(frozenset, label["cures"])) if "cures" in label else None,
        issue=label.get("issue", ""),
        amplifiers=tuple(label.get("amplifiers", ())),
        decisions=tuple(label.get("decisions", ())),
    )


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file as it is."""
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return found
