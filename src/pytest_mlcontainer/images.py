"""Job → `Image`: built once for all workers, or found; always of the platform asked for."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pytest_mlcontainer.dockerfile import copied_sources, read_dockerfile
from pytest_mlcontainer.engines import Builder, ImageStore, LogLine, quiet
from pytest_mlcontainer.engines.failures import cut_line
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.engines.registry_words import registry_trouble
from pytest_mlcontainer.errors import BuildError, EngineError, PlatformError
from pytest_mlcontainer.model import LABEL, BuildSettings, Image, ImageJob, Platform, Settings
from pytest_mlcontainer.progress.events import DETAIL
from pytest_mlcontainer.secrets import NOTHING, Redactor, exposed_arguments
from pytest_mlcontainer.storage import write_json

_TAIL_LINES = 20
# Never part of a project's sources; some of it changes while tests run.
_NOT_SOURCES = (
    ".git", ".hg", ".venv", "venv", ".tox", ".nox", "__pycache__", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", "node_modules", ".hypothesis", ".coverage*", "htmlcov",
)  # fmt: skip
# Made from the sources by the usual `before-build`, so no sign that the sources changed.
_MADE_BEFORE = ("dist", "build", "*.egg-info")


def repository(settings: Settings) -> str:
    """The repository under which this project's images are tagged, its own for each checkout."""
    where = hashlib.sha256(str(settings.root).encode()).hexdigest()[:10]
    name = re.sub(r"[^a-z0-9]+", "-", settings.name.lower()).strip("-") or "project"
    return f"{LABEL}/{name}-{where}"


def prepare(build: BuildSettings, root: Path, environ: Mapping[str, str], processes: Processes,
            log: LogLine, hidden: Redactor = NOTHING) -> None:  # fmt: skip
    """Run the host commands that come before the build.

    Args:
        root: the project's folder, in which they run by `/bin/sh -c`.

    Raises:
        BuildError: one fails or runs past the limit, or none of them makes the wheel that the
            Dockerfile copies.
    """
    for command in build.before:
        log(f"before-build: {command}")
        done = processes.run(
            ["/bin/sh", "-c", command],
            cwd=root,
            env=environ,
            timeout_s=build.timeout_s,
            on_line=lambda line: log(DETAIL + line),
        )
        if done.timed_out or done.exit_code != 0:
            lines = [
                cut_line(line) for line in hidden.text(done.output).splitlines()[-_TAIL_LINES:]
            ]
            ended = (
                f"ran past {build.timeout_s:g} s" if done.timed_out else f"exit {done.exit_code}"
            )
            raise BuildError(
                "a before-build command failed",
                "\n".join([f"{command}  ({ended}, in {root})", *lines]),
                "run it by hand in that folder; the tools that it needs must be on PATH "
                "(`uv` comes with `pip install uv`)",
            )
    for pattern in wheels_copied(build.dockerfile):
        if not any(build.context.glob(pattern)):
            raise _no_wheel(build, pattern)


def build(engine: Builder, settings: Settings, platform: Platform, key: str, known: Path,
          log: LogLine, hidden: Redactor = NOTHING) -> Image:  # fmt: skip
    """Build the project's image for one platform and check what came of it.

    Args:
        key: tells this state of the sources from others; part of the tag.
        known: folder for what is known of images on this engine, by digest. Asking an engine takes
            a twentieth of the time in which it sees that nothing has changed.
        hidden: see `Builder.build`.

    Raises:
        BuildError, PlatformError: see `Builder.build`.
    """
    tag = f"{repository(settings)}:{platform.slug}-{key[:12]}"
    labels = ((LABEL, "true"), (f"{LABEL}.project", settings.name))
    built = engine.build(settings.build, platform, tag, labels, log, hidden)
    image = _recall(known, built.digest) or engine.find_image(tag, platform)
    if image is None:
        raise BuildError(
            "the build succeeded but the engine has no image",
            tag,
            "the buildx builder in use does not load images into this engine: set "
            'builder = "default"',
        )
    _check_platform(image, platform, "build")
    if image.digest == built.digest:
        _remember(known, image)
    notes = (*built.notes, *exposed_arguments(settings.build))
    return replace(image, reference=tag, built=True, notes=notes)


def image_to_json(image: Image) -> dict[str, Any]:
    """The image as mappings, lists and scalars."""
    return asdict(image)


def image_from_json(raw: Mapping[str, Any]) -> Image:
    """The image that `image_to_json` was given."""
    values = dict(raw)
    values["platform"] = Platform(**values["platform"])
    for name in ("entrypoint", "command", "notes", "layers", "ports", "health"):
        values[name] = tuple(values.get(name, ()))
    for name in ("env", "labels"):
        values[name] = tuple((key, value) for key, value in values.get(name, ()))
    return Image(**values)


def find(engine: ImageStore, reference: str, platform: Platform, log: LogLine = quiet) -> Image:
    """An image that exists already, on the engine or in a registry.

    Its tag is left as it is: another platform of it is pulled by digest.

    Args:
        log: told how far a pull is.

    Raises:
        EngineError: it is nowhere; PlatformError: not for this platform.
    """
    local = engine.find_image(reference, platform)
    if local is not None and _same(local.platform, platform):
        return local
    try:
        pinned = engine.pull(reference, platform, log)
    except EngineError as error:
        if local is not None:
            raise _wrong_platform(
                local, platform, f"; a registry has no other: {error.value}"
            ) from error
        raise _not_pulled(reference, platform, error) from error
    pulled = engine.find_image(pinned, platform)
    if pulled is None:
        raise EngineError("there is no such image", f"{pinned} after its pull", "pull it by hand")
    _check_platform(pulled, platform, "image")
    return pulled


def _not_pulled(reference: str, platform: Platform, error: EngineError) -> EngineError:
    """That an image is not on the engine, and why the engine cannot get it either."""
    trouble = registry_trouble(error.value, reference)
    if trouble is None and error.remedy:
        return error  # of the engine itself: its disk is full, it went away
    value = f"{reference}, for {platform}: {error.value}"
    if trouble is not None:
        return EngineError(
            f"the image is not on the engine, and {trouble.what}", value, trouble.remedy
        )
    return EngineError(
        "there is no such image",
        value,
        "check --container-image against `docker images`, build it, or log in to its registry",
    )


def build_key(settings: Settings, job: ImageJob, engine: str, sources: str) -> str:
    """All that an image depends on, as one digest.

    Args:
        engine: address of the engine.
        sources: fingerprint of the build's context.
    """
    parts: Any = [_plain(asdict(settings.build)), str(job.target.platform), job.reference]
    text = json.dumps([parts, engine, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def fingerprint(build: BuildSettings) -> str:
    """Names, sizes and times of the sources, as a digest.

    It only has to tell whether another session running at this moment builds the same thing;
    BuildKit itself decides what is to be built anew.
    """
    beside = build.dockerfile.with_name(f"{build.dockerfile.name}.dockerignore")
    folders = (build.context, *_local_contexts(build))
    return _state_of((build.dockerfile, beside), folders, _skipped(build))


def project_fingerprint(settings: Settings) -> str:
    """The same of the project's own folder, which a run on this machine gets a copy of, whatever
    the context of the build is."""
    return _state_of((), (settings.root,), _skipped(settings.build))


def _skipped(build: BuildSettings) -> tuple[str, ...]:
    return _NOT_SOURCES + (_MADE_BEFORE if build.before else ())


def _local_contexts(build: BuildSettings) -> tuple[Path, ...]:
    """Named contexts that are folders of this machine, of every platform."""
    found: list[Path] = []
    for _name, value in build.contexts:
        scheme, separator, rest = value.partition("://")
        if (separator and scheme != "oci-layout") or value.startswith("git@"):
            continue
        place = Path(rest if separator else value)
        if "{" in str(place):
            pattern = re.sub(r"\{\w+\}", "*", str(place.relative_to(place.anchor)))
            found += sorted(Path(place.anchor).glob(pattern))
        else:
            found.append(place)
    return tuple(found)


def _state_of(files: tuple[Path, ...], folders: tuple[Path, ...], skipped: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    listed = (path for folder in folders for path in _sources(folder, skipped))
    for path in (*files, *listed):
        try:
            status = path.lstat()
        except OSError:
            continue
        state = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_mode}\n"
        digest.update(state.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def wheels_copied(dockerfile: Path) -> tuple[str, ...]:
    """Patterns of wheels that the Dockerfile copies from its context: `dist/*.whl`."""
    found = (source.lstrip("/") for source in copied_sources(read_dockerfile(dockerfile)))
    return tuple(
        each for each in found if each.endswith(".whl") and "$" not in each and "://" not in each
    )


def _recall(known: Path, digest: str | None) -> Image | None:
    if digest is None:
        return None
    try:
        return image_from_json(json.loads(_known_file(known, digest).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(known: Path, image: Image) -> None:
    file = _known_file(known, image.digest)
    if _recall(known, image.digest) is None:
        known.mkdir(parents=True, exist_ok=True)
        write_json(file, image_to_json(image))


def _known_file(known: Path, digest: str) -> Path:
    return known / f"{digest.rpartition(':')[2]}.json"


def _sources(context: Path, skipped: tuple[str, ...]) -> Iterator[Path]:
    for folder, folders, files in os.walk(context):
        folders[:] = sorted(name for name in folders if not _any_match(name, skipped))
        for name in sorted(files):
            if not _any_match(name, skipped):
                yield Path(folder, name)


def _any_match(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _no_wheel(build: BuildSettings, pattern: str) -> BuildError:
    folder = build.context / Path(pattern).parent
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    there = f"in {folder} there is: {', '.join(names[:10]) or 'nothing'}"
    if not folder.is_dir():
        there = f"there is no folder {folder}"
    ran = "; ".join(build.before)
    return BuildError(
        "before-build made no wheel" if ran else "there is no wheel to copy into the image",
        f"{build.dockerfile.name} copies {pattern}; {there}"
        + (f"; before-build ran: {ran}" if ran else ""),
        "make it write there (`uv build --wheel --out-dir dist`)"
        if ran
        else 'make it before the build: before-build = ["uv build --wheel"]',
    )


def _check_platform(image: Image, platform: Platform, source: str) -> None:
    if not _same(image.platform, platform):
        extra = " (a FROM with a fixed --platform makes one)" if source == "build" else ""
        raise _wrong_platform(image, platform, extra)


def _wrong_platform(image: Image, platform: Platform, extra: str) -> PlatformError:
    return PlatformError(
        "the image is of another platform",
        f"{image.reference} is {image.platform}, asked for is {platform}{extra}",
        f"build it for {platform} (`docker buildx build --platform {platform} …`), or choose "
        f"--container-platform={image.platform}",
    )


def _same(actual: Platform, wanted: Platform) -> bool:
    return (actual.os, actual.architecture) == (wanted.os, wanted.architecture) and (
        not wanted.variant or not actual.variant or wanted.variant == actual.variant
    )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
