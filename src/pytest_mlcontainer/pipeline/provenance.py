"""Where an image comes from, in the words of SLSA 1.0 (https://slsa.dev/spec/v1.0/provenance)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.model import Image, ImageJob, Settings

PACKAGE: Final = "pytest-mlcontainer"
_HOME: Final = f"pkg:pypi/{PACKAGE}"
"""This package as a URI, in the form of https://github.com/package-url/purl-spec."""
_GIT_S: Final = 20.0


def provenance(
    settings: Settings,
    job: ImageJob,
    image: Image,
    tests: tuple[str, ...],
    environ: Mapping[str, str],
    processes: Processes,
) -> dict[str, Any]:
    """What is known of how an image was made and tested; values of build arguments are left out.

    Args:
        tests: those that passed.
    """
    build, root = settings.build, settings.root
    outside: dict[str, Any] = {"platform": str(job.target.platform)}
    if job.reference is None:
        outside["dockerfile"] = _relative(build.dockerfile, root)
        outside["context"] = _relative(build.context, root)
        outside["buildArgs"] = [name for name, _value in build.args]
        if build.target is not None:
            outside["target"] = build.target
    else:
        outside["image"] = job.reference
    return {
        "buildDefinition": {
            "buildType": f"{_HOME}#{'built' if image.built else 'found'}",
            "externalParameters": outside,
            "resolvedDependencies": list(_sources(root, environ, processes)),
        },
        "runDetails": {
            "builder": {"id": _builder(environ), "version": {PACKAGE: version(PACKAGE)}},
            "metadata": {"finishedOn": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
            "byproducts": [{"name": name, "annotations": {"outcome": "passed"}} for name in tests],
        },
    }


def _builder(environ: Mapping[str, str]) -> str:
    """The page of the job that ran this; without one, this package's."""
    if environ.get("GITHUB_RUN_ID"):
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        repository, run = environ.get("GITHUB_REPOSITORY"), environ["GITHUB_RUN_ID"]
        return f"{server}/{repository}/actions/runs/{run}"
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL") or _HOME


def _sources(
    root: Path, environ: Mapping[str, str], processes: Processes
) -> Iterator[dict[str, Any]]:
    """The commit of the project, where git knows one."""
    commit = _git(root, environ, processes, "rev-parse", "HEAD")
    if not commit:
        return
    changed = _git(root, environ, processes, "status", "--porcelain")
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    address = f"{server}/{repository}" if server and repository else environ.get("CI_PROJECT_URL")
    yield {
        **({"uri": f"git+{address}@{commit}"} if address else {"name": "the project"}),
        "digest": {"gitCommit": commit},
        "annotations": {"uncommitted changes": bool(changed)},
    }


def _git(root: Path, environ: Mapping[str, str], processes: Processes, *words: str) -> str:
    """What git prints; "" where there is none, or no repository."""
    try:
        done = processes.run(["git", *words], cwd=root, env=environ, timeout_s=_GIT_S)
    except OSError:
        return ""
    return done.output.strip() if done.exit_code == 0 and not done.timed_out else ""


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
