"""Build the cases, ask about each, and write the table of scores."""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.driftbench import baselines, machine, ranking, regressions, reprotest
from benchmarks.driftbench.cases import SETS, Case, load_cases, select
from benchmarks.driftbench.images import Staged, build_bases, staged
from benchmarks.driftbench.outputs import write_outputs
from benchmarks.driftbench.product import ask
from benchmarks.driftbench.scoring import Answer, names_first
from benchmarks.driftbench.table import Answers, Measurement, as_json, draw, put_into

PRODUCT = "mlcontainer"
_REPEATS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for; ends with 1 when a verdict of the product is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.driftbench", description=__doc__)
    parser.add_argument("--set", choices=(*SETS, "all"), default="development", dest="which")
    parser.add_argument("--case", action="append", default=[], metavar="NAME")
    parser.add_argument("--repeats", type=int, default=_REPEATS, metavar="N")
    parser.add_argument("--baselines", action="store_true", help="measure other tools, too")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for SET.md and SET.json")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="page to put the table into")
    arguments = parser.parse_args(argv)
    try:
        cases = select(load_cases(), arguments.which, tuple(arguments.case))
        build_bases()
        measured = _measure(cases, arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"could not be measured: {error}", file=sys.stderr)
        return 2
    _write(measured, arguments)
    answers = measured.tools[PRODUCT]
    right = all(each.verdict in case.verdicts for case in cases for each in answers[case.name])
    return 0 if right else 1


def _measure(cases: tuple[Case, ...], arguments: argparse.Namespace) -> Measurement:
    said: dict[str, list[Answer]] = {}
    others: dict[str, dict[str, list[Answer]]] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="driftbench-") as folder:
        work = Path(folder)
        for case in cases:
            with staged(case, work) as ready:
                varied: tuple[str, ...] = ()
                for _ in range(arguments.repeats):
                    answer, varied = ask(ready)
                    said.setdefault(case.name, []).append(answer)
                    print(_line(case, answer), flush=True)
                # The others compare runs of one platform.
                if arguments.baselines and case.kind != "platforms":
                    _ask_others(ready, work / "runs" / case.name, varied, others)
        if arguments.baselines:
            _ask_regressions(work, others, missing)
            missing |= reprotest.measure(cases, work, others)
    tools: dict[str, Answers] = {PRODUCT: said, **others}
    today = datetime.date.today().isoformat()
    return Measurement(
        arguments.which, today, machine.describe(), arguments.repeats, cases, tools, missing
    )


def _ask_others(
    ready: Staged, runs: Path, varied: tuple[str, ...], others: dict[str, dict[str, list[Answer]]]
) -> None:
    """What compares files by itself, and what ranks by their verdict."""
    write_outputs(ready, runs, varied)
    ways = {"bytes": baselines.same_bytes, "assert_allclose": baselines.all_close}
    for name, agrees in ways.items():
        answer = baselines.judge(runs, agrees)
        others.setdefault(name, {})[ready.case.name] = [answer]
    ranked = ranking.rank(ready, varied, answer.verdict)
    others.setdefault("environment ranking", {})[ready.case.name] = [ranked]


def _ask_regressions(
    work: Path, others: dict[str, dict[str, list[Answer]]], missing: dict[str, str]
) -> None:
    place = work / regressions.NAME
    place.mkdir()
    try:
        python = regressions.install(work / "environment")
    except subprocess.CalledProcessError as error:
        missing[regressions.NAME] = error.stderr.strip().splitlines()[-1]
        return
    found = regressions.judge(python, work / "runs", place)
    others[regressions.NAME] = {name: [answer] for name, answer in found.items()}


def _write(measured: Measurement, arguments: argparse.Namespace) -> None:
    table = draw(measured)
    print(f"\n{table}")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / f"{measured.which}.md").write_text(table, encoding="utf-8")
        (arguments.out / f"{measured.which}.json").write_text(
            json.dumps(as_json(measured), indent=1) + "\n", encoding="utf-8"
        )
    if arguments.docs is not None:
        page = arguments.docs.read_text(encoding="utf-8")
        arguments.docs.write_text(put_into(page, measured.which, table), encoding="utf-8")


def _line(case: Case, answer: Answer) -> str:
    named = ", ".join("+".join(sorted(names)) for names in answer.causes) or "-"
    right = answer.verdict in case.verdicts and (not case.causes or names_first(case, answer))
    mark = "" if right else "  WRONG"
    spent = f"{answer.runs:3d} runs {answer.seconds:6.1f} s"
    return f"{case.name:26} {answer.verdict:16} {named:32} {spent}{mark}"


if __name__ == "__main__":
    sys.exit(main())
