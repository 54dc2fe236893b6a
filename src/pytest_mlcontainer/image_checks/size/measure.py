"""What takes the room in an image: each byte that a container sees, counted once."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mlcontainer.image_checks.inventory import (
    EntryKind,
    Hidden,
    Inventory,
    VisibleFiles,
    resolve,
)
from pytest_mlcontainer.image_checks.size.caches import CacheKind, find_cache
from pytest_mlcontainer.image_checks.size.packages import Package, PackageFiles

_TESTS = re.compile(r"^(.*/(?:site|dist)-packages/(?:[^/]+/)*?(?:tests|test))/")
_TEST_FILE = re.compile(r"/(?:test_[^/]*|[^/]*_test|conftest)\.py$")
_FOLDERS_SHOWN = 2  # of a path outside all packages: `app/models`
_DEEPER = (("usr/local/lib/", 4), ("usr/local/", 3))


@dataclass(frozen=True)
class Duplicate:
    """One content that several files have.

    Args:
        owned: all of them belong to packages, so that nobody but those could leave one out.
    """

    size_bytes: int
    paths: tuple[str, ...]
    owned: bool = False

    @property
    def wasted_bytes(self) -> int:
        """Of all of them but one."""
        return self.size_bytes * (len(self.paths) - 1)


@dataclass(frozen=True)
class HiddenBytes:
    """What one layer hides of another.

    Args:
        layer, by: numbers of the layers.
        deleted_bytes: of files that are gone.
        replaced_bytes: of files that another content replaces.
        same_bytes: of files that are there again with the same content: their owner, mode or time
            was changed, and a layer holds a file as a whole.
        examples: the largest.
    """

    layer: int
    by: int
    deleted_bytes: int
    replaced_bytes: int
    same_bytes: int
    examples: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return self.deleted_bytes + self.replaced_bytes + self.same_bytes


@dataclass(frozen=True)
class CacheBytes:
    """What a cache takes that nothing outside of it shares."""

    kind: CacheKind
    folder: str
    layers: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FolderBytes:
    """What lies in a folder and belongs to no package and no cache.

    Args:
        largest: its largest file, as seen from the folder; "" where the folder is that file.
    """

    folder: str
    size_bytes: int
    largest: str
    largest_bytes: int

    @property
    def told(self) -> str:
        """The file that makes up most of it; "" where no single one does."""
        return self.largest if 2 * self.largest_bytes >= self.size_bytes else ""


@dataclass(frozen=True)
class SizeFigures:
    """Where the bytes of an image are.

    Args:
        total_bytes: of the files of all layers.
        layers: size of each layer, from the base up.
        packages: installed packages by their bytes, the largest first.
        folders: what belongs to no package and no cache, by its first folders.
        tests: test suites that distributions brought along, by distribution.
        bytecode_bytes: of `.pyc` files.
    """

    total_bytes: int
    layers: tuple[int, ...]
    packages: tuple[tuple[Package, int], ...]
    folders: tuple[FolderBytes, ...]
    caches: tuple[CacheBytes, ...]
    duplicates: tuple[Duplicate, ...]
    tests: tuple[tuple[Package, int], ...]
    bytecode_bytes: int
    hidden: tuple[HiddenBytes, ...]

    @property
    def visible_bytes(self) -> int:
        """What a container sees."""
        return self.total_bytes - self.hidden_bytes

    @property
    def hidden_bytes(self) -> int:
        """What is in the image, and no container sees."""
        return sum(each.size_bytes for each in self.hidden)


@dataclass(frozen=True, slots=True)
class _Content:
    """A file's bytes, which take room once, and all names that lead to them."""

    layer: int
    size_bytes: int
    digest: str
    paths: tuple[str, ...]


def visible_texts(inventory: Inventory, files: VisibleFiles) -> dict[str, str]:
    """The lists of what is installed that a container sees, by path."""
    seen = {(each.layer, each.entry.path) for each in files.files}
    return {
        path: text
        for number, layer in enumerate(inventory.layers)
        for path, text in layer.content.texts
        if (number, path) in seen
    }


def measure(inventory: Inventory, files: VisibleFiles | None = None) -> SizeFigures:
    """Where the bytes of an image are.

    Args:
        files: of the image, where they are known already.
    """
    files = files or resolve(inventory.layers)
    owners = PackageFiles(visible_texts(inventory, files))
    packages: Counter[Package] = Counter()
    folders: dict[str, list[tuple[int, str]]] = defaultdict(list)
    tests: Counter[Package] = Counter()
    caches: dict[tuple[str, str], list[tuple[CacheKind, _Content]]] = defaultdict(list)
    bytecode = 0
    contents = tuple(_contents(inventory, files))
    suites = _test_folders(contents)
    for content in contents:
        path, package, cache = _place(content, owners)
        bytecode += content.size_bytes if path.endswith(".pyc") else 0
        if package is not None:
            packages[package] += content.size_bytes
            suite = _TESTS.match(path)
            if package.manager != "deb" and suite is not None and suite[1] in suites:
                tests[package] += content.size_bytes
        elif cache is not None:
            caches[cache[0].name, cache[1]].append((cache[0], content))
        else:
            folders[_shown_folder(path)].append((content.size_bytes, path))
    return SizeFigures(
        total_bytes=inventory.size_bytes,
        layers=tuple(layer.size_bytes for layer in inventory.layers),
        packages=tuple(packages.most_common()),
        folders=_folders(folders),
        caches=_caches(caches),
        duplicates=_duplicates(contents, owners),
        tests=tuple(tests.most_common()),
        bytecode_bytes=bytecode,
        hidden=_hidden(files.hidden),
    )


def _folders(files: Mapping[str, list[tuple[int, str]]]) -> tuple[FolderBytes, ...]:
    """The largest first; of files as large as each other the one whose name comes last."""
    found = []
    for folder, sized in files.items():
        most, path = max(sized)
        inside = path.removeprefix(folder).lstrip("/")
        found.append(FolderBytes(folder, sum(size for size, _path in sized), inside, most))
    return tuple(sorted(found, key=lambda each: -each.size_bytes))


def _shown_folder(path: str) -> str:
    """The first folders of a path; a file at the root stands for itself."""
    parts = path.split("/")
    shown = next((most for start, most in _DEEPER if path.startswith(start)), _FOLDERS_SHOWN)
    return "/".join(parts[: min(shown, max(len(parts) - 1, 1))])


def _contents(inventory: Inventory, files: VisibleFiles) -> Iterator[_Content]:
    """Each file's content once, also where a container sees no more of it than a hard link."""
    names: dict[tuple[int, str], list[str]] = defaultdict(list)
    for each in files.files:
        if each.entry.kind is EntryKind.FILE:
            names[each.layer, each.entry.path].append(each.entry.path)
        elif each.entry.kind is EntryKind.HARDLINK:
            names[each.layer, each.entry.target].append(each.entry.path)
    for number, layer in enumerate(inventory.layers):
        for entry in layer.content.entries:
            found = names.get((number, entry.path))
            if entry.kind is EntryKind.FILE and found:
                yield _Content(number, entry.size_bytes, entry.digest, tuple(found))


def _place(
    content: _Content, owners: PackageFiles
) -> tuple[str, Package | None, tuple[CacheKind, str] | None]:
    """Where a content counts: at a package, else outside of caches, else in a cache."""
    for path in content.paths:
        package = owners.owner(path)
        if package is not None:
            return path, package, None
    cached = [(path, find_cache(path)) for path in content.paths]
    for path, cache in cached:
        if cache is None:
            return path, None, None
    path, cache = cached[0]
    return path, None, cache


def _test_folders(contents: tuple[_Content, ...]) -> set[str]:
    """Folders of tests that hold tests: some packages have programs in a folder of that name."""
    found = set()
    for content in contents:
        for path in content.paths:
            if _TEST_FILE.search(path) and (folder := _TESTS.match(path)) is not None:
                found.add(folder[1])
    return found


def _caches(
    found: dict[tuple[str, str], list[tuple[CacheKind, _Content]]],
) -> tuple[CacheBytes, ...]:
    made = [
        CacheBytes(
            held[0][0],
            folder,
            tuple(sorted({content.layer for _kind, content in held})),
            sum(content.size_bytes for _kind, content in held),
        )
        for (_name, folder), held in found.items()
    ]
    return tuple(sorted(made, key=lambda each: (-each.size_bytes, each.folder)))


def _duplicates(contents: tuple[_Content, ...], owners: PackageFiles) -> tuple[Duplicate, ...]:
    """Contents of more than one file, those that waste most first; not those of caches."""
    same: dict[str, list[_Content]] = defaultdict(list)
    for content in contents:
        if content.digest and find_cache(content.paths[0]) is None:
            same[content.digest].append(content)
    made = [
        Duplicate(
            held[0].size_bytes,
            tuple(sorted(each.paths[0] for each in held)),
            all(owners.owner(each.paths[0]) is not None for each in held),
        )
        for held in same.values()
        if len(held) > 1
    ]
    return tuple(sorted(made, key=lambda each: (-each.wasted_bytes, each.paths)))


def _hidden(hidden: tuple[Hidden, ...]) -> tuple[HiddenBytes, ...]:
    pairs: dict[tuple[int, int], list[Hidden]] = defaultdict(list)
    for each in hidden:
        pairs[each.layer, each.by].append(each)
    made = []
    for (layer, by), held in pairs.items():
        held.sort(key=lambda each: (-each.entry.size_bytes, each.entry.path))
        gone = [each for each in held if each.replacement is None]
        same = [each for each in held if _is_same(each)]
        total = sum(each.entry.size_bytes for each in held)
        deleted = sum(each.entry.size_bytes for each in gone)
        kept = sum(each.entry.size_bytes for each in same)
        examples = tuple(each.entry.path for each in held[:3])
        made.append(HiddenBytes(layer, by, deleted, total - deleted - kept, kept, examples))
    return tuple(sorted(made, key=lambda each: (-each.size_bytes, each.layer, each.by)))


def _is_same(each: Hidden) -> bool:
    other = each.replacement
    return other is not None and bool(other.digest) and other.digest == each.entry.digest
