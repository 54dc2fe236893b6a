"""How well the default tolerance tells rounding noise from drift, beside other rules.

`python -m benchmarks.noise` computes the noise set on the engine of DOCKER_HOST (both platforms,
some minutes), and prints for each rule how much noise it refuses and how much hidden drift it lets
pass, with its constants as they are and multiplied. Ends with 1 when ours misses hidden drift, or
refuses more noise than the old rule.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.noise import judges
from benchmarks.noise.hidden import Hidden, cases
from benchmarks.noise.judges import Judge
from benchmarks.noise.settings import Noisy, compute, noise

_RULES: dict[str, Callable[[float], Judge]] = {
    "ours": judges.ours,
    "largest value": judges.largest_value,
    "numpy.allclose": judges.numpy,
    "torch.testing": judges.torch,
}
_FACTORS = (0.25, 0.5, 1.0, 2.0, 8.0, 64.0)
_RESIDUALS, _FITTED, _AMBIGUOUS = "residuals", "fitted", "clusters, all small ones"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__)
    parser.add_argument("--results", metavar="DIR", type=Path, help="keep what was computed there")
    parser.add_argument("--names", action="store_true", help="name what ours gets wrong")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mlcontainer-noise-") as temporary:
        folder = arguments.results or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        compute(folder)
        noisy = list(noise(folder))
    hidden = list(cases())
    print(f"{len(noisy)} pairs of noise, {len(hidden)} of hidden drift")
    print(f"{'rule':16} {'×':>6} {'refused noise':>14} {'residuals':>10} {'fitted':>7}", end="")
    print(f" {'missed drift':>13} {'of clusters':>12}")
    figures = {}
    for name, rule in _RULES.items():
        for factor in _FACTORS:
            figures[name, factor] = _line(name, factor, rule(factor), noisy, hidden)
    if arguments.names:
        _say_names(judges.ours(), noisy, hidden)
    ours, old = figures["ours", 1.0], figures["largest value", 1.0]
    return 1 if ours[1] or ours[0] > old[0] else 0


def _line(
    name: str, factor: float, judge: Judge, noisy: Iterable[Noisy], hidden: Iterable[Hidden]
) -> tuple[int, int]:
    refused = Counter(
        each.family if each.family in (_RESIDUALS, _FITTED) else "noise"
        for each in noisy
        if not judge(each.actual, each.expected)
    )
    missed = Counter(
        each.kind if each.kind == _AMBIGUOUS else "hidden"
        for each in hidden
        if judge(each.actual, each.expected)
    )
    print(
        f"{name:16} {factor:6g} {refused['noise']:14} {refused[_RESIDUALS]:10}"
        f" {refused[_FITTED]:7} {missed['hidden']:13} {missed[_AMBIGUOUS]:12}",
        flush=True,
    )
    return refused["noise"], missed["hidden"]


def _say_names(judge: Judge, noisy: Iterable[Noisy], hidden: Iterable[Hidden]) -> None:
    refused = Counter(each.name for each in noisy if not judge(each.actual, each.expected))
    for name, count in refused.most_common():
        print(f"refused noise: {name} ({count})")
    for each in hidden:
        if judge(each.actual, each.expected):
            print(f"missed drift: {each.name}")


if __name__ == "__main__":
    sys.exit(main())
