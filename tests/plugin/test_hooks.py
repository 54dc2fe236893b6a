"""Formats that plugins add: found wherever they are, asked first, and explained when they break."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pytest

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.config import parse_engine
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.hooks import (
    Comparator,
    EngineKind,
    EngineRequest,
    Family,
    NotExercised,
    hookimpl,
    load_comparators,
    load_engines,
    load_families,
    schemes_of,
)
from pytest_mlcontainer.model import (
    Difference,
    Element,
    Outcome,
    Output,
    Platform,
    Run,
    Target,
    TimelineSpan,
    Verdict,
)
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.records import write_record
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.session import gather
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

EXAMPLE = Path(__file__).parents[2] / "examples" / "comparator-plugin"
CONFIG = """\
platforms = ["native", "host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
# The same matrix in another order, and under another comment: no byte-wise comparison passes.
WRITES_MATRIX = """\
import os
os.makedirs("outputs", exist_ok=True)
inside = os.getcwd() == "/app"
entries = ["1 1 0.5", "2 1 -3", "3 2 1e-9"]
with open("outputs/features.mtx", "w") as file:
    print("%%MatrixMarket matrix coordinate real general", file=file)
    print("% written", "inside" if inside else "outside", file=file)
    print("3 2 3", *(entries if inside else reversed(entries)), sep="\\n", file=file)
"""
WRITES_MATRIX = WRITES_MATRIX.replace("print(3, 2, 3, *", 'print("3 2 3", *')
AVRO = Comparator("avro", lambda path: {"": path.read_text()}, (".avro",))


def plugin(given: object) -> SimpleNamespace:
    """An object with the hook, unmarked, that gives this."""
    return SimpleNamespace(mlcontainer_comparators=lambda: given)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Puts a package where Python finds it, entry points and all, as pip would."""
    before = set(sys.modules)

    def make(name: str, module: str, source: str, pyproject: str | None = None) -> Path:
        place = tmp_path / "site"
        (place / module).mkdir(parents=True)
        (place / module / "__init__.py").write_text(source)
        points = {name: module}
        if pyproject is not None:
            points = tomllib.loads(pyproject)["project"]["entry-points"]["mlcontainer"]
        info = place / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {value}" for key, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[mlcontainer]", *lines, ""]))
        monkeypatch.syspath_prepend(str(place))
        monkeypatch.setenv("PYTHONPATH", str(place))
        return place

    yield make
    for module in set(sys.modules) - before:
        if module.startswith(("mlcontainer_matrix", "sample_")):
            del sys.modules[module]


def install_example(install: Callable[..., Path]) -> None:
    source = EXAMPLE / "src" / "mlcontainer_matrix_market" / "__init__.py"
    install(
        "mlcontainer-matrix-market",
        "mlcontainer_matrix_market",
        source.read_text(),
        (EXAMPLE / "pyproject.toml").read_text(),
    )


def test_without_plugins_there_are_none() -> None:
    assert load_comparators() == ()


def test_marked_functions_and_those_called_like_the_hook_are_found() -> None:
    marked = ModuleType("marked")
    marked.mlcontainer_comparators = hookimpl(lambda: [AVRO])  # type: ignore[attr-defined]
    other = Comparator("orc", lambda _path: {}, (".orc",))

    found = load_comparators([("a", marked), ("b", plugin(iter([other])))])

    assert found == (other, AVRO), "the one registered last is asked first"


def test_a_plugin_without_our_hooks_is_never_looked_into() -> None:
    class Touchy:
        @property
        def expensive(self) -> object:
            raise AssertionError("looked up")

    assert load_comparators([("touchy", Touchy()), ("nothing", None)]) == ()


def test_a_package_that_is_a_plugin_of_pytest_as_well_counts_once(install: Any) -> None:
    install("sample-both", "sample_both", SAMPLE_PLUGIN)
    import sample_both  # type: ignore[import-not-found]

    assert len(load_comparators([("sample_both", sample_both)])) == 1


SAMPLE_PLUGIN = """\
from pytest_mlcontainer.hooks import Comparator, hookimpl

@hookimpl
def mlcontainer_comparators():
    return [Comparator("sample", lambda path: {}, (".sample",))]
"""


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import there_is_no_such_module", "ModuleNotFoundError: No module named 'there_is_no_suc"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise RuntimeError('the licence server is down')", "the licence server is down"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(install: Any, source: str, says: str) -> None:
    install("sample-broken", "sample_broken", source)

    with pytest.raises(MlContainerError) as caught:
        load_comparators()

    assert "the plugin sample-broken of sample-broken cannot be loaded" in str(caught.value)
    assert says in caught.value.value
    assert "-p no:sample-broken" in caught.value.remedy
    assert load_comparators(blocked=lambda name: name == "sample-broken") == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned None, expected a list"),
        (AVRO, "returned Comparator("),
        ("avro", "returned 'avro', expected a list"),
        (7, "TypeError"),
        ([AVRO, "avro"], "a list with 'avro', which is no Comparator"),
        ([Comparator], "which is no Comparator"),
        ([Comparator("", AVRO.read, (".a",))], "name is ''"),
        ([Comparator(3, AVRO.read, (".a",))], "name is 3"),  # type: ignore[arg-type]
        ([Comparator("a", "read", (".a",))], "read of a is 'read'"),  # type: ignore[arg-type]
        ([Comparator("a", AVRO.read, ".avro")], "suffixes of a is '.avro', expected a tuple"),  # type: ignore[arg-type]
        ([Comparator("a", AVRO.read, ("avro",))], "a suffix of a is 'avro', expected one with a"),
        ([Comparator("a", AVRO.read, (".",))], "a suffix of a is '.'"),
        ([Comparator("a", AVRO.read, (), True)], "recognises of a is True"),  # type: ignore[arg-type]
        ([Comparator("a", AVRO.read)], "neither suffixes nor recognises"),
        ([AVRO, AVRO], "a comparator is called 'avro', as one of mine is"),
    ],
)
def test_what_a_plugin_gives_wrongly_is_explained(given: object, says: str) -> None:
    with pytest.raises(MlContainerError) as caught:
        load_comparators([("mine", plugin(given))])

    assert caught.value.what == "the plugin mine cannot be used"
    assert says in caught.value.value


SHARD = Family("shard", "which part of the data it sees", lambda _situation: NotExercised("no"))
SHARD_OF_OURS = replace(SHARD, name="ours")


def varying(given: object) -> SimpleNamespace:
    return SimpleNamespace(mlcontainer_variations=lambda: given)


def test_families_of_plugins_follow_those_of_the_package() -> None:
    """In order of registration, the last one first; a plugin may have both hooks, or one."""
    other = replace(SHARD, name="cache")
    both = SimpleNamespace(
        mlcontainer_comparators=lambda: [AVRO], mlcontainer_variations=lambda: [other]
    )
    others = [("first", varying([SHARD])), ("second", both), ("third", plugin([]))]
    assert load_families((SHARD_OF_OURS,), others) == (SHARD_OF_OURS, other, SHARD)
    assert load_comparators(others) == (AVRO,)


Declared = TypeVar("Declared", Family, EngineKind)


def mistyped(declared: Declared, **fields: Any) -> Declared:
    """With fields of types that a type checker would refuse."""
    return replace(declared, **fields)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned None, expected a list"),
        ([SHARD, "threads"], "a list with 'threads', which is no Family"),
        ([AVRO], "which is no Family"),
        ([replace(SHARD, name="My Shard")], "name is 'My Shard'"),
        ([mistyped(SHARD, name=3)], "name is 3"),
        ([mistyped(SHARD, choose="7")], "choose of shard is '7', expected a function"),
        ([mistyped(SHARD, pin=True)], "pin of shard is True, expected a function"),
        ([replace(SHARD, hints=("(",))], "a hint of shard is no regular expression: '('"),
        ([SHARD, SHARD], "a variation is called 'shard', as one of mine is"),
        ([SHARD_OF_OURS], "a variation is called 'ours', as one of this package is"),
    ],
)
def test_a_family_that_cannot_work_is_explained(given: object, says: str) -> None:
    """Before anything is varied, with the plugin's name."""
    with pytest.raises(MlContainerError) as caught:
        load_families((SHARD_OF_OURS,), [("mine", varying(given))])

    assert caught.value.what == "the plugin mine cannot be used"
    assert says in caught.value.value


def test_a_broken_family_stops_the_session_before_anything_is_built(project: MakeProject) -> None:
    """Where variations are asked for; else nothing of it is loaded."""
    project.write(
        CONFIG,
        dockerfile="FROM none.invalid/none\n",
        conftest__py="def mlcontainer_variations():\n    return 'shard'\n",
    )

    result = project.run("--container-vary")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the plugin */conftest.py cannot be used*returned 'shard'*"])


CLUSTER = EngineKind("cluster", ("cluster", "k8s"), lambda _asked: None)  # type: ignore[arg-type,return-value]


def running(given: object) -> SimpleNamespace:
    return SimpleNamespace(mlcontainer_engines=lambda: given)


def test_kinds_of_engines_of_plugins_are_found() -> None:
    other = replace(CLUSTER, name="other", schemes=("other+ssh",))
    found = load_engines([("first", running([CLUSTER])), ("second", running((other,)))])

    assert found == (other, CLUSTER)
    assert schemes_of(lambda: found)() == ("other+ssh", "cluster", "k8s")
    assert load_engines() == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned None, expected a list"),
        (CLUSTER, "returned EngineKind("),
        ([SHARD], "which is no EngineKind"),
        ([replace(CLUSTER, name="My Cluster")], "is called 'My Cluster'"),
        ([replace(CLUSTER, name="docker")], "is called 'docker', as one of this package is"),
        ([mistyped(CLUSTER, schemes="k8s")], "schemes of cluster is 'k8s', expected a tuple"),
        ([replace(CLUSTER, schemes=())], "schemes of cluster is (), expected a tuple"),
        ([replace(CLUSTER, schemes=("k8s://",))], "expected words such as 'k8s'"),
        ([mistyped(CLUSTER, schemes=(7,))], "expected words such as 'k8s'"),
        ([mistyped(CLUSTER, open="7")], "open of cluster is '7', expected a function"),
        ([replace(CLUSTER, schemes=("ssh",))], "is called 'ssh://', as one of this package is"),
        ([CLUSTER, replace(CLUSTER, name="two")], "is called 'cluster://', as one of mine is"),
    ],
)
def test_a_kind_of_engine_that_cannot_work_is_explained(given: object, says: str) -> None:
    """Before anything is opened, with the plugin's name."""
    with pytest.raises(MlContainerError) as caught:
        load_engines([("mine", running(given))])

    assert caught.value.what == "the plugin mine cannot be used"
    assert says in caught.value.value
    assert caught.value.remedy


def test_an_engine_of_docker_loads_no_plugin() -> None:
    """Its schemes are known without, at parsing and at opening."""

    def kinds() -> Any:
        raise AssertionError("loaded")

    assert parse_engine("unix:///run/docker.sock", schemes_of(kinds)) == "unix:///run/docker.sock"
    assert parse_engine("a-context", schemes_of(kinds)) == "a-context"
    with pytest.raises(MlContainerError, match="no engine answers"):
        open_engine(request("unix:///there/is/none"), kinds)


def test_an_engine_is_chosen_by_its_scheme() -> None:
    """Any that no kind has is refused where it is written, with the nearest that there is."""
    with pytest.raises(MlContainerError) as caught:
        parse_engine("custer://a", schemes_of(lambda: (CLUSTER,)))
    assert "cluster" in caught.value.remedy
    assert parse_engine("cluster://a", schemes_of(lambda: (CLUSTER,))) == "cluster://a"
    with pytest.raises(MlContainerError, match="no kind of engine has this scheme"):
        open_engine(request("custer://a"), lambda: (CLUSTER,))


def test_an_engine_that_cannot_be_opened_or_is_not_complete_is_explained() -> None:
    def refuse(_asked: EngineRequest) -> Any:
        raise OSError("no route to it")

    for kind, what, value in (
        (replace(CLUSTER, open=refuse), "cannot be opened", "k8s://a: OSError: no route to it"),
        (CLUSTER, "is not complete", "NoneType has no address, build, capabilities, close"),
    ):
        with pytest.raises(MlContainerError) as caught:
            open_engine(request("k8s://a"), partial(tuple, [kind]))
        assert what in caught.value.what
        assert value in caught.value.value
        assert "cluster" in caught.value.remedy


def request(endpoint: str) -> EngineRequest:
    return EngineRequest(endpoint, {}, current_owner("a-session"))


def test_a_hook_that_raises_is_named() -> None:
    def mlcontainer_comparators() -> list[Comparator]:
        raise OSError("no such share")

    with pytest.raises(MlContainerError, match="raised OSError: no such share"):
        load_comparators(
            [("mine", SimpleNamespace(mlcontainer_comparators=mlcontainer_comparators))]
        )


def test_two_plugins_with_one_name_of_a_format_are_named_both() -> None:
    with pytest.raises(MlContainerError) as caught:
        load_comparators([("mine", plugin([AVRO])), ("yours", plugin([AVRO]))])

    assert "the plugin mine" in str(caught.value)
    assert "as one of yours is" in str(caught.value)


def test_a_hook_that_there_is_not_and_one_with_arguments_are_refused() -> None:
    class Misspelt:
        @hookimpl
        def mlcontainer_comparator(self) -> list[Comparator]:
            return [AVRO]

    class Wants:
        @hookimpl
        def mlcontainer_comparators(self, config: object) -> list[object]:
            return [config]

    with pytest.raises(MlContainerError, match="unknown hook 'mlcontainer_comparator'"):
        load_comparators([("mine", Misspelt())])
    with pytest.raises(MlContainerError, match="config"):
        load_comparators([("mine", Wants())])


# On an engine


def test_an_installed_package_makes_equal_matrices_agree(
    project: MakeProject, install: Any, leaves_nothing: None
) -> None:
    project.write(CONFIG, train=WRITES_MATRIX)
    without = project.run()
    install_example(install)

    result = project.run("--container-report=report")

    without.assert_outcomes(passed=3, failed=1)
    result.assert_outcomes(passed=4)
    report = json.loads((project.root / "report" / "report.json").read_text())
    (outcome,) = report["results"]
    assert outcome["verdict"] == "identical"
    assert outcome["counts"] == {"identical": 5}, "size, symmetry, row, column, value"


def test_a_conftest_adds_a_format_to_the_fixture_too_and_one_that_raises_fails_its_output_alone(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    train = """\
        import os, sys
        os.makedirs("outputs", exist_ok=True)
        inside = os.getcwd() == "/app"
        open("outputs/a.pairs", "w").write("x 1\\ny 2\\n" if inside else "y 2\\nx 1.0\\n")
        open("outputs/b.broken", "w").write("inside" if inside else "outside")
        open("outputs/c.json", "w").write('{"loss": 0.5}' if inside else '{"loss":0.50}')
        """
    project.write(
        CONFIG,
        train="\n".join(line.strip() for line in train.splitlines()),
        conftest__py=CONFTEST,
        test_both__py=(
            "def test_both(platform_matrix, compare_outputs):\n"
            "    (outcome,) = compare_outputs(platform_matrix.run('train'), check=False)\n"
            "    found = {each.output: each.verdict.value for each in outcome.differences}\n"
            "    assert found == {'outputs/a.pairs': 'identical', 'outputs/b.broken': 'failed',\n"
            "                     'outputs/c.json': 'identical'}\n"
        ),
    )

    result = project.run()

    result.assert_outcomes(passed=4, failed=1)
    text = failure_of(result, "train::agrees")
    assert "outputs/b.broken  [failed]" in text
    assert "the comparator broken raised ValueError: line 1 is no number" in text
    assert "1 item not within tolerance" in text


CONFTEST = """\
from pytest_mlcontainer.hooks import Comparator

def read_pairs(path):
    return {name: float(value) for name, value in map(str.split, path.read_text().splitlines())}

def read_broken(path):
    raise ValueError("line 1 is no number")

def mlcontainer_comparators():
    return [
        Comparator("pairs", read_pairs, (".pairs",)),
        Comparator("broken", read_broken, (".broken",)),
    ]
"""


def test_a_broken_plugin_stops_the_session_before_anything_is_built(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(CONFIG, conftest__py="def mlcontainer_comparators():\n    return 'avro'\n")

    result = project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the plugin */conftest.py cannot be used*returned 'avro'*"])


def test_a_broken_plugin_is_explained_by_the_comparison_under_xdist(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(CONFIG, conftest__py="def mlcontainer_comparators():\n    return 'avro'\n")

    result = project.pytester.runpytest_subprocess("--container", "-n", "1")

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*the plugin */conftest.py cannot be used*returned 'avro'*"])


def test_plugins_are_not_loaded_where_nothing_is_compared(
    project: MakeProject, install: Any
) -> None:
    install("sample-broken", "sample_broken", "1 / 0")
    project.write(CONFIG, test_ok__py="def test_ok(): pass")

    assert project.run("test_ok.py").ret == 0
    assert project.run("--collect-only", "-q").ret == 0


# The command and the documentation


def matrix_run(folder: Path, text: str) -> Run:
    (folder / "outputs").mkdir(parents=True)
    file = folder / "outputs" / "features.mtx"
    file.write_text(f"%%MatrixMarket matrix coordinate real general\n{text}")
    for name in ("stdout.log", "stderr.log"):
        (folder / name).write_text("")
    run = Run(
        id=folder.name,
        entrypoint="train",
        target=Target(Platform("linux", "amd64"), emulated=False),
        exit_code=0,
        duration_s=1.0,
        folder=folder,
        stdout=folder / "stdout.log",
        stderr=folder / "stderr.log",
        outputs=(Output("outputs/features.mtx", file, file.stat().st_size),),
    )
    write_record(run)
    return run


def test_the_command_uses_an_installed_package(
    install: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix_run(tmp_path / "a", "2 2 2\n1 1 0.5\n2 2 3\n")
    matrix_run(tmp_path / "b", "2 2 2\n2 2 3\n1 1 0.50\n")
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]

    without = main(words)
    install_example(install)

    assert (without, main([*words, "--report", str(tmp_path / "report")])) == (1, 0)
    assert "identical" in capsys.readouterr().out
    assert "1 comparison agrees" in (tmp_path / "report" / "summary.md").read_text()


def blocks(name: str) -> list[tuple[str, str, str]]:
    """Instruction, language and text of each block of a page."""
    text = (EXAMPLE.parent.parent / "docs" / "reference" / name).read_text()
    pattern = r"^(?:<!-- (.*?) -->\n)?```(\w+)\n(.*?)^```"
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def test_the_conftest_of_the_documentation_reads_what_it_says(tmp_path: Path) -> None:
    ((_file, _language, source),) = [each for each in blocks("extending.md") if each[0]]
    module = ModuleType("documented")
    exec(source, module.__dict__)
    (tmp_path / "a.scores").write_text("auc 0.50\nloss 1e-3\n")

    (comparator,) = load_comparators([("conftest.py", module)])

    assert comparator.read(tmp_path / "a.scores") == {"auc": 0.5, "loss": 0.001}


def test_the_report_of_the_documentation_has_the_fields_that_are_written() -> None:
    ((_none, _json, source),) = [each for each in blocks("reports.md") if each[1] == "json"]
    difference = Difference("o", "i", Verdict.DRIFT, elements=(Element((1,), "a", "b", 0.5, 2.0),))
    target = Target(Platform("linux", "amd64"))
    outcome = Outcome("train", target, target, Verdict.DRIFT, (difference,))

    span = TimelineSpan("running", "train", 0.0, 1.0)
    session = replace(gather([Result.of_outcome(outcome)], 1.0), timeline=(span,))
    written = json.loads(report_json(session))

    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: keys(each) for key, each in value.items() if key not in VERDICTS}
        return [keys(each) for each in value] if isinstance(value, list) else None

    documented, real = json.loads(source), written
    for one in (documented, real):
        for each in one["results"][0]["differences"]:
            each.update(path=[], worst_index=None, quantiles=[], histogram=[], accept=None)
            each["elements"][0]["index"] = []
    assert keys(documented) == keys(real)


VERDICTS = {verdict.value for verdict in Verdict}
