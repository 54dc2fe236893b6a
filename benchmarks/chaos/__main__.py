"""Try the faults and print the table; ends with 1 when anything did not survive."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.chaos import (
    floods,
    fuzz,
    hostile,
    kills,
    many_pods,
    many_runs,
    pods,
    readers,
    restarts,
    sharing,
)
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.session import end_all
from benchmarks.chaos.suites import SECRETS, SHARING, rows_of
from benchmarks.chaos.table import Row, markdown, plain
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.errors import MlContainerError

FAULTS: dict[str, Callable[[Plan], Iterable[Row]]] = {
    **{
        module.NAME: module.rows
        for module in (
            kills,
            restarts,
            floods,
            many_runs,
            sharing,
            hostile,
            readers,
            fuzz,
            pods,
            many_pods,
        )
    },
    **{suite.name: partial(rows_of, suite=suite) for suite in (SECRETS, SHARING)},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Try what was asked for; each row is printed as it is known, and all of them at the end."""
    arguments = _parse(argv)
    # As Ctrl-C does: what was made on the engine is removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        api = open_client(None, os.environ)
    except MlContainerError as error:
        print(error, file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="mlcontainer-chaos-"))
    plan = Plan(
        api,
        folder,
        arguments.seed,
        arguments.trials,
        arguments.only,
        arguments.kind,
        quick=arguments.quick,
        shared=arguments.shared,
    )
    rows: list[Row] = []
    try:
        whole = _try_all(plan, arguments.names or FAULTS, rows)
    finally:
        # Of an interrupted trial the session would go on.
        for place in folder.iterdir():
            end_all(place.name)
        api.close()
    _finish(rows, folder, arguments.out)
    return 0 if whole and all(row.passes for row in rows) else 1


def _try_all(plan: Plan, names: Iterable[str], rows: list[Row]) -> bool:
    """Add the rows of these faults; returns whether each could be tried."""
    whole = True
    for name in names:
        try:
            for row in FAULTS[name](plan):
                rows.append(row)
                print(plain((row,)).splitlines()[1], flush=True)
        except (MlContainerError, OSError, RuntimeError) as error:
            print(f"{name} could not be tried: {error}", file=sys.stderr)
            whole = False
    return whole


def _finish(rows: Sequence[Row], folder: Path, out: Path | None) -> None:
    print(f"\n{plain(rows)}")
    for row in rows:
        for problem in row.problems:
            print(f"{row.fault}: {problem}", file=sys.stderr)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "chaos.md").write_text(f"{markdown(rows)}\n", encoding="utf-8")
    if any(folder.iterdir()):
        print(f"what failed is in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=", ".join(FAULTS))
    parser.add_argument("--trials", metavar="N", type=int, help="instead of each fault's own")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of moments and inputs")
    parser.add_argument("--only", metavar="N", type=int, help="the trial of this number alone")
    parser.add_argument("--kind", metavar="TEXT", help="of kills: this one, e.g. worker")
    parser.add_argument("--quick", action="store_true", help="a few trials of everything")
    parser.add_argument(
        "--shared", action="store_true", help="others use the engine too: count labelled things"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write chaos.md into this folder")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in FAULTS]
    if unknown:
        parser.error(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
