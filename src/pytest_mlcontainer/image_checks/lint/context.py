"""What the build context puts into an image that nobody meant to put there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from pytest_mlcontainer import globs
from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

LARGE_BYTES: Final = 10 << 20
MOST_FILES: Final = 100_000
_IGNORE: Final = "https://docs.docker.com/build/concepts/context/#dockerignore-files"
_SECRETS: Final = "https://docs.docker.com/build/building/secrets/"
_SHOWN: Final = 5
# Folders of data, and kinds of files that hold weights.
_DATA: Final = frozenset(("data", "datasets", "dataset", "raw_data", "training_data"))
_WEIGHTS: Final = (
    ".ckpt", ".pt", ".pth", ".safetensors", ".onnx", ".gguf", ".h5", ".hdf5", ".keras", ".joblib",
    ".pkl", ".pickle", ".bin", ".tflite", ".pb", ".mlmodel", ".npz", ".npy", ".model",
)  # fmt: skip
# A folder without any such file holds no sources, and is one thing however many files it has.
_SOURCES: Final = (
    ".py", ".pyx", ".sh", ".r", ".jl", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs", ".go",
    ".java", ".js", ".ts", ".tsx", ".css", ".html", ".toml", ".cfg", ".lock",
)  # fmt: skip
# Files that make a folder an environment, whatever it is called.
_MARKS: Final = ("pyvenv.cfg", "conda-meta/history")
# Names of folders that are made by programs and belong in no image → what they are.
_LEFTOVERS: Final = {
    ".git": "the history", ".hg": "the history", ".svn": "the history",
    ".venv": "a virtual environment", "venv": "a virtual environment",
    "__pycache__": "caches", ".mypy_cache": "caches", ".ruff_cache": "caches",
    ".pytest_cache": "caches", ".tox": "caches", ".nox": "caches", "node_modules": "caches",
    ".ipynb_checkpoints": "caches", ".hypothesis": "caches", ".cache": "caches",
    "mlruns": "records of runs", "wandb": "records of runs", "lightning_logs": "records of runs",
    "tb_logs": "records of runs", "multirun": "records of runs",
}  # fmt: skip
_LEAST_LEFTOVER: Final = 1 << 20  # below that only history and environments are worth a line
_KEY_FILES: Final = re.compile(
    r"(^|/)(\.env(\.\w+)?|\.netrc|\.(huggingface|cache/huggingface)/token|\.pypirc|kaggle\.json"
    r"|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)|\.aws/credentials|\.docker/config\.json"
    r"|[^/]*service[-_]account[^/]*\.json|credentials\.json|secrets?\.(json|ya?ml|toml))$",
    re.IGNORECASE,
)
_MODELS: Final = (".example", ".sample", ".template", ".dist", ".defaults", ".test")
# Looked into, for a private key.
_MAYBE_A_KEY: Final = re.compile(
    r"\.(pem|key)$|(^|/)\.ssh/|(key|cred|account|gcp|firebase)[^/]*\.json$", re.IGNORECASE
)
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True)
class ContextListing:
    """The files of a context, without what .dockerignore leaves out.

    Args:
        files: names and sizes in bytes.
        complete: whether these are all.
    """

    root: Path
    files: tuple[tuple[str, int], ...]
    complete: bool = True


def list_context(root: Path, files: Iterable[tuple[str, int]]) -> ContextListing:
    """The listing, of so many files at most."""
    listed = tuple(islice(files, MOST_FILES + 1))
    return ContextListing(root, listed[:MOST_FILES], len(listed) <= MOST_FILES)


def context_findings(
    recipe: Recipe, place: str, listing: ContextListing, large_bytes: int = LARGE_BYTES
) -> Iterator[ImageFinding]:
    """What COPY and ADD take along, of all stages where it is secret, else of the image's.

    Args:
        place: of the Dockerfile, as findings name it.
        large_bytes: files above this size count as large.
    """
    in_image = {id(each) for stage in recipe.in_image for each in stage.body}
    environments = frozenset(
        name.removesuffix(f"/{mark}")
        for name, _size in listing.files
        for mark in _MARKS
        if name.endswith(f"/{mark}")
    )
    for stage in recipe.stages:
        for each in stage.body:
            taken = _Taken.by(each, listing, environments)
            if taken is None:
                continue
            yield from taken.secrets(place, in_image=id(each) in in_image)
            if id(each) in in_image:
                yield from taken.leftovers(place)
                yield from taken.large(place, large_bytes)


@dataclass(frozen=True)
class _Taken:
    """What one COPY or ADD takes from the context.

    Args:
        files: with their sizes; those that are named as what they are are not `broad`.
        environments: folders of the context that hold one, of venv or conda.
    """

    instruction: Instruction
    root: Path
    files: tuple[tuple[str, int], ...]
    broad: tuple[tuple[str, int], ...]
    environments: frozenset[str]

    @classmethod
    def by(
        cls, each: Instruction, listing: ContextListing, environments: frozenset[str]
    ) -> _Taken | None:
        sources = [source.strip("/") or "." for source in each.copied[0]]
        sources = [one for one in sources if "$" not in one and "://" not in one]
        if not sources:
            return None
        left_out = [value for name, value in each.flags if name == "exclude"]
        covers = _covering(sources)
        broad = _covering([one for one in sources if _is_broad(one, listing)])
        files = [
            pair for pair in listing.files if not any(globs.covers(g, pair[0]) for g in left_out)
        ]
        return cls(
            each,
            listing.root,
            tuple(pair for pair in files if covers(pair[0])),
            tuple(pair for pair in files if broad(pair[0])),
            environments,
        )

    @property
    def said(self) -> str:
        return f"{self.instruction.word} {self.instruction.rest}"

    def secrets(self, place: str, *, in_image: bool) -> Iterator[ImageFinding]:
        names = [name for name, _size in self.files if self._is_secret(name)]
        if not names:
            return
        where = (
            "whoever has the image can read them" if in_image else "they stay in the build's cache"
        )
        yield ImageFinding(
            rule="ML008",
            severity=Severity.WARNING,
            what=f"`{self.said}` takes along what looks like secrets: "
            f"{first_and_count(names, _SHOWN)}",
            place=place,
            line=self.instruction.line,
            why=f"{where}, also after a later instruction has removed them",
            mend=_ignored(names) + "\nand give a RUN that needs one --mount=type=secret,id=…",
            link=_SECRETS,
        )

    def leftovers(self, place: str) -> Iterator[ImageFinding]:
        sizes: dict[str, int] = {}
        for name, size in self.broad:
            folder = _leftover(name, self.environments)
            if folder:
                sizes[folder] = sizes.get(folder, 0) + size
        kinds = {
            _LEFTOVERS.get(folder.rpartition("/")[2], "a virtual environment") for folder in sizes
        }
        grave = bool(kinds & {"the history", "a virtual environment"})
        if not sizes or not (grave or sum(sizes.values()) >= _LEAST_LEFTOVER):
            return
        shown = sorted(sizes, key=lambda folder: -sizes[folder])
        yield ImageFinding(
            rule="ML009",
            severity=Severity.WARNING,
            what=f"`{self.said}` takes along {first_and_count(shown, _SHOWN)}",
            place=place,
            line=self.instruction.line,
            why=f"{', '.join(sorted(kinds))}: the program needs none of it, and it "
            "changes without the sources, so that this layer and all after it are built anew",
            mend=_ignored(sorted({_pattern(folder) for folder in shown})),
            cost_bytes=sum(sizes.values()),
            link=_IGNORE,
        )

    def large(self, place: str, large_bytes: int) -> Iterator[ImageFinding]:
        data: dict[str, int] = {}
        with_sources = _source_folders(name for name, _size in self.files)
        for name, size in self.broad:
            if _leftover(name, self.environments):
                continue
            group = _data_folder(name)
            if not group and size < large_bytes:
                group = _folder_without(with_sources, name)
            data[group or name] = data.get(group or name, 0) + size
        large = {name: size for name, size in data.items() if size >= large_bytes}
        if not large:
            return
        shown = sorted(large, key=lambda name: -large[name])
        weights = all(name.lower().endswith(_WEIGHTS) for name in shown)
        noun = "weights" if weights else "large files"
        yield ImageFinding(
            rule="ML005",
            severity=Severity.WARNING,
            what=f"`{self.said}` takes along {noun} without naming them: "
            f"{first_and_count(shown, _SHOWN)}",
            place=place,
            line=self.instruction.line,
            why="each push and pull carries them, and what is trained on or tested with is frozen "
            "into the image",
            mend=_ignored(shown)
            + "\nand mount them where they are needed (inputs), or COPY them by "
            "name where they belong in the image",
            cost_bytes=sum(large.values()),
            link=_IGNORE,
        )

    def _is_secret(self, name: str) -> bool:
        if _KEY_FILES.search(name):
            return not name.endswith(_MODELS)
        if not _MAYBE_A_KEY.search(name):
            return False
        try:
            with (self.root / name).open("rb") as file:
                return _PRIVATE_KEY.search(file.read(4096)) is not None
        except OSError:
            return False


def _covering(sources: list[str]) -> Callable[[str], bool]:
    if "." in sources:
        return lambda _name: True
    return lambda name: any(globs.covers(source, name) for source in sources)


def _is_broad(source: str, listing: ContextListing) -> bool:
    """Whether a source takes more than it names: all, a pattern, a folder that is none of data."""
    if source == "." or set("*?[") & set(source):
        return True
    last = source.rpartition("/")[2].lower()
    if last in _DATA or re.search(r"model|weight|checkpoint|artifact|asset|data|\.", last):
        return False
    return (listing.root / source).is_dir()


def _leftover(name: str, environments: frozenset[str]) -> str:
    """The outermost folder of a file that is no part of a project; "" for none."""
    parts = name.split("/")[:-1]
    for at, part in enumerate(parts):
        folder = "/".join(parts[: at + 1])
        if part in _LEFTOVERS or folder in environments:
            return folder
    return ""


def _data_folder(name: str) -> str:
    parts = name.split("/")[:-1]
    found = next((at for at, part in enumerate(parts) if part.lower() in _DATA), None)
    return "" if found is None else "/".join(parts[: found + 1]) + "/"


def _source_folders(names: Iterable[str]) -> frozenset[str]:
    """Folders that have sources in them, or in a folder below."""
    found: set[str] = set()
    for name in names:
        above = name
        while above and name.lower().endswith(_SOURCES):
            above = above.rpartition("/")[0]
            found.add(above)
    return frozenset(found)


def _folder_without(with_sources: frozenset[str], name: str) -> str:
    """The outermost folder of a file that is none of those; "" for none."""
    parts = name.split("/")[:-1]
    folders = ("/".join(parts[: at + 1]) for at in range(len(parts)))
    return next((f"{folder}/" for folder in folders if folder not in with_sources), "")


def _pattern(folder: str) -> str:
    """As .dockerignore takes it; what is in many folders is named once."""
    above, _, last = folder.rpartition("/")
    return f"**/{last}" if above or last.startswith("__") else folder


def _ignored(names: Iterable[str]) -> str:
    listed = list(names)
    more = [f"# and {len(listed) - _SHOWN:,} more"] if len(listed) > _SHOWN else []
    return "\n".join(["write into .dockerignore:", *listed[:_SHOWN], *more])
