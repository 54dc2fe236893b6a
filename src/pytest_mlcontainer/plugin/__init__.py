"""pytest's hooks. Each unpacks, calls and hands back; nothing heavy is imported without need.

With `--container` absent this module costs what the few lines below cost: a test holds that neither
docker nor numpy is imported then.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.plugin.fixtures import (
    compare_outputs,
    inference_run,
    inference_server,
    mlcontainer_project,
    platform_matrix,
    project_image,
    run_entrypoint,
    training_run,
)
from pytest_mlcontainer.plugin.key import SESSION

__all__ = [
    "compare_outputs",
    "inference_run",
    "inference_server",
    "mlcontainer_project",
    "platform_matrix",
    "project_image",
    "run_entrypoint",
    "training_run",
]

VARY = "--container-vary"
TABLE_ALONE = "mlcontainer test"
SKIP_REASON = "runs containers: needs --container"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mlcontainer", "containers of machine-learning projects")
    group.addoption(
        "--container",
        action="store_true",
        help="build, run and compare in containers; without it such tests are skipped",
    )
    group.addoption(
        "--container-platform",
        metavar="LIST",
        help="platforms instead of the configured ones: linux/amd64,linux/arm64,native,host",
    )
    group.addoption(
        "--container-image", metavar="REF", help="test this image instead of building one"
    )
    group.addoption(
        "--container-engine",
        metavar="[PLATFORM=]URL",
        action="append",
        default=[],
        help="engine to use, for one platform or for all: a URL or the name of a docker context",
    )
    group.addoption(
        "--container-keep",
        metavar="none|failed|all",
        help="which containers stay on the engine for a look; `mlcontainer clean` removes them",
    )
    group.addoption(
        "--container-gpus", metavar="SPEC", help="GPUs for every run, as docker run --gpus"
    )
    group.addoption(
        "--container-repeat",
        metavar="N",
        help="run everything N times on each platform; what differs then is noise, not drift",
    )
    _add_searching(group)
    _add_showing(group)


def _add_searching(group: pytest.OptionGroup) -> None:
    group.addoption(
        VARY,
        metavar="NAMES",
        nargs="?",
        const="all",
        help="change the environment in ways that must not matter, all that apply or "
        "threads,simd,…, and name the cause where outputs drift; `mlcontainer explain --list` "
        "lists them",
    )
    group.addoption(
        "--container-budget", metavar="N", help="the most runs that the search for a cause may make"
    )
    group.addoption(
        "--container-locate",
        action="store_true",
        help="where outputs drift, find the line of the project's Python code at which the runs "
        "part, by watching both and exchanging values; takes mostly four more runs a drift, ten "
        "at most",
    )
    group.addoption(
        "--container-cure",
        action="store_true",
        help="where outputs drift, find the smallest set of settings with which the runs agree, or "
        "try a change of the program from outside, confirmed by three runs a side",
    )


def _add_showing(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--container-progress",
        metavar="auto|live|plain|none",
        help="how what goes on is shown: live below the tests, in plain lines, or not; by default "
        "as the terminal allows",
    )
    group.addoption(
        "--container-report",
        metavar="DIR",
        help="write report.html, report.json and summary.md into this folder",
    )
    group.addoption(
        "--container-records", metavar="DIR", help="keep a record of every run in this folder"
    )
    group.addoption(
        "--container-push",
        metavar="REF",
        help="publish the tested images under this name, as one index, and read it back; only "
        "when everything has passed and nothing was left out",
    )
    group.addoption(
        "--container-baseline",
        metavar="DIR",
        help="hold every run against the records kept in this folder, too",
    )
    group.addoption(
        "--container-update",
        action="store_true",
        help="write the records of --container-baseline anew where they no longer agree",
    )


def _misspelt(args: list[str], parser: pytest.Parser) -> dict[str, str]:
    """Of options that nobody has, the one of ours that each may be meant as."""
    # Not `--cov`, `--color` and `--co`, which are given often, and meant.
    ours = [name for option in parser.getgroup("mlcontainer").options for name in option.names()]
    given = {word.partition("=")[0] for word in args if word.startswith("--con")} - set(ours)
    if not given:
        return {}
    from difflib import get_close_matches

    near = ((name, get_close_matches(name, ours, 1, 0.8)) for name in sorted(given))
    return {f"{name}, did you mean": found[0] for name, found in near if found}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    if VARY in args:
        from pytest_mlcontainer.config.options import join_vary

        args[:] = join_vary(VARY, args)
    # pytest shows this below options that nothing here knows, as a plugin's that is not installed.
    extra = getattr(parser, "extra_info", None)
    if isinstance(extra, dict):
        alone = f"to run containers without them, {TABLE_ALONE}"
        others = {alone: "runs [tool.mlcontainer] alone"} if "--container" in args else {}
        extra.update(_misspelt(args, parser) or others)
    # After every other plugin and conftest: a project may well have a --gpus of its own, which
    # then wins, and argparse would refuse the second one.
    try:
        result = yield
    except BaseException:
        if "--container" in args:
            line = f"→ `{TABLE_ALONE}` runs [tool.mlcontainer] alone, without any conftest.py"
            print(line, file=sys.stderr)
        raise
    groups = getattr(parser, "_groups", ()), (getattr(parser, "_anonymous", None),)
    options = (option for group in (*groups[0], *groups[1]) if group for option in group.options)
    if not any("--gpus" in option.names() for option in options):
        group = parser.getgroup("mlcontainer")
        group.addoption(
            "--gpus", dest="container_gpus", metavar="SPEC", help="the same as --container-gpus"
        )
    return result


@pytest.hookimpl(trylast=True)  # after pytest's own, which makes the terminal reporter
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "container: builds or runs containers; needs --container")
    if config.getoption("container"):
        from pytest_mlcontainer.plugin.controller import begin

        begin(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        from pytest_mlcontainer.plugin.session import session_of

        session_of(config).end()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name != "pyproject.toml" or b"container" not in file_path.read_bytes().lower():
        return None  # most projects; they need not pay for more
    from pytest_mlcontainer.config.files import has_table

    if not has_table(file_path):
        return None
    from pytest_mlcontainer.plugin.items import ProjectFile

    return ProjectFile.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)  # before -m looks at markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if _uses_containers(item)]
    for item in ours:
        item.add_marker("container")
        if not config.getoption("container"):
            reason = getattr(item, "skip_reason", SKIP_REASON)
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_deselected(items: list[pytest.Item]) -> None:
    ours = [item for item in items if _uses_containers(item)]
    if ours and SESSION in ours[0].config.stash:
        from pytest_mlcontainer.plugin.publishing import left_out

        left_out(ours[0].config).extend(item.nodeid for item in ours)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if SESSION in session.config.stash:
        from pytest_mlcontainer.plugin.publishing import tell

        tell(session.config)


def pytest_collection_finish(session: pytest.Session) -> None:
    if SESSION in session.config.stash:
        from pytest_mlcontainer.plugin.preflight import check
        from pytest_mlcontainer.plugin.session import session_of

        check(session_of(session.config), filter(_uses_containers, session.items))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if SESSION in item.config.stash:
        from pytest_mlcontainer.plugin.session import session_of

        session_of(item.config).results.begin(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if SESSION in item.config.stash:
        from pytest_mlcontainer.plugin.session import session_of

        session = session_of(item.config)
        if call.excinfo is not None:
            session.wording.explain(item, call.excinfo, report)
        session.results.attach(item, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if SESSION in node.config.stash:
        from pytest_mlcontainer.plugin.session import session_of

        node.workerinput.update(session_of(node.config).for_workers())


def _uses_containers(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "mlcontainer_project" in names or getattr(item, "runs_containers", False)
