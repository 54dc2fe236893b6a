"""`pytest --container --container-vary`: what makes outputs vary is named, and what cannot be told
is said.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sample_project import MakeProject

DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY *.py ./
RUN mkdir classes && touch classes/cat classes/dog classes/bird classes/fish
"""
# One fault, or none, each; they look as in real projects.
FAULTS = """
import datetime, errno, fcntl, getpass, hashlib, json, os, pathlib, random, socket, sys, time, uuid

def steady():
    return sum(i * i for i in range(1000))

def clock():
    return datetime.date.today().year

def order():
    return os.listdir("classes")

def keyed():
    return list({"cat", "dog", "bird", "fish", "cow", "horse"})

def sharded():
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()

def cached():
    try:
        pathlib.Path("/var/cache/weights").write_text("0.5")
    except PermissionError:
        return 0.25
    return 0.5

def local():
    return datetime.datetime.fromtimestamp(0).hour

def ratio():
    return 1 / (datetime.datetime.fromtimestamp(0).hour == 0)

def demanding():
    pathlib.Path("/var/cache/weights").write_text("0.5")
    pathlib.Path.home().joinpath(".weights").write_text("0.5")
    return 0.5

def whose():
    return f"cache of {len(getpass.getuser()) > 0}"

def homely():
    home = pathlib.Path.home()
    if home.is_dir():
        home.joinpath(".weights").write_text("0.5")
    return 0.5

def tolerant():
    try:
        pathlib.Path("/var/cache/weights").write_text("0.5")
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return 0.5

def measured():
    begun = time.perf_counter()
    sum(range(100_000))
    return f"loss 0.5 | step time {(time.perf_counter() - begun) * 1e6:.3f}ms"

def timed():
    hour = datetime.datetime.fromtimestamp(0).hour
    return f"loss {0.5 + hour} | {uuid.uuid4()} | step time {time.time() % 1 * 1e3:.3f}ms"

def random_one():
    return random.SystemRandom().random()

def every_fifth_fails():
    with open(os.environ["COUNTER"], "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        count = int(file.read()) + 1
        file.seek(0)
        file.write(str(count))
    if count % 5 == 0:
        raise OSError("connection reset by peer")
    return 0.5

os.makedirs("out", exist_ok=True)
with open("out/result.json", "w") as file:
    json.dump({"value": globals()[sys.argv[1]]()}, file)
"""


# Nothing in it speaks of anything that could make it vary.
STEADY = """
import json, os
os.makedirs("out", exist_ok=True)
with open("out/result.json", "w") as file:
    json.dump({"value": sum(i * i for i in range(1000))}, file)
"""


def configured(top: str = "", /, **entries: str) -> str:
    """A configuration of entrypoints: the name of each fault, and further lines of its table."""
    tables = (
        f'[tool.mlcontainer.entrypoints.{name}]\ncommand = ["python", "faults.py", "{name}"]\n'
        f'outputs = ["out/*"]\n{more}\n'
        for name, more in entries.items()
    )
    return f"{top}\n" + "\n".join(tables)


@pytest.fixture
def varied(project: MakeProject) -> Any:
    """Writes a project, runs only its varying items; gives pytest's result and report.json."""

    def run(config: str, *args: str, **files: str) -> tuple[pytest.RunResult, dict[str, Any]]:
        files = {"dockerfile": DOCKERFILE, "train": "", "faults__py": FAULTS, **files}
        root = project.write(config, **files)
        result = project.run("-k", "varies", "--container-report=report", *args)
        report = root / "report" / "report.json"
        found = json.loads(report.read_text())["results"] if report.exists() else ()
        return result, {each["entrypoint"]: each for each in found}

    return run


def named(result: dict[str, Any]) -> tuple[str, list[list[str]]]:
    """A verdict and the names of its causes."""
    return result["verdict"], [cause["names"] for cause in result["causes"]]


def names_of(tried: list[str]) -> set[str]:
    return {each.partition("=")[0] for each in tried}


def test_a_steady_program_passes_after_a_few_runs(varied: Any, leaves_nothing: None) -> None:
    """All that applies is varied at once but for what hides each other, in two rounds; what does
    not apply is said, with the reason."""
    result, found = varied(
        configured(steady=""), "--container-vary", "pyproject.toml", faults__py=STEADY
    )

    result.assert_outcomes(passed=1, deselected=2)
    assert named(found["steady"]) == ("identical", [])
    explanation = found["steady"]["explanation"]
    assert explanation["runs"] == 4
    assert names_of(explanation["tried"]) >= {
        "hash-seed", "file-order", "clock", "timezone", "hostname", "user", "home", "env",
        "network", "read-only", "memory", "shm", "nofile", "workdir", "umask",
    }  # fmt: skip
    reasons = {each["name"]: each["why"] for each in explanation["not_exercised"]}
    assert reasons["threads"] == "no OpenMP, OpenBLAS or MKL in the image"
    assert reasons["encoding"] == "the image sets LANG itself"
    assert reasons["locale"].startswith("no other locale in the image")
    assert not names_of(explanation["tried"]) & set(reasons)
    result.stdout.fnmatch_lines(["steady on *: not exercised: threads (no OpenMP, *"])


def test_what_the_environment_tells_a_program_is_named(varied: Any, leaves_nothing: None) -> None:
    """Clock, order of files, user and time zone: each the one cause of its drift, among others."""
    config = configured(clock="", order="", cached="", local="", ratio="")
    names = "clock,file-order,user,timezone,umask,env"

    result, found = varied(config, f"--container-vary={names}")

    result.assert_outcomes(failed=5, deselected=6)
    assert {name: named(each) for name, each in found.items()} == {
        "clock": ("drift", [["clock"]]),
        "order": ("drift", [["file-order"]]),
        "cached": ("drift", [["user"]]),
        "local": ("drift", [["timezone"]]),
        # What a change makes fail is a finding like any other.
        "ratio": ("failed", [["timezone"]]),
    }
    (cause,) = found["local"]["causes"]
    assert cause["evidence"].startswith("timezone.offset_s 0 → ")
    (cause,) = found["ratio"]["causes"]
    assert "ZeroDivisionError: division by zero" in cause["evidence"]
    assert found["ratio"]["explanation"]["findings"][0]["kind"] == "crash"
    result.stdout.fnmatch_lines(
        ["local on * drifts when the time zone changes: *", "cause: timezone (timezone=*"]
    )


@pytest.mark.parametrize(
    ("name", "others"), [("whose", "env"), ("homely", "home"), ("tolerant", "read-only")]
)
def test_what_another_variation_hides_is_found(
    varied: Any, name: str, others: str, leaves_nothing: None
) -> None:
    """USER that leaks, a home that is missing and a file system that refuses sooner each keep a
    program from crashing under another user, as it does on a cluster."""
    result, found = varied(configured(**{name: ""}), f"--container-vary=user,{others}")

    result.assert_outcomes(failed=1, deselected=2)
    assert named(found[name]) == ("failed", [["user"]])
    result.stdout.fnmatch_lines([f"varied without effect on the results: {others}"])


def test_a_crash_that_others_hide_is_a_remark_where_all_are_varied(
    varied: Any, leaves_nothing: None
) -> None:
    """The user is not among those without an effect."""
    result, found = varied(configured(whose=""), "--container-vary")

    result.assert_outcomes(passed=1, deselected=2)
    (crash,) = found["whose"]["explanation"]["findings"]
    assert (crash["kind"], crash["names"]) == ("crash", ["user"])
    result.stdout.fnmatch_lines(["whose on *: crash under user: fails with just this changed *"])


def test_what_differs_between_any_two_runs_is_named_by_pinning_it(
    varied: Any, leaves_nothing: None
) -> None:
    """Hash seed and host name are causes of nondeterminism; what no pin holds is random."""
    config = configured(keyed="", sharded="", random_one="")

    result, found = varied(config, "--container-vary=hash-seed,hostname,umask")

    result.assert_outcomes(failed=3, deselected=4)
    assert {name: named(each) for name, each in found.items()} == {
        "keyed": ("nondeterministic", [["hash-seed"]]),
        "sharded": ("nondeterministic", [["hostname"]]),
        "random_one": ("nondeterministic", [["randomness"]]),
    }


def test_durations_are_no_unseeded_generator(varied: Any, leaves_nothing: None) -> None:
    """A text that differs in how long things took gets the rule for it, and no unseeded cause."""
    result, found = varied(configured(measured=""), "--container-vary=hash-seed,umask")

    result.assert_outcomes(failed=1, deselected=2)
    assert named(found["measured"]) == ("nondeterministic", [])
    (difference,) = found["measured"]["differences"]
    assert '"out/result.json:value" = { ignore = ["duration"] }' in difference["note"]
    assert "randomness" not in result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "measured on * repeats differ in nothing but what looks like a clock or an id: *",
            "judged apart: durations and rates differ between runs with nothing changed *",
            '  a rule leaves it out: "out/result.json:value" = { ignore = ["duration"] }',
            "varied without effect on all else: hash-seed, umask",
        ]
    )


def test_a_clock_and_an_id_hide_no_drift_beside_them(varied: Any, leaves_nothing: None) -> None:
    """The loss of the same line follows the time zone, and that is found and named."""
    result, found = varied(configured(timed=""), "--container-vary=timezone,umask,hash-seed")

    result.assert_outcomes(failed=1, deselected=2)
    assert named(found["timed"]) == ("drift", [["timezone"]])
    result.stdout.fnmatch_lines(["judged apart: *", "*a rule leaves it out: *"])


def test_what_asks_much_of_a_program_fails_it_only_where_it_is_named(
    varied: Any, leaves_nothing: None
) -> None:
    """A program may need to write, and a home; under all variations that is a remark. Where it is
    asked for by name, in the configuration here, a program that cannot do without fails.
    """
    again = FAULTS.replace("def steady", "named = lambda: demanding()\n\ndef steady")
    config = configured(
        'vary = ["umask"]',
        demanding="vary = true",
        named='vary = ["read-only", "umask"]',
        steady="",
    )
    result, found = varied(config, faults__py=again)

    result.assert_outcomes(passed=2, failed=1, deselected=4)
    explanation = found["demanding"]["explanation"]
    crashes = [each["names"] for each in explanation["findings"] if each["kind"] == "crash"]
    assert named(found["demanding"]) == ("identical", [])
    assert sorted(crashes) == [["home"], ["read-only"], ["user"]]
    assert named(found["named"]) == ("failed", [["read-only"]])
    assert found["steady"]["explanation"]["tried"] == ["umask=0077"]
    result.stdout.fnmatch_lines(["demanding on *read-only*"])


def test_a_budget_that_ends_says_what_is_known(varied: Any, leaves_nothing: None) -> None:
    """Not even two controls, controls alone, a drift without a cause, and enough."""
    budgets = {"one": 1, "two": 2, "four": 4}
    tables = (
        f'[tool.mlcontainer.entrypoints.{name}]\ncommand = ["python", "faults.py", "local"]\n'
        f'outputs = ["out/*"]\nvary-budget = {budget}\n'
        for name, budget in budgets.items()
    )

    names = "timezone,clock,umask,env"
    _result, found = varied("\n".join(tables), f"--container-vary={names}")

    said = {name: each["explanation"] for name, each in found.items()}
    assert {name: each["runs"] for name, each in said.items()} == budgets
    assert all(each["open"] for each in said.values()), said
    assert [found[name]["causes"] for name in budgets] == [[], [], []]
    assert found["four"]["verdict"] == "drift"
    assert "timezone" in said["four"]["suspects"]


def test_an_unknown_variation_stops_before_anything_is_built(varied: Any) -> None:
    """With the nearest name; the Dockerfile here could not be built."""
    result, _found = varied(
        configured(steady=""), "--container-vary=hash_sed", dockerfile="FROM none.invalid/none\n"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--container-vary" in result.stderr.str()
    result, _found = varied(
        configured(steady=""), "--container-vary=treads", dockerfile="FROM none.invalid/none\n"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no variation of this name: treads", "*did you mean threads?*"])
    assert "none.invalid" not in result.stdout.str()


def test_a_variation_with_nothing_to_change_is_not_exercised(
    varied: Any, leaves_nothing: None
) -> None:
    """Of two that were asked for the other one is tried, and the reason of this one is said."""
    result, found = varied(configured(steady=""), "--container-vary=threads,umask")

    result.assert_outcomes(passed=1, deselected=2)
    explanation = found["steady"]["explanation"]
    assert names_of(explanation["tried"]) == {"umask"}
    assert explanation["not_exercised"] == [
        {"name": "threads", "why": "no OpenMP, OpenBLAS or MKL in the image"}
    ]


SHELL_ONLY = """\
FROM python:3.13-slim
RUN rm -rf /usr/local/bin/python* /usr/bin/python3*
WORKDIR /app
"""


def test_an_image_with_a_shell_alone_is_varied(varied: Any, leaves_nothing: None) -> None:
    """Its probe is the shell's; what needs a Python says that there is none."""
    config = """
[tool.mlcontainer.entrypoints.owner]
command = ["sh", "-c", "id -u > owner.txt"]
outputs = ["owner.txt"]
"""

    result, found = varied(
        config, "--container-vary=user,hash-seed,hostname", dockerfile=SHELL_ONLY
    )

    result.assert_outcomes(failed=1, deselected=2)
    assert named(found["owner"]) == ("drift", [["user"]])
    explanation = found["owner"]["explanation"]
    assert explanation["tried"] == ["hostname=gpu-node-17", "user=12345:12345"]
    assert explanation["not_exercised"] == [{"name": "hash-seed", "why": "no Python in the image"}]


# Of Debian's programs ldconfig alone is linked statically.
NOTHING_ELSE = """\
FROM python:3.13-slim AS full
FROM scratch
COPY --from=full /sbin/ldconfig /sbin/ldconfig
WORKDIR /out
ENTRYPOINT ["/sbin/ldconfig", "-C", "/out/cache"]
"""


def test_an_image_without_a_shell_shows_no_effect_of_anything(
    varied: Any, leaves_nothing: None
) -> None:
    """Nothing can be seen inside, so nothing counts as tried, each with the reason."""
    config = '[tool.mlcontainer.entrypoints.index]\noutputs = ["cache"]\n'

    result, found = varied(config, "--container-vary", dockerfile=NOTHING_ELSE)

    result.assert_outcomes(passed=1, deselected=2)
    explanation = found["index"]["explanation"]
    assert explanation["tried"] == []
    reasons = {each["name"]: each["why"] for each in explanation["not_exercised"]}
    assert reasons["hash-seed"] == "no Python in the image"
    assert reasons["hostname"] == (
        "hostname=gpu-node-17 cannot be seen to take effect: there is no Python and no shell to "
        "look"
    )
    assert all(reasons.values())


def test_on_the_host_what_needs_no_container_is_varied(
    varied: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hash seed and time zone are named there, too, and one failure in five changes no verdict."""
    counter = tmp_path_factory.mktemp("counter") / "count"
    counter.write_text("3")
    config = configured(
        'platforms = ["host"]',
        keyed="",
        local="",
        every_fifth_fails=f'env = {{ COUNTER = "{counter}" }}',
    )

    result, found = varied(config, "--container-vary=hash-seed,timezone,umask,hostname")

    result.assert_outcomes(failed=2, passed=1, deselected=3)
    assert named(found["keyed"]) == ("nondeterministic", [["hash-seed"]])
    assert named(found["local"]) == ("drift", [["timezone"]])
    assert named(found["every_fifth_fails"]) == ("identical", [])
    explanation = found["every_fifth_fails"]["explanation"]
    (flaky,) = explanation["findings"]
    assert flaky["kind"] == "flaky"
    assert "OSError: connection reset by peer" in flaky["text"]
    assert "at random" not in flaky["text"]
    assert {"name": "hostname", "why": "needs a container"} in explanation["not_exercised"]


def test_a_fixture_runs_under_variations(project: MakeProject, leaves_nothing: None) -> None:
    """`vary` makes another run, whose target says so; a name that cannot be had is explained."""
    project.write(
        configured(keyed=""),
        dockerfile=DOCKERFILE,
        train="",
        faults__py=FAULTS,
        test_own__py="""
import json
import pytest

def value(run):
    return json.loads(run.output("out/result.json").read_text())["value"]

def test_fixed(run_entrypoint):
    runs = [run_entrypoint("keyed", vary=["hash-seed"], repeat=number) for number in range(3)]
    assert value(runs[0]) == value(runs[1]) == value(runs[2])
    assert len({run.id for run in runs}) == 3
    assert runs[0].target.variations == ("hash-seed=0",)
    assert run_entrypoint("keyed").target.variations == ()

@pytest.mark.parametrize("name", ["hash_seed", "threads"])
def test_not_to_be_had(run_entrypoint, name):
    run_entrypoint("keyed", vary=[name])
""",
    )

    result = project.run("test_own.py")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*no variation of this name: hash_seed*",
            "*did you mean hash-seed?*",
            "*not every variation asked for can be applied to keyed*",
            "*threads: no OpenMP, OpenBLAS or MKL in the image",
        ]
    )


def test_workers_find_the_same(project: MakeProject, leaves_nothing: None) -> None:
    """Under pytest-xdist each search is one worker's, on one image for both."""
    root = project.write(
        configured(local="", steady=""), dockerfile=DOCKERFILE, train="", faults__py=FAULTS
    )

    result = project.pytester.runpytest_subprocess(
        "--container", "--container-vary=timezone,umask", "-n", "2", "-k", "varies",
        "--container-report=report",
    )  # fmt: skip

    result.assert_outcomes(passed=1, failed=1)
    found = json.loads((root / "report" / "report.json").read_text())["results"]
    assert {each["entrypoint"]: named(each) for each in found} == {
        "local": ("drift", [["timezone"]]), "steady": ("identical", []),
    }  # fmt: skip


def test_a_family_of_a_conftest_is_tried_and_named(varied: Any, leaves_nothing: None) -> None:
    """What a project's own hook adds is varied with the others, and witnessed like them."""
    conftest = """
from pytest_mlcontainer.hooks import Family, Knobs, Variation, hookimpl

def choose(situation):
    variables = (("SHARD", "7"),)
    return Variation("shard", "7", Knobs(env=variables), ("environment.names",))

@hookimpl
def mlcontainer_variations():
    return [Family("shard", "which shard is trained on", choose)]
"""
    faults = FAULTS.replace(
        "def steady", 'def shard():\n    return os.getenv("SHARD")\n\ndef steady'
    )
    config = configured(shard="")

    result, found = varied(
        config, "--container-vary=umask,shard", faults__py=faults, conftest__py=conftest
    )

    result.assert_outcomes(failed=1, deselected=2)
    assert named(found["shard"]) == ("drift", [["shard"]])
    result.stdout.fnmatch_lines(
        ["shard on * drifts when shard changes: *", "cause: shard (shard=7) *"]
    )


def test_a_name_that_changes_nothing_is_skipped_with_the_reason(varied: Any) -> None:
    """Nothing was tested then, and a pass would say that something was."""
    result, found = varied(
        configured(keyed='env = { PYTHONHASHSEED = "0" }'), "--container-vary=hash-seed", "-rs"
    )

    result.assert_outcomes(skipped=1, deselected=2)
    result.stdout.re_match_lines(
        [
            r"SKIPPED .*nothing was tested: .* for keyed.*: hash-seed: the project sets "
            "PYTHONHASHSEED itself",
            r"  → ask for others \(`mlcontainer explain --list` lists them\).*",
        ]
    )
    assert "keyed" not in found


def test_a_name_is_applied_over_what_the_image_sets(varied: Any) -> None:
    """Without the name the image's pin stands and is said; it hides what the host would show."""
    pinned = DOCKERFILE + "ENV PYTHONHASHSEED=0\n"
    config = configured(keyed="")

    _result, named_ones = varied(config, "--container-vary=hash-seed", dockerfile=pinned)
    _result, all_of_them = varied(config, "--container-vary", "pyproject.toml", dockerfile=pinned)

    assert named(named_ones["keyed"]) == ("drift", [["hash-seed"]])
    assert named(all_of_them["keyed"]) == ("identical", [])
    (note,) = [each for each in all_of_them["keyed"]["notes"] if "the image sets" in each]
    assert "PYTHONHASHSEED=0" in note
    assert "--container-vary=" in note
    assert "hash-seed" in note
