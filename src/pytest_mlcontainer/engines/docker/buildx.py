"""Building with `docker buildx`: docker-py knows nothing of BuildKit (docker/docker-py#2230)."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.dockerfile import parse_directives, read_dockerfile
from pytest_mlcontainer.engines import Built, LogLine
from pytest_mlcontainer.engines.docker.buildlog import BuildLog, explain_build
from pytest_mlcontainer.engines.docker.client import EngineClient
from pytest_mlcontainer.engines.docker.connect import is_url
from pytest_mlcontainer.engines.process import Completed, Processes
from pytest_mlcontainer.engines.trial_builds import TrialBuild, TrialBuilt
from pytest_mlcontainer.errors import BuildError, EngineError
from pytest_mlcontainer.model import BuildSettings, Pairs, Platform
from pytest_mlcontainer.secrets import NOTHING, Redactor
from pytest_mlcontainer.temporary import temporary_folder

MINIMUM_BUILDX = (0, 13)  # the first with --progress=rawjson
_VERSION_TIMEOUT_S = 60
_ATTEMPTS = 3
_HOW_TO_GET_BUILDX = (
    "install the buildx plugin (Debian, Ubuntu: `apt-get install docker-buildx`; elsewhere the "
    "package docker-buildx-plugin or Docker Desktop), version 0.13 or later"
)


@dataclass(frozen=True)
class _BuildRequest:
    """What `Buildx.build` was asked for."""

    build: BuildSettings
    platform: Platform
    tag: str
    labels: Pairs
    log: LogLine
    hidden: Redactor
    trial: TrialBuild | None = None


class Buildx:
    """Runs `docker buildx build` against one engine.

    Args:
        endpoint: URL or context name of the engine; None is the default one.
        environ: environment variables for the command.
        engine: the same engine; a build that fails because it went away is made once more.
    """

    def __init__(
        self,
        endpoint: str | None,
        environ: Mapping[str, str],
        processes: Processes,
        engine: EngineClient | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._environ = dict(environ)
        if endpoint is not None and is_url(endpoint):
            self._environ["DOCKER_HOST"] = endpoint
            self._environ.pop("DOCKER_CONTEXT", None)
        elif endpoint is not None:
            self._environ.pop("DOCKER_HOST", None)
            self._environ["DOCKER_CONTEXT"] = endpoint
        self._processes = processes
        self._engine = engine
        self._command: tuple[str, ...] | None = None

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        emulates: Callable[[Platform], bool] = lambda _platform: False,
        hidden: Redactor = NOTHING,
    ) -> Built:
        """See `Engine.build` and `Engine.emulates`, which is asked only when a build has failed."""
        with hidden.guarding():
            asked = _BuildRequest(build, platform, tag, labels, log, hidden)
            seen, notes = self._build_somehow(asked, emulates)
            return Built(seen.digest, notes)

    def try_build(
        self,
        build: BuildSettings,
        platform: Platform,
        trial: TrialBuild,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> TrialBuilt:
        """Build to see how that goes; errors as of `build`."""
        asked = _BuildRequest(
            replace(build, cache_from=(), cache_to=()), platform, "", (), log, hidden, trial
        )
        began = time.monotonic()
        with hidden.guarding():
            seen, notes = self._build_somehow(asked, lambda _platform: False)
            return TrialBuilt(seen.steps, time.monotonic() - began, notes)

    def _build_somehow(
        self, asked: _BuildRequest, emulates: Callable[[Platform], bool]
    ) -> tuple[BuildLog, tuple[str, ...]]:
        """Build; without the Dockerfile's `# syntax=` line where only that was in the way."""
        build, platform = asked.build, asked.platform
        seen = self._build(asked, build.dockerfile)
        if not seen.failed:
            return seen, seen.notes
        self._check_version()
        syntax = frontend_image(build.dockerfile)
        if syntax is None or not seen.lacks_image(syntax):
            raise explain_build(seen, build, platform, emulated=emulates(platform))
        # The line asks a registry for the very frontend that the engine has built in.
        with without_syntax_line(build.dockerfile) as dockerfile:
            seen = self._build(asked, dockerfile)
        if seen.failed:
            raise explain_build(seen, build, platform, emulated=emulates(platform))
        note = without_frontend_note(build.dockerfile, syntax, "built")
        return seen, (note, *seen.notes)

    def _build(self, asked: _BuildRequest, dockerfile: Path) -> BuildLog:
        """Build once; again where only the removal of another image, or the engine, was to blame.

        What was built before is in the engine's cache.

        Raises:
            EngineError: the engine went away and stays away.
        """
        lost = False
        for left in reversed(range(_ATTEMPTS)):
            seen = self._build_once(asked, dockerfile)
            if seen.lost_a_layer and left:
                asked.log("a layer was removed while it was exported; building again")
            elif left and not lost and self._lost_the_engine(seen):
                lost = True
                asked.log("the engine went away and is back; building again")
            else:
                return seen
        return seen

    def _lost_the_engine(self, seen: BuildLog) -> bool:
        if not seen.failed or self._engine is None:
            return False
        if not seen.lost_the_engine and self._engine.answers():
            return False
        if not self._engine.comes_back():
            raise EngineError(
                "the engine went away while the image was built",
                f"it was at: {seen.last_step or 'its start'}\n{seen.closing_words}".strip(),
                "look at the engine's own log (`journalctl -u docker`), then run again",
            )
        return True

    def _build_once(self, asked: _BuildRequest, dockerfile: Path) -> BuildLog:
        seen, build = BuildLog(asked.log, asked.hidden), asked.build
        with temporary_folder() as folder:
            metadata = folder / "metadata.json"
            done = self._processes.run(
                [*self._program(), *_words(asked, dockerfile), f"--metadata-file={metadata}"],
                cwd=build.context,
                env=self._environ,
                timeout_s=build.timeout_s,
                on_line=seen.feed,
            )
            seen.digest = _digest(metadata)
        if done.timed_out:
            if self._engine is not None and not self._engine.answers():
                raise EngineError(
                    "the engine does not answer",
                    f"after {build.timeout_s:g} s of a build; it was at: {seen.last_step}",
                    "restart it, and look at its own log (`journalctl -u docker`)",
                )
            raise BuildError(
                "the build ran past its limit",
                f"{build.timeout_s:g} s; it was at: {seen.last_step or 'its start'}",
                "raise build-timeout in [tool.mlcontainer], or order the Dockerfile for the cache",
            )
        seen.exit_code = done.exit_code
        return seen

    def run(
        self,
        words: Sequence[str],
        folder: Path,
        timeout_s: float,
        *,
        stdout: Path | None = None,
        stderr: Path | None = None,
    ) -> Completed:
        """Run a subcommand such as `inspect` in `folder`, for at most `timeout_s` seconds.

        Args:
            stdout, stderr: files to write to; otherwise what it prints is returned.

        Raises:
            EngineError: there is no buildx.
        """
        argv = [*self._program(), *words]
        return self._processes.run(
            argv,
            cwd=folder,
            env=self._environ,
            timeout_s=timeout_s,
            stdout=stdout,
            stderr=stderr,
        )

    def _program(self) -> tuple[str, ...]:
        """The command that is buildx.

        The plugin's own binary where it is found: `docker buildx` looks at every plugin there is
        before it runs this one, which takes as long as a build in which nothing has changed.
        """
        if self._command is None:
            self._command = self._find()
        return self._command

    def _find(self) -> tuple[str, ...]:
        path = self._environ.get("PATH", os.defpath)
        docker = shutil.which("docker", path=path)
        # The plugin by itself would not see that TLS is asked for.
        if not (docker and self._environ.get("DOCKER_TLS_VERIFY")):
            plugins = _plugin_folders(self._environ) if docker else ()
            folders = os.pathsep.join((*plugins, path))
            for name in ("docker-buildx", "buildx"):
                found = shutil.which(name, path=folders)
                if found is not None:
                    return (found,)
        if docker is not None and self._version((docker, "buildx")) is not None:
            return (docker, "buildx")
        tried = "`docker buildx version` fails" if docker else "no docker on PATH"
        raise EngineError(
            "there is no usable buildx", f"{tried}; no docker-buildx on PATH", _HOW_TO_GET_BUILDX
        )

    def _check_version(self) -> None:
        """Called only when a build has failed: asking takes time that a good build need not pay.

        Raises:
            EngineError: this buildx cannot have built anything for us.
        """
        program = self._program()
        version = self._version(program)
        shown = Path(program[0]).name
        if version is None:
            said = f"`{' '.join((shown, *program[1:]))} version` fails"
        elif version < MINIMUM_BUILDX:
            said = f"{shown} is buildx {'.'.join(map(str, version))}"
        else:
            return
        raise EngineError("there is no usable buildx", said, _HOW_TO_GET_BUILDX)

    def _version(self, command: tuple[str, ...]) -> tuple[int, ...] | None:
        try:
            done = self._processes.run(
                [*command, "version"],
                cwd=Path("/"),
                env=self._environ,
                timeout_s=_VERSION_TIMEOUT_S,
            )
        except PermissionError:
            return None
        # "github.com/docker/buildx v0.29.1 …"; Debian's has no v and a suffix.
        found = re.search(r"buildx v?(\d+)\.(\d+)", done.output)
        if done.exit_code != 0 or found is None:
            return None
        return tuple(int(part) for part in found.groups())


def _digest(metadata: Path) -> str | None:
    """The image's digest, from what buildx writes about a build."""
    try:
        found = json.loads(metadata.read_text(encoding="utf-8")).get("containerimage.digest")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def _plugin_folders(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where docker keeps its plugins, its own order: the user's, then the system's."""
    home = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME', '')}/.docker"
    system = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
    return (f"{home}/cli-plugins", *(f"{folder}/docker/cli-plugins" for folder in system))


def _words(asked: _BuildRequest, dockerfile: Path) -> list[str]:
    words = arguments(asked.build, dockerfile, asked.platform, asked.tag, asked.labels)
    trial = asked.trial
    if trial is None:
        return words
    first, *rest = (word for word in words if not word.startswith(("--load", "--tag=")))
    more = [] if trial.cached else ["--no-cache"]
    output = "type=cacheonly"
    if trial.archive is not None:
        output = f"type=oci,dest={trial.archive}"
    if trial.epoch is not None:
        more.append(f"--build-arg=SOURCE_DATE_EPOCH={trial.epoch}")
        output += ",rewrite-timestamp=true" if trial.archive is not None else ""
    return [first, f"--output={output}", *more, *rest]


def arguments(
    build: BuildSettings, dockerfile: Path, platform: Platform, tag: str, labels: Pairs
) -> list[str]:
    """The words after `docker buildx`.

    Provenance is off because it turns a plain image into an index, which the classic image store
    cannot load.
    """
    words = ["build", "--progress=rawjson", "--load", "--provenance=false"]
    words += [f"--platform={platform}", f"--tag={tag}", f"--file={dockerfile}"]
    words += [f"--label={name}={value}" for name, value in labels]
    words += [f"--build-arg={name}={value}" for name, value in build.args]
    words += [f"--build-context={name}={_fill(value, platform)}" for name, value in build.contexts]
    words += [f"--cache-from={value}" for value in build.cache_from]
    words += [f"--cache-to={value}" for value in build.cache_to]
    for secret in build.secrets:
        source = f"src={secret.file}" if secret.file else f"env={secret.env}"
        words.append(f"--secret=id={secret.id},{source}")
    if build.target is not None:
        words.append(f"--target={build.target}")
    if build.builder is not None:
        words.append(f"--builder={build.builder}")
    return [*words, str(build.context)]


def frontend_image(dockerfile: Path) -> str | None:
    """The image that a `# syntax=` line asks for, if there is one."""
    directives = parse_directives(read_dockerfile(dockerfile))
    return next((value for name, value in directives if name == "syntax"), None)


def without_frontend_note(dockerfile: Path, syntax: str, done: str) -> str:
    """That a Dockerfile was built, or checked, without the frontend that it asks for."""
    return (
        f"{dockerfile.name}: its `# syntax={syntax}` could not be fetched; {done} with the "
        "engine's own Dockerfile frontend"
    )


@contextmanager
def without_syntax_line(dockerfile: Path) -> Iterator[Path]:
    """A copy of the Dockerfile without its `# syntax=` line, with the same line numbers.

    Other directives, such as `# escape=`, hold only in the first lines; so they move up, and the
    blank line comes after them. The Dockerfile's own ignore file goes along.
    """
    with temporary_folder() as folder:
        copy = folder / dockerfile.name
        text = dockerfile.read_text(encoding="utf-8-sig", errors="surrogateescape")
        names = [name for name, _value in parse_directives(text)]
        lines = text.split("\n")
        del lines[names.index("syntax")]
        lines.insert(len(names) - 1, "")
        copy.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
        ignore = dockerfile.with_name(dockerfile.name + ".dockerignore")
        if ignore.exists():
            shutil.copy(ignore, copy.with_name(ignore.name))
        yield copy


def _fill(template: str, platform: Platform) -> str:
    for name, value in (
        ("{os}", platform.os),
        ("{arch}", platform.architecture),
        ("{variant}", platform.variant),
    ):
        template = template.replace(name, value)
    return template
