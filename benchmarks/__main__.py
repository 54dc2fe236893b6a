"""Run the benchmarks and hold them against their bars; ends with 1 when one is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from subprocess import CalledProcessError
from types import ModuleType

from benchmarks import (
    comparison,
    display,
    image_check,
    image_checks,
    overhead,
    platforms,
    recording,
    report,
    startup,
    watching,
)
from benchmarks.measure import Figure
from pytest_mlcontainer.errors import MlContainerError

_BENCHMARKS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        startup,
        comparison,
        display,
        overhead,
        image_check,
        image_checks,
        platforms,
        recording,
        report,
        watching,
    )
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print a line for each figure as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(_BENCHMARKS))
    parser.add_argument("--runs", metavar="N", type=int, help="rounds instead of each one's own")
    arguments = parser.parse_args(argv)
    print(f"{'benchmark':10} {'figure':34} {'medians':>20} {'value':>9} {'bar':>9}")
    figures: list[Figure] = []
    for name in arguments.only or _BENCHMARKS:
        module = _BENCHMARKS[name]
        try:
            for figure in module.figures(arguments.runs or module.ROUNDS):
                figures.append(figure)
                print(_line(figure), flush=True)
        except (MlContainerError, OSError, RuntimeError, CalledProcessError) as error:
            print(f"{name:10} could not be measured: {error}", file=sys.stderr)
            return 1
    missed = [figure for figure in figures if not figure.passes]
    print(f"{len(figures) - len(missed)} of {len(figures)} within their bars")
    return 1 if missed else 0


def _line(figure: Figure) -> str:
    value, bar = (f"{number:.2f} {figure.unit}" for number in (figure.value, figure.bar))
    verdict = "pass" if figure.passes else "MISS"
    return f"{figure.name:10} {figure.what:34} {figure.detail:>20} {value:>9} {bar:>9}  {verdict}"


if __name__ == "__main__":
    sys.exit(main())
