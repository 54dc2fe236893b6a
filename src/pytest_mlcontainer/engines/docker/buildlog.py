"""Reading BuildKit's `--progress=rawjson`, and explaining the step that failed."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from typing import Any

from pytest_mlcontainer.dockerfile import near_stage, read_dockerfile, stage_names
from pytest_mlcontainer.engines import LogLine
from pytest_mlcontainer.engines.build_checks import dockerfile_remedy
from pytest_mlcontainer.engines.docker.build_steps import StepLog
from pytest_mlcontainer.engines.docker.refusals import lost_a_layer
from pytest_mlcontainer.engines.failures import (
    EXEC_FORMAT,
    FULL_DISK_REMEDY,
    cut_line,
    is_full_disk,
    no_emulation,
)
from pytest_mlcontainer.engines.registry_words import RegistryTrouble, registry_trouble
from pytest_mlcontainer.engines.trial_builds import BuildStep
from pytest_mlcontainer.errors import BuildError, MlContainerError
from pytest_mlcontainer.model import BuildSettings, Platform
from pytest_mlcontainer.progress.events import DETAIL
from pytest_mlcontainer.progress.far import TransferProgress, Transfers
from pytest_mlcontainer.secrets import NOTHING, Redactor

_LAST_LINES = 15
_ERROR_LINES = 8  # of them, kept for stderr
_STDERR = 2
# What containerd says when it removes an image's layers while another that has them is exported.
_LOST_ENGINE = re.compile(
    r"code = (Unavailable|Canceled)|error reading (from server|preface)|connection (reset|refused)"
    r"|Cannot connect to the Docker daemon|server (preface|transport)|closing transport"
    r"|\bEOF\b|http2: |broken pipe|listing workers|502 Bad Gateway|503 Service Unavailable"
)
# Whose connections break in the same words.
_REGISTRY = re.compile("do request|source metadata|load metadata|failed to (resolve|copy|fetch)")
_STEP = re.compile(r"^\[[^\]]*\d+/\d+\]")
_RUN = re.compile(r"^\[[^\]]*\d+/\d+\] RUN ")
_READ_CACHE = "importing cache manifest from "
_CACHE_PLACE = re.compile(r"(?:type|ref|src|dest)=[^,]*")
_CACHE_KEYS = (
    ("cache-to", re.compile("exporting cache|cache export", re.IGNORECASE)),
    ("cache-from", re.compile("importing cache|cache import", re.IGNORECASE)),
)


class BuildLog:
    """Collects what one build says, and passes it on a line at a time as it happens.

    Args:
        log: called with each step as it starts and each line that a step prints.
        hidden: what must not be in anything that is said; before lines are cut where they get long.
    """

    def __init__(self, log: LogLine, hidden: Redactor = NOTHING) -> None:
        self._log = log
        self._hidden = hidden
        self._names: dict[str, str] = {}
        self._printed: dict[str, _Printed] = {}
        self._announced: set[str] = set()
        self._running: list[str] = []  # names of RUN steps that have not ended
        self._transfers: dict[str, Transfers] = {}
        self._steps = StepLog(hidden)
        self.failed_step: str = ""
        self._failed = ""
        self.error: str = ""
        self.plain: list[str] = []
        self.last_step: str = ""
        self.exit_code = 0
        self.digest: str | None = None
        self._unread_caches: dict[str, str] = {}

    @property
    def steps(self) -> tuple[BuildStep, ...]:
        return self._steps.steps()

    @property
    def failed(self) -> bool:
        return self.exit_code != 0

    @property
    def failed_lines(self) -> tuple[str, ...]:
        """The last lines of the failed step; some come after the news that it has failed."""
        printed = self._printed.get(self._failed)
        return () if printed is None else printed.telling_lines()

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of a build that worked: caches that it did without."""
        return tuple(
            f"the build did without the cache {source}, of `cache-from` in [tool.mlcontainer], as "
            f"it could not be read ({cut_line(error)}): `docker login` where it asks for one, or "
            "leave it out"
            for source, error in self._unread_caches.items()
        )

    def feed(self, line: str) -> None:
        """Take one line of what buildx printed; lines that are no JSON are its closing words."""
        if not line.startswith("{"):
            self.plain.append(self._hidden.text(line))
            return
        try:
            event = json.loads(line)
        except ValueError:
            self.plain.append(self._hidden.text(line))
            return
        self._steps.feed(event)
        for vertex in event.get("vertexes") or ():
            self._vertex(vertex)
        for status in event.get("statuses") or ():
            self._transfer(status)
        for entry in event.get("logs") or ():
            self._print(entry)

    def lacks_image(self, reference: str) -> bool:
        """Whether the build ended because `reference` could not be had."""
        name = re.sub(r"(@.*|:[^/:]*)$", "", reference)
        # In one line: the closing words also show the Dockerfile around whatever failed.
        return any(
            name in line and sign in line
            for line in self.text.splitlines()
            for sign in ("failed to resolve source metadata", "failed to do request", "not found")
        )

    @property
    def lost_a_layer(self) -> bool:
        """Whether the build ended because a layer was removed meanwhile: another try makes it."""
        return self.failed and lost_a_layer(self.text)

    @property
    def closing_words(self) -> str:
        """What buildx itself says of the end, without what any step has printed."""
        return "\n".join(line for line in self.plain if line.startswith(("ERROR", "error:")))

    @property
    def lost_the_engine(self) -> bool:
        """Whether the build ended because the connection to the engine did."""
        lines = (*self.error.splitlines(), *self.closing_words.splitlines())
        own = (line for line in lines if not _REGISTRY.search(line))
        return self.failed and any(_LOST_ENGINE.search(line) for line in own)

    @property
    def text(self) -> str:
        return "\n".join((self.error, *self.plain))

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], self._hidden.text(vertex.get("name", ""))
        self._names[digest] = name
        if vertex.get("started") and digest not in self._announced:
            self._announced.add(digest)
            self.last_step = name
            self._log(name)
            if _RUN.match(name):
                self._running.append(name)
        if vertex.get("completed"):
            self._ended(name)
        error = self._hidden.text(vertex.get("error", ""))
        if error and name.startswith(_READ_CACHE):
            # BuildKit goes on without it, so it is never why a build fails. One that is not there
            # yet is made by the first build, and nothing to speak of.
            if not error.endswith("not found"):
                self._unread_caches[name.removeprefix(_READ_CACHE)] = error
            return
        # Steps that run beside the failing one end as "context canceled"; they are not the cause.
        if error and "context canceled" not in error and not self.error:
            self.error, self.failed_step, self._failed = error, name, digest

    def _ended(self, name: str) -> None:
        """Where a step that began beside it goes on, that is what the build is at again."""
        if name in self._running:
            self._running.remove(name)
        if name == self.last_step and self._running:
            self.last_step = self._running[-1]
            self._log(self.last_step)

    def _transfer(self, status: dict[str, Any]) -> None:
        """What a step fetches: layers of an image, the context."""
        current, total = status.get("current", 0), status.get("total")
        if total or status["id"].startswith("transferring context"):
            step = self._transfers.setdefault(
                status["vertex"], Transfers(TransferProgress(self._log))
            )
            step.take(status["id"], current, total)

    def _print(self, entry: dict[str, Any]) -> None:
        printed = self._printed.setdefault(entry["vertex"], _Printed(self._hidden))
        data = base64.b64decode(entry.get("data") or "")
        lines = printed.feed(entry.get("stream", 1), data)
        self._steps.printed(entry["vertex"], lines)
        for line in lines:
            self._log(DETAIL + line)


class _Printed:
    """What one step prints: two streams, in pieces that end anywhere in a line."""

    def __init__(self, hidden: Redactor) -> None:
        self._hidden = hidden
        self._count = 0
        self._last: dict[int, deque[tuple[int, str]]] = {}
        self._rests: dict[int, bytes] = {}

    def feed(self, stream: int, data: bytes) -> list[str]:
        """Take a piece; returns the lines that it completes."""
        *whole, rest = (self._rests.get(stream, b"") + data).split(b"\n")
        self._rests[stream] = rest
        lines = [self._hidden.text(line) for line in map(_shown, whole) if line]
        last = self._last.setdefault(stream, deque(maxlen=_LAST_LINES))
        last.extend(enumerate(lines, self._count))
        self._count += len(lines)
        return lines

    def telling_lines(self) -> tuple[str, ...]:
        """The last lines, and stderr's last even where stdout, buffered longer, came after them."""
        for stream in tuple(self._rests):
            self.feed(stream, b"\n")
        errors = list(self._last.get(_STDERR, ()))[-_ERROR_LINES:]
        others = sorted(line for last in self._last.values() for line in last)
        others = [line for line in others if line not in errors]
        chosen = errors + others[len(errors) - _LAST_LINES :]
        return tuple(cut_line(line) for _number, line in sorted(chosen))


def _shown(line: bytes) -> str:
    """A line as a terminal would leave it: a progress bar overwrites itself."""
    return line.decode("utf-8", "replace").rstrip().rpartition("\r")[2]


def explain_build(
    seen: BuildLog, build: BuildSettings, platform: Platform, *, emulated: bool
) -> MlContainerError:
    """The failing step, its last lines, and what usually helps."""
    if emulated and any(EXEC_FORMAT in line for line in (seen.text, *seen.failed_lines)):
        return no_emulation(platform, f"{seen.failed_step or build.dockerfile.name}: {EXEC_FORMAT}")
    step = seen.failed_step or "before its first step"
    value = "\n".join([f"{build.dockerfile.name}, {step}", *seen.failed_lines, _reason(seen)])
    return BuildError(f"the image for {platform} could not be built", value, _remedy(seen, build))


def _reason(seen: BuildLog) -> str:
    if seen.error:
        return cut_line(seen.error)
    kept = [line for line in seen.plain if line.strip() and not line.startswith("----")]
    return "\n".join(cut_line(line) for line in kept[-_LAST_LINES:])


def _remedy(seen: BuildLog, build: BuildSettings) -> str:
    text = seen.text
    base = re.search(r"(?:load metadata for|source metadata for) (\S+?):? ", text + " ")
    if "failed to resolve source metadata" in text or "load metadata for" in seen.failed_step:
        name = (base.group(1) if base else "the image").rstrip(":")
        trouble = registry_trouble(seen.error or seen.closing_words, name)
        near = near_stage(stage_names(read_dockerfile(build.dockerfile)), _familiar(name))
        slip = f"if the stage {near} is meant, correct its name. Else " if near else ""
        return slip + _other_source(_familiar(name), trouble)
    if re.search(r"(lstat|checksum|failed to compute cache key).*(not found|no such file)", text):
        ignore = build.context / ".dockerignore"
        hint = f"; {ignore.name} may exclude it" if ignore.exists() else ""
        wheel = (
            '. A wheel has to be made first: before-build = ["uv build --wheel"]'
            if re.search(r"\.whl|\bdist\b", f"{seen.failed_step} {text}")
            else ""
        )
        return f"what is copied must be in the build's context, {build.context}{hint}{wheel}"
    if is_full_disk("\n".join((text, *seen.failed_lines))):
        return f"the engine's disk is full: {FULL_DISK_REMEDY}"
    if _is_refused(seen, build):
        return dockerfile_remedy(seen.closing_words)
    for key, said in _CACHE_KEYS:
        if said.search(f"{seen.failed_step}\n{seen.error or seen.closing_words}"):
            return f"correct or leave out `{key}` in [tool.mlcontainer]: {_cache_help(key, build)}"
    if _STEP.match(seen.failed_step):
        return "the lines above are the step's own; change it or what it needs, then run again"
    return "the reason above is the engine's own word"


def _other_source(name: str, trouble: RegistryTrouble | None) -> str:
    """What to do where a build does not get the image that it begins with."""
    why = "the registry has no such image, or none for this platform: check its name"
    if trouble is not None:
        why = f"{trouble.what}: {trouble.remedy}"
    return (
        f"{why}. Or give the build another source: "
        f'build-contexts = {{ "{name}" = "docker-image://…-{{arch}}" }} '
        "(one local tag for each platform: one of another architecture counts as missing), "
        "or a registry mirror in the engine's configuration"
    )


def _is_refused(seen: BuildLog, build: BuildSettings) -> bool:
    """Whether BuildKit did not begin with any step, because of what stands in the Dockerfile."""
    name = re.escape(build.dockerfile.name)
    said = rf"no build stage|contains no stages|cannot be empty|target stage|(?m:^{name}:\d+$)"
    return not seen.failed_step and re.search(said, seen.text) is not None


def _cache_help(key: str, build: BuildSettings) -> str:
    """What it says now, and what a cache needs."""
    values = build.cache_to if key == "cache-to" else build.cache_from
    # Other parts of a value may be a password.
    named = (_CACHE_PLACE.findall(value) or [value.partition("=")[0]] for value in values)
    shown = ", ".join(f'"{",".join(parts)}"' for parts in named)
    return (
        f"it is [{shown}]. A registry has to be reached from the engine, and may ask for a login "
        "(`docker login`); kinds other than type=inline need containerd's image store or a "
        "`builder` of their own"
    )


def _familiar(name: str) -> str:
    """`docker.io/library/python:3.13-slim` is `python:3.13-slim` in a Dockerfile."""
    return name.removeprefix("docker.io/").removeprefix("library/")
