"""Outputs that other runs call otherwise: equal bytes are noticed, the `names` are proposed."""

from __future__ import annotations

import datetime
import random
import tomllib
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer import config
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.rules.names import Names
from pytest_mlcontainer.compare.rules.renamed import propose
from pytest_mlcontainer.model import Output, Rule, Tolerance, Verdict
from tests.fixture_types import Compared

CompareFiles = Callable[..., Compared]


@pytest.fixture
def compare_files(tmp_path: Path) -> CompareFiles:
    """`compare_files({"a.txt": b"…"}, {…})` compares two folders."""

    def run(
        actual: dict[str, bytes],
        expected: dict[str, bytes],
        names: Iterable[tuple[str, str]] = (),
        rules: Iterable[Rule] = (),
    ) -> Compared:
        sides = []
        for side, files in (("actual", actual), ("expected", expected)):
            outputs = []
            for name, data in files.items():
                path = tmp_path / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                outputs.append(Output(name, path, len(data)))
            sides.append(tuple(outputs))
        return compare_outputs(sides[0], sides[1], tuple(rules), names=tuple(names))

    return run


def proposed(note: str) -> tuple[tuple[str, str], ...]:
    """The names that a note proposes, as the configuration gives them."""
    table = tomllib.loads(note[note.index("names = {") : note.index(" brings them")])
    settings_ = config.parse_settings(
        {**table, "entrypoints": {"train": {}}}, Path("/project/pyproject.toml"), "x86_64", "bikes"
    )
    return settings_.entrypoints[0].names


def token(kind: str, random_: random.Random) -> str:
    day = datetime.datetime(2020, 1, 1) + datetime.timedelta(seconds=random_.randrange(3 * 10**8))
    return {
        "uuid": str(uuid.UUID(int=random_.getrandbits(128))),
        "run": f"{random_.getrandbits(128):032x}",
        "host": f"{random_.getrandbits(48):012x}",
        "experiment": str(random_.randrange(10**17, 10**18)),
        "time": f"{day:%Y-%m-%d-%H-%M-%S}-{random_.randrange(10**6):06}",
        "compact": f"{day:%Y%m%d_%H%M%S}",
        "folders": f"{day:%Y-%m-%d}/{day:%H-%M-%S}",
        "tensorboard": f"{day:%b%d_%H-%M-%S}",
        "iso": f"{day:%Y-%m-%dT%H:%M:%S}Z",
        "seconds": str(int(day.timestamp())),
    }[kind]


KINDS = [
    "uuid",
    "run",
    "host",
    "experiment",
    "time",
    "compact",
    "folders",
    "tensorboard",
    "iso",
    "seconds",
]
LAYOUTS = {
    "tracker": "mlruns/{experiment}/{run}/{file}",
    "dated": "models/model_{time}_{file}",
    "hydra": "outputs/{folders}/{file}",
    "wandb": "wandb/run-{compact}-{host}/files/{file}",
    "board": "runs/{tensorboard}_{host}/events.out.tfevents.{seconds}.{host}.{file}",
    "uuid": "artifacts/{uuid}/{file}",
    "top": "{iso}-{file}",
    "seconds": "ckpt-{seconds}/{file}",
}


def layout(name: str, files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    random_ = random.Random(seed)
    made = {kind: token(kind, random_) for kind in KINDS}
    return {LAYOUTS[name].format(file=file, **made): data for file, data in files.items()}


FILES = {f"metrics/metric_{number}": b"1 0.5 0\n" for number in range(25)} | {"meta.yaml": b"a: 1"}


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=15, deadline=None)
@given(
    seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).filter(lambda it: it[0] != it[1])
)
def test_the_pattern_brings_together_these_runs_and_any_others(
    name: str, seeds: tuple[int, int]
) -> None:
    """What is proposed for two runs holds for a third, and loses nothing else."""
    others = [layout(name, FILES, 10**7 + number) for number in range(3)]
    sides = [layout(name, FILES, seed) for seed in seeds]
    proposals = propose([*sides[0]], [*sides[1]])
    names = Names(tuple((each.pattern, each.replacement) for each in proposals))
    for one, other in ((sides[0], sides[1]), (others[0], others[1]), (others[2], sides[0])):
        meetings = list(names.meet([*one, "keep/1.txt"], [*other, "keep/1.txt"]))
        assert len(meetings) == len(FILES) + 1
        assert not [met for met in meetings if met.note or None in (met.actual, met.expected)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_many_renamed_outputs_are_one_difference_with_the_names_to_write(
    compare_files: CompareFiles, name: str
) -> None:
    same = {"keep/a.txt": b"x"}
    sides = [{**layout(name, FILES, seed), **same} for seed in (1, 2)]
    differences, _notes = compare_files(*sides)
    (found,) = [each for each in differences if not each.verdict.passes]
    assert (found.verdict, found.size, found.unit) == (Verdict.DRIFT, 26, "outputs")
    assert "26 outputs have another name in either run, and equal bytes" in found.note
    differences, notes = compare_files(*sides, names=proposed(found.note))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
    assert len(differences) == 27
    assert not notes


def test_one_renamed_output_says_whose_bytes_it_has(compare_files: CompareFiles) -> None:
    (found,) = compare_files({"out/run-ab12cd34.npz": b"x"}, {"out/run-77fe0012.npz": b"x"})[0]
    assert found.output == "out/run-77fe0012.npz"
    assert "and equal bytes" in found.note
    assert "out/run-ab12cd34.npz here is out/run-77fe0012.npz there" in found.note


def test_other_bytes_under_other_names_are_said_to_be_other(compare_files: CompareFiles) -> None:
    sides = [
        layout("tracker", {"a": data, "b": b"2"}, seed) for seed, data in ((1, b"1"), (2, b"3"))
    ]
    (found,) = compare_files(*sides)[0]
    assert "equal bytes in 1 of them" in found.note
    differences, _notes = compare_files(*sides, names=proposed(found.note))
    assert sorted(each.verdict.value for each in differences) == ["drift", "identical"]


def test_a_number_that_may_mean_something_is_masked_only_where_bytes_are_equal(
    compare_files: CompareFiles,
) -> None:
    found = compare_files({"ckpt_499.pt": b"a"}, {"ckpt_500.pt": b"b"})[0]
    assert {each.note for each in found} == {"only in the actual run", "missing in the actual run"}
    (renamed,) = compare_files({"ckpt_499.pt": b"a"}, {"ckpt_500.pt": b"a"})[0]
    assert "names = { '^ckpt_[0-9]+' = \"ckpt_N\" }" in renamed.note


def test_a_pattern_that_would_leave_it_open_who_meets_whom_is_not_proposed(
    compare_files: CompareFiles,
) -> None:
    sides = [
        {
            f"runs/{token('run', random.Random(seed + number))}/a.txt": b"%d" % number
            for number in range(3)
        }
        for seed in (10, 20)
    ]
    differences = compare_files(*sides)[0]
    assert not [each for each in differences if "names =" in each.note]
    assert len(differences) == 3
    assert all("equal bytes as runs/" in each.note for each in differences)


def test_names_that_are_there_already_are_kept(compare_files: CompareFiles) -> None:
    names = (("host[0-9]+", "HOST"),)
    sides = [
        {"host1/log.txt": b"1", **layout("tracker", FILES, 1)},
        {"host2/log.txt": b"1", **layout("tracker", FILES, 2)},
    ]
    differences = compare_files(*sides, names=names)[0]
    (found,) = [each for each in differences if not each.verdict.passes]
    differences, _notes = compare_files(*sides, names=(*names, *proposed(found.note)))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}


def test_many_that_have_no_counterpart_are_summed_up(compare_files: CompareFiles) -> None:
    extra = {f"more/{word}.txt": word.encode() for word in map(str, range(1000, 1400))}
    differences = compare_files(extra, {"other/name": b"z"})[0]
    assert len(differences) == 12
    (rest,) = [each for each in differences if each.unit == "outputs"]
    assert rest.note.startswith("390 more outputs only in the actual run: more/10")
    assert sum(each.size or 1 for each in differences) == 401


def test_what_a_rule_ignores_is_neither_listed_nor_counted(compare_files: CompareFiles) -> None:
    rules = [Rule("mlruns/**", None, Tolerance(ignore=True))]
    sides = [layout("tracker", FILES, seed) for seed in (1, 2)]
    differences, notes = compare_files(*sides, rules=rules)
    assert differences == ()
    assert notes == ("not compared: 52 items by rule mlruns/** (ignore)",)


def test_a_run_in_an_experiment_that_both_have_new_ids(compare_files: CompareFiles) -> None:
    """As MLflow keeps them: the experiment's own file lies a folder above those of the run."""

    def folder(seed: int) -> dict[str, bytes]:
        at = random.Random(seed)
        experiment = f"mlruns/{at.randrange(10**17, 10**18)}"
        run = f"{experiment}/{at.getrandbits(128):032x}"
        return {
            f"{experiment}/meta.yaml": f"experiment_id: {seed}\n".encode(),
            f"{run}/meta.yaml": f"run_id: {seed}\n".encode(),
            f"{run}/metrics/loss": b"0.5\n",
            f"{run}/params/a": b"1",
        }

    (found,), _notes = compare_files(folder(1), folder(2))
    names = proposed(found.note)
    differences, _notes = compare_files(folder(1), folder(2), names)
    assert len(differences) >= 4
    assert not [each for each in differences if "missing" in each.note or "only in" in each.note]


def test_the_process_in_a_name_of_tensorboards_counts_nothing(compare_files: CompareFiles) -> None:
    """Whatever is in the files, which hold when they were written."""
    theirs = {"runs/events.out.tfevents.1796000866.0a1b2c3d4e5f.7.0": b"loss 0.5"}
    mine = {"runs/events.out.tfevents.1796090999.ff00aa11bb22.19.0": b"loss 0.75"}
    (found,) = compare_files(mine, theirs)[0]
    names = proposed(found.note)
    (left,) = compare_files(mine, theirs, names)[0]
    assert left.verdict is Verdict.DRIFT
    assert left.worst_actual.startswith("loss 0.75")
