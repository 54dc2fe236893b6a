"""Mixed images: image A with some of its packages, files or variables replaced by those of image B.

Files are moved from image to image, so that it works offline, and for versions that no index has
any more. Only what was compiled for another minor version of Python is asked of an index.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
import shutil
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_mlcontainer import images
from pytest_mlcontainer.engines import ContainerSpec, Engine, LogLine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import BuildError, EngineError, RunError
from pytest_mlcontainer.explain.packages import (
    BASE,
    Change,
    Contents,
    Distribution,
    ImageChangeKind,
    env_differences,
)
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.model import BuildSettings, Entrypoint, Image, Limits, Pairs, Settings
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.temporary import temporary_folder

MARKER = "mlcontainer-contents:"
DONOR, PLAN, WHEELS = "/mlcontainer-donor", "/mlcontainer-plan", "/mlcontainer-wheels"
_TIMEOUT_S = 600.0
_LARGEST = 1 << 28
_WHEEL_S = 600  # to make one from source
_PYTHONS = re.compile(r"(.*/)?python[\d.]*$")
_FIND_PYTHON = (
    'for python in {names}; do if command -v "$python" >/dev/null 2>&1; then '
    'exec "$python" -c "$@"; fi; done; exit 127'
)


@dataclass(frozen=True)
class Workshop:
    """What making environments takes of a pipeline.

    Args:
        known: see `images.build`.
        environ: for Python on this machine.
    """

    engine: Engine
    store: Store
    processes: Processes
    environ: Mapping[str, str]
    known: Path
    log: LogLine


@dataclass(frozen=True)
class Side:
    """One of the two environments.

    Args:
        name: as the user calls it.
        image: None for this machine.
    """

    name: str
    contents: Contents
    image: Image | None = None


@dataclass(frozen=True)
class Wheels:
    """What an index gave for the Python of one image.

    Args:
        reference: the image that they are in.
        paths: for each package its wheel there.
        missing: for each of the others, why there is none.
    """

    reference: str = ""
    paths: Pairs = ()
    missing: Pairs = ()


@dataclass(frozen=True)
class Mixture:
    """Two environments, and what can be chosen from either.

    Args:
        changes: those that can be made alone; all others belong to the base image.
        wheels: for A's Python, and for B's.
        packed: folder with the files of this machine's packages, where B is this machine.
    """

    a: Side
    b: Side
    changes: tuple[Change, ...]
    wheels: tuple[Wheels, Wheels] = (Wheels(), Wheels())
    packed: Path | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(change.name for change in self.changes)

    @property
    def one_way(self) -> bool:
        """Whether B cannot be begun with: it is no image, or of a platform of its own."""
        a, b = self.a.image, self.b.image
        return a is None or b is None or a.platform != b.platform


@dataclass(frozen=True)
class Recipe:
    """How an environment is made, as data.

    Args:
        base, donor: the image that it begins with, and the one that gives.
        drop, take: distributions that go, and that come.
        project: whether the project's folder is the donor's.
        install: wheels, as paths in the image `wheels`.
        env: variables set for runs, and `unset`: those that they must not have.
    """

    base: Side
    donor: Side
    drop: tuple[Distribution, ...] = ()
    take: tuple[Distribution, ...] = ()
    project: bool = False
    install: tuple[str, ...] = ()
    wheels: str = ""
    env: Pairs = ()
    unset: tuple[str, ...] = ()

    @property
    def needs_build(self) -> bool:
        return bool(self.drop or self.take or self.project or self.install)


def plan_recipe(mixture: Mixture, names: Iterable[str]) -> Recipe:
    """The environment in which just these changes are made.

    With all of them it is B itself, and A with none.
    """
    chosen = frozenset(names)
    one_way = mixture.one_way
    a, b = mixture.a, mixture.b
    on_b = not one_way and (BASE in chosen or chosen == mixture.names) and bool(chosen)
    base, donor = (b, a) if on_b else (a, b)
    recipe = Recipe(base, donor)
    if not chosen or (chosen == mixture.names and not one_way):
        return recipe
    moved = [change for change in mixture.changes if (change.name in chosen) is not on_b]
    wheels = mixture.wheels[1 if on_b else 0]
    for change in moved:
        if change.kind is ImageChangeKind.PACKAGE:
            recipe = _with_package(recipe, change, wheels, to_b=not on_b)
        elif change.kind is ImageChangeKind.PROJECT:
            mine, theirs = change.own if not on_b else (change.own[1], change.own[0])
            drop, take = (*recipe.drop, *mine), (*recipe.take, *theirs)
            recipe = replace(recipe, project=True, drop=drop, take=take)
        elif change.kind is ImageChangeKind.ENV:
            recipe = _with_env(recipe)
    return recipe


def needs_wheel(donor: Contents, base: Contents, package: Distribution | None) -> bool:
    """Whether the donor's files of a package cannot work with the base's Python."""
    if package is None:
        return False
    elsewhere = package.compiled and donor.machine != base.machine
    return elsewhere or (package.bound and donor.minor != base.minor)


def _with_package(recipe: Recipe, change: Change, wheels: Wheels, *, to_b: bool) -> Recipe:
    old, new = (change.before, change.after) if to_b else (change.after, change.before)
    if new is not None and needs_wheel(recipe.donor.contents, recipe.base.contents, new):
        path = dict(wheels.paths)[new.name]
        return replace(recipe, install=(*recipe.install, path), wheels=wheels.reference)
    drop = recipe.drop if old is None else (*recipe.drop, old)
    take = recipe.take if new is None else (*recipe.take, new)
    return replace(recipe, drop=drop, take=take)


def _with_env(recipe: Recipe) -> Recipe:
    found = env_differences(recipe.base.contents, recipe.donor.contents)
    return replace(
        recipe,
        env=tuple((name, theirs) for name, _mine, theirs in found if theirs is not None),
        unset=tuple(name for name, _mine, theirs in found if theirs is None),
    )


def fitted(entry: Entrypoint, recipe: Recipe) -> Entrypoint:
    """The entrypoint as it runs in the environment: what an image's configuration says of the
    project goes with the project, and variables are given to the run instead of built in."""
    env = tuple({**dict(recipe.env), **dict(entry.env)}.items())
    unset = [name for name in recipe.unset if name not in dict(entry.env)]
    entry = replace(entry, env=env)
    owner = recipe.donor.image if recipe.project else recipe.base.image
    base = recipe.base.image
    if owner is None or base is None or (owner == base and not unset):
        return entry
    words = (*(entry.entrypoint or owner.entrypoint), *entry.command)
    if entry.entrypoint is not None:
        words = (*entry.entrypoint, *entry.command)
    elif not entry.command:
        words = (*owner.entrypoint, *owner.command)
    if unset:
        words = ("env", *(word for name in unset for word in ("-u", name)), *words)
    workdir = entry.workdir
    if owner.workdir != base.workdir:
        workdir = str(Path(owner.workdir, entry.workdir or ""))
    return replace(entry, entrypoint=words[:1], command=words[1:], workdir=workdir)


# Looking


def look(
    shop: Workshop, image: Image, entry: Entrypoint, name: str, *, packages_alone: bool = False
) -> Contents:
    """What an image holds.

    Args:
        packages_alone: nothing of all other files, whose digests take minutes under emulation.

    Raises:
        RunError: there is no Python in it that could look.
    """
    words = ("list-packages",) if packages_alone else ("list",)
    printed, problem = _ask(shop, image, entry, words)
    raw = _unpacked(printed)
    if raw is None:
        raise RunError(
            f"no Python in the image {name}",
            problem or "neither its command's, nor python3 or python on its PATH, answers",
            "images are searched by their Python packages: name images that have Python 3 on PATH",
        )
    return replace(_contents(raw), env=image.env)


def look_here(shop: Workshop, folder: Path) -> Contents:
    """What this machine's Python, the first on PATH, has.

    Raises:
        RunError: there is none.
    """
    done = _here(shop, folder, ("list-packages",))
    raw = _unpacked(done)
    if raw is None:
        raise RunError(
            "no Python on this machine",
            "none of python3 and python on PATH answers",
            "activate the environment that --image host stands for",
        )
    return _contents(raw)


def pack_here(shop: Workshop, found: Iterable[Change], contents: Contents) -> Path:
    """A folder with this machine's files of these packages, for builds to take them from.

    It goes with what else the session shares.
    """
    take = [change.after for change in found if change.kind is ImageChangeKind.PACKAGE]
    plan = {
        "take": [_place(each, "") for each in take if each is not None],
        "cache_tag": contents.cache_tag,
    }

    def make(folder: Path) -> str:
        file, packed = folder / "plan.json", folder / "packed"
        file.write_text(json.dumps(plan), encoding="utf-8")
        packed.mkdir()
        _here(shop, folder, ("pack", str(file), str(packed)))
        return str(packed)

    place, _folder = shop.store.once("packed", digest([plan]), make)
    return Path(place)


def _here(shop: Workshop, folder: Path, words: tuple[str, ...]) -> str:
    path = shop.environ.get("PATH")
    python = shutil.which("python3", path=path) or shutil.which("python", path=path)
    if python is None:
        return ""
    argv = [python, "-c", script(), *words]
    done = shop.processes.run(argv, cwd=folder, env=shop.environ, timeout_s=_TIMEOUT_S)
    return done.output


def script() -> str:
    """The text of what runs in images."""
    return source("transplant.py")


def _ask(
    shop: Workshop, image: Image, entry: Entrypoint, words: tuple[str, ...]
) -> tuple[str, str]:
    """What the script prints in an image, and what went wrong where it prints nothing."""
    start = (*(entry.entrypoint or image.entrypoint), *(entry.command or image.command))
    own = [word for word in start[:2] if _PYTHONS.fullmatch(word)]
    names = " ".join(shlex.quote(name) for name in (*own, "python3", "python"))
    find = _FIND_PYTHON.format(names=names)
    problem = ""
    for argv in (
        ("/bin/sh", "-c", find, "contents", script(), *words),
        *((name, "-c", script(), *words) for name in (*own, "python3", "python")),
    ):
        spec = ContainerSpec(
            image=image.reference,
            platform=image.platform,
            entrypoint=argv[:1],
            command=argv[1:],
            env=entry.env,
            workdir=entry.workdir,
            limits=Limits(timeout_s=_TIMEOUT_S),
            passing=True,
        )
        printed, said = _printed(shop, spec)
        if MARKER in printed:
            return printed, ""
        problem = problem or said
    return "", problem


def _printed(shop: Workshop, spec: ContainerSpec) -> tuple[str, str]:
    with temporary_folder() as folder:
        out, err = folder / "out", folder / "err"
        with shop.engine.container(spec) as container:
            container.failed = False
            try:
                container.start()
            except RunError:
                return "", ""
            if container.wait(spec.limits.timeout_s) is None:
                container.kill(0)
            container.write_logs(out, err)
        last = err.read_text(errors="replace").strip().splitlines()[-1:]
        text = out.read_text(errors="replace") if out.stat().st_size < _LARGEST else ""
        return text, last[0][:300] if last else ""


def _unpacked(printed: str) -> dict[str, Any] | None:
    """What the script told; None where it told nothing that can be read."""
    for line in printed.splitlines():
        if line.startswith(MARKER):
            with suppress(ValueError, binascii.Error, zlib.error, RecursionError):
                packed = base64.b64decode(line[len(MARKER) :])
                text = zlib.decompressobj().decompress(packed, _LARGEST)
                raw = json.loads(text)
                return raw if isinstance(raw, dict) else None
    return None


def _contents(raw: Mapping[str, Any]) -> Contents:
    """What an image says of itself, checked; whatever has another form counts as not said."""
    distributions = raw.get("distributions")
    return Contents(
        python=_text(raw, "python"),
        machine=_text(raw, "machine"),
        executable=_text(raw, "executable"),
        cache_tag=_text(raw, "cache_tag"),
        site=_text(raw, "site"),
        managed=bool(raw.get("managed")),
        workdir=_text(raw, "workdir") or "/",
        distributions=tuple(
            _distribution(each)
            for each in (distributions if isinstance(distributions, list) else ())
            if isinstance(each, dict)
        ),
        project=_pairs(raw, "project"),
        base=_pairs(raw, "base"),
        release=_text(raw, "distribution"),
        libc=_text(raw, "libc"),
    )


def _distribution(raw: Mapping[str, Any]) -> Distribution:
    return Distribution(
        name=_text(raw, "name"),
        version=_text(raw, "version"),
        site=_text(raw, "site"),
        info=_text(raw, "info"),
        digest=_text(raw, "digest"),
        compiled=bool(raw.get("compiled")),
        bound=bool(raw.get("bound")),
        requires=_texts(raw, "requires"),
        modules=_texts(raw, "modules"),
        own=bool(raw.get("own")),
    )


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = raw.get(name)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _pairs(raw: Mapping[str, Any], name: str) -> Pairs:
    value = raw.get(name)
    each = value.items() if isinstance(value, dict) else ()
    return tuple(sorted((str(left), str(right)) for left, right in each))


# Building


def build_environment(shop: Workshop, settings: Settings, mixture: Mixture, recipe: Recipe) -> str:
    """The reference of the environment's image, built unless it was before.

    Raises:
        BuildError: it cannot be built.
    """
    base = recipe.base.image
    assert base is not None
    if not recipe.needs_build:
        return base.reference
    plan = json.dumps(transplant_plan(recipe), sort_keys=True)
    donor = recipe.donor.image.digest if recipe.donor.image else str(mixture.packed)
    key = digest([base.digest, donor, plan, recipe.install, script()])
    contexts = () if mixture.packed is None else (("donor", str(mixture.packed)),)
    files = {"plan.json": plan, "transplant.py": script(), "Dockerfile": dockerfile(recipe)}
    return _build(shop, settings, base, key, files, contexts).reference


def transplant_plan(recipe: Recipe) -> dict[str, Any]:
    """What the script is told to do; see `transplant.apply`."""
    base, donor = recipe.base.contents, recipe.donor.contents
    sites = {each.name: each.site for each in recipe.drop}
    folders = []
    if recipe.project:
        folders = [{"from": donor.workdir, "into": base.workdir, "to": donor.workdir}]
    return {
        "donor": DONOR,
        "drop": [{"site": each.site, "info": each.info} for each in recipe.drop],
        "take": [_place(each, sites.get(each.name, base.site)) for each in recipe.take],
        "folders": folders,
        "cache_tag": donor.cache_tag,
        "python": donor.executable,
    }


def dockerfile(recipe: Recipe) -> str:
    """How the image of an environment is built."""
    base, donor = recipe.base.image, recipe.donor.image
    assert base is not None
    python = recipe.base.contents.executable
    lines = [f"FROM {base.reference}", "USER root"]
    giver = "donor"
    if donor is not None and donor.platform == base.platform:
        giver = donor.reference
    elif donor is not None:
        lines.insert(0, f"FROM --platform={donor.platform} {donor.reference} AS donor")
    if recipe.install:
        pip = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall"]
        pip += ["--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore"]
        pip += ["--break-system-packages"] if recipe.base.contents.managed else []
        mount = f"--mount=type=bind,from={recipe.wheels},source={WHEELS},target={WHEELS}"
        lines.append(f"RUN {mount} {json.dumps([*pip, *recipe.install])}")
    mounts = f"--mount=type=bind,from={giver},target={DONOR} --mount=type=bind,target={PLAN} "
    run = [python, "-I", "-S", "-B", f"{PLAN}/transplant.py", "apply", f"{PLAN}/plan.json"]
    lines.append(f"RUN {mounts}{json.dumps(run)}")
    lines += [f"USER {base.user}"] if base.user else []
    return "\n".join(lines) + "\n"


def fetch_wheels(
    shop: Workshop, settings: Settings, base: Side, wanted: Iterable[Distribution]
) -> Wheels:
    """Wheels of these packages for the Python of an image: from the index its pip knows, or built.

    One that cannot be had is no error.
    """
    packages = tuple(wanted)
    image = base.image
    if not packages or image is None:
        return Wheels()
    files = {"Dockerfile": _wheels_dockerfile(base, packages)}
    key = digest([image.digest, files["Dockerfile"], "wheels"])
    python = base.contents.minor
    try:
        made = _build(shop, settings, image, key, files, ())
        raw = _unpacked(_ask(shop, made, Entrypoint("wheels"), ("wheels", WHEELS))[0]) or {}
    except BuildError as error:
        raw = {each.name: {"said": error.what} for each in packages}
        made = image
    paths, missing = [], []
    for each in packages:
        told = raw.get(each.name)
        told = told if isinstance(told, dict) else {}
        if _text(told, "wheel"):
            paths.append((each.name, _text(told, "wheel")))
            continue
        why = _text(told, "said") or "pip said nothing"
        named = f"{each.name} {each.version}"
        text = f"{named} has no wheel for Python {python} and does not build: {why}"
        missing.append((each.name, text))
    return Wheels(made.reference, tuple(paths), tuple(missing))


def _wheels_dockerfile(base: Side, packages: tuple[Distribution, ...]) -> str:
    python = shlex.quote(base.contents.executable)
    lines = [f"mkdir -p {WHEELS}", "limit=; command -v timeout >/dev/null && limit='timeout "
             f"{_WHEEL_S}'"]  # fmt: skip
    for each in packages:
        wanted = shlex.quote(f"{each.name}=={each.version}")
        place = shlex.quote(f"{WHEELS}/{each.name}")
        lines.append(
            f"mkdir -p {place}; $limit {python} -m pip wheel --no-deps --no-cache-dir "
            f"--disable-pip-version-check -w {place} {wanted} >{place}.log 2>&1 || true"
        )
    run = json.dumps(["/bin/sh", "-c", "; ".join([*lines, "true"])])
    assert base.image is not None
    return f"FROM {base.image.reference}\nUSER root\nRUN {run}\n"


def _build(
    shop: Workshop,
    settings: Settings,
    base: Image,
    key: str,
    files: Mapping[str, str],
    contexts: Pairs,
) -> Image:
    def make(_folder: Path) -> object:
        with temporary_folder() as folder:
            for file, text in files.items():
                (folder / file).write_text(text, encoding="utf-8")
            build = BuildSettings(
                context=folder,
                dockerfile=folder / "Dockerfile",
                contexts=contexts,
                builder=settings.build.builder,
                timeout_s=settings.build.timeout_s,
            )
            project = replace(settings, build=build)
            return images.image_to_json(
                images.build(shop.engine, project, base.platform, key, shop.known, shop.log)
            )

    raw, _folder = shop.store.once("environment", key, make)
    return images.image_from_json(raw)


def find_side(shop: Workshop, reference: str, settings: Settings) -> Image:
    """An image that the user names, of whatever platform it is.

    Raises:
        EngineError: there is none, or it has no name that a build could begin with.
    """
    if re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", reference):
        raise EngineError(
            "an image has to be named, not given by its id",
            reference,
            f"give it a name: docker tag {reference} a-name",
        )
    platform = settings.reference
    local = shop.engine.find_image(reference, platform)
    wanted = platform if local is None else local.platform
    try:
        return images.find(shop.engine, reference, wanted)
    except EngineError as error:
        remedy = error.remedy.replace("--container-image", "--image")
        raise type(error)(error.what, error.value, remedy) from error


def _place(each: Distribution, into: str) -> dict[str, str]:
    return {"site": each.site, "info": each.info, "into": into}


def check_sides(a: Side, b: Side) -> None:
    """See that these two can be held against each other.

    Raises:
        EngineError: they cannot.
    """
    if a.image is None or b.image is None:
        return
    if a.image.digest == b.image.digest:
        raise EngineError(
            "both are the same image",
            f"{a.name} and {b.name} are {a.image.digest[:19]}",
            "name two images that differ",
        )
    if a.image.platform != b.image.platform:
        raise EngineError(
            "the images are of different platforms",
            f"{a.name} is {a.image.platform}, {b.name} is {b.image.platform}",
            "name two of the same platform; what a platform changes is found by "
            f"`pytest --container --container-platform={a.image.platform},{b.image.platform}`",
        )
