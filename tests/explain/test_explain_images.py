"""What between two images makes outputs drift: candidates, environments between, the search."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.cli.explain_images import ImageArgs, explain_images
from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.explain.packages import (
    BASE,
    ENV,
    PROJECT,
    Contents,
    Distribution,
    ImageChangeKind,
    Tie,
    changes,
    closed,
    crossing,
    ties,
)
from pytest_mlcontainer.explain.versions import jump, parse_requirement
from pytest_mlcontainer.inside import transplant
from pytest_mlcontainer.model import BuildSettings, Entrypoint, Image, Platform
from pytest_mlcontainer.pipeline.environments import (
    Mixture,
    Side,
    Wheels,
    dockerfile,
    fitted,
    plan_recipe,
)

BASE_IMAGE = "python:3.13-slim"
AMD64 = Platform("linux", "amd64")


# Versions and requirements


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("numpy<2.3,>=1.23.5", ["1.23.5", "2.2.6"], ["2.3", "2.4.1", "1.23.4"]),
        ("numpy (>=1.20,!=1.24.*)", ["1.20", "1.25.0"], ["1.24.3", "1.19.5"]),
        ("scipy~=1.4.2", ["1.4.2", "1.4.9"], ["1.5", "1.4.1"]),
        ("torch==2.1.0", ["2.1", "2.1.0+cpu"], ["2.1.1"]),
        ("x>=2.0", ["2.0.post1"], ["2.0rc1", "2.0.dev3", "1.9"]),
        ("x[extra]>1", ["2", "not a version"], ["1"]),
        ("x==1!2.0", ["1!2.0"], []),
    ],
)
def test_a_requirement_accepts_what_pip_would(
    text: str, accepted: list[str], refused: list[str]
) -> None:
    """By release, pre-release and wildcard; an unreadable version is given the benefit."""
    found = parse_requirement(text, "3.13.5")
    assert found is not None
    assert [each for each in (*accepted, *refused) if found.accepts(each)] == accepted


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("numpy>=2; python_version >= '3.13'", True),
        ("numpy>=2; python_version < '3.10'", False),
        ("numpy>=2; extra == 'test'", False),
        ('numpy>=2; python_version >= "3.9" and python_version < "4"', True),
        ("numpy>=2; sys_platform == 'win32'", False),
        ("numpy @ file:///tmp/x.whl", False),
        ("???", False),
    ],
)
def test_only_requirements_that_hold_here_count(text: str, counts: bool) -> None:
    """What depends on an extra, or is not understood, never keeps packages together."""
    assert (parse_requirement(text, "3.13.5") is not None) is counts


def test_a_jump_is_as_large_as_the_first_part_that_differs() -> None:
    """Majors are suspected before minors, and minors before patches."""
    assert [jump("1.2.3", other) for other in ("1.2.3", "1.2.4", "1.3", "2.0")] == [0, 1, 2, 3]
    assert jump("2.0rc1", "2.0") == 1


# Candidates


def package(
    name: str, version: str, *requires: str, compiled: bool = False, own: bool = False
) -> Distribution:
    info = f"{name}-{version}.dist-info"
    return Distribution(
        name, version, "/site", info, f"{name}{version}", compiled, compiled, requires, (name,), own
    )


def image(*packages: Distribution, **other: Any) -> Contents:
    made = Contents("3.13.5", "x86_64", "/usr/bin/python3", "cpython-313", "/site")
    return replace(made, distributions=packages, **other)


def names_of(a: Contents, b: Contents, project: str = "") -> list[str]:
    return [change.name for change in changes(a, b, project)]


def test_changes_are_what_differs_the_suspicious_first() -> None:
    """Numeric before others, majors before patches, tooling last; nothing that is the same."""
    a = image(
        package("pip", "24.0"), package("numpy", "1.26.4", compiled=True), package("same", "1"),
        package("alpha", "1.0.0"), package("beta", "1.0.0"),
    )  # fmt: skip
    b = image(
        package("pip", "26.0"), package("numpy", "2.4.1", compiled=True), package("same", "1"),
        package("alpha", "1.0.1"), package("beta", "2.0.0"),
    )  # fmt: skip
    assert names_of(a, b) == ["numpy", "beta", "alpha", "pip"]
    assert changes(a, b)[0].text == "numpy 1.26.4 → 2.4.1"


def test_another_build_of_one_version_is_a_change() -> None:
    """Equal versions with other contents: another BLAS inside, say."""
    mine = package("numpy", "2.0")
    (change,) = changes(image(mine), image(replace(mine, digest="other")))
    assert change.text == "numpy 2.0, another build"


def test_what_only_one_image_has_is_a_change() -> None:
    """An accelerator that is found, or not, decides as much as its version."""
    found = changes(image(package("mkl", "1")), image(package("numba", "2")))
    assert {change.text for change in found} == {"mkl 1 → none", "numba none → 2"}


def test_the_project_is_one_change_with_its_own_distribution() -> None:
    """Files of the working directory, the installed project, and where it is."""
    a = image(package("bikes", "0.1"), package("tool", "1", own=True), project=(("a.py", "1"),))
    b = image(package("bikes", "0.2"), package("tool", "2", own=True), project=(("a.py", "2"),))
    (change,) = changes(a, b, "bikes")
    assert (change.name, change.kind) == (PROJECT, ImageChangeKind.PROJECT)
    assert {each.name for side in change.own for each in side} == {"bikes", "tool"}


def test_variables_of_the_system_are_no_change_of_their_own() -> None:
    """PATH and the like belong to the base image; values that may be secret are not shown."""
    a = image(env=(("PATH", "/a"), ("API_KEY", "old"), ("OMP_NUM_THREADS", "1")))
    b = image(env=(("PATH", "/b"), ("API_KEY", "new"), ("OMP_NUM_THREADS", "4")))
    (change,) = changes(a, b)
    assert (change.name, change.text) == (ENV, "ENV (API_KEY: … → …, OMP_NUM_THREADS: 1 → 4)")


def test_all_else_is_the_base_image() -> None:
    """Its text names Python, system and libc where these differ, else files."""
    a = image(base=(("/lib/libm.so.6", "1"),), libc="glibc 2.36")
    b = image(base=(("/lib/libm.so.6", "2"),), libc="glibc 2.41")
    (change,) = changes(a, b)
    assert (change.name, change.text) == (BASE, "the base image (libc glibc 2.36 → glibc 2.41)")
    (change,) = changes(a, replace(b, libc=a.libc))
    assert "/lib/libm.so.6" in change.text


def test_a_package_called_like_one_of_our_words_keeps_apart_from_it() -> None:
    """There is a package `env` on the index."""
    a = image(package("env", "1"), env=(("A", "1"),))
    b = image(package("env", "2"), env=(("A", "2"),))
    assert sorted(names_of(a, b)) == [ENV, "env (package)"]


# What cannot be apart

OLD = image(package("numpy", "1.26.4"), package("scipy", "1.11.4", "numpy<1.28.0,>=1.21.6"))
NEW = image(package("numpy", "2.4.1"), package("scipy", "1.17.0", "numpy<2.7,>=1.26.4"))


def test_ties_come_from_what_packages_require() -> None:
    """The new numpy needs the new scipy, since the old one refuses it; not the other way."""
    (tie,) = ties(changes(OLD, NEW), OLD, NEW)
    assert (tie.name, tie.needs) == ("numpy", "scipy")
    assert tie.why == "scipy 1.11.4 requires numpy<1.28.0,>=1.21.6, not 2.4.1"
    assert closed(["numpy"], [tie]) == {"numpy", "scipy"}
    assert closed(["scipy"], [tie]) == {"scipy"}


def test_a_package_that_comes_brings_what_it_requires() -> None:
    """And what it requires is not there before."""
    a, b = image(), image(package("a", "1", "b"), package("b", "1"))
    assert [(tie.name, tie.needs) for tie in ties(changes(a, b), a, b)] == [("a", "b")]


def test_ties_follow_one_another() -> None:
    """Also in a circle."""
    chain = [Tie("a", "b", ""), Tie("b", "c", ""), Tie("c", "a", "")]
    assert closed(["b"], chain) == {"a", "b", "c"}


def test_what_fails_alone_may_belong_to_what_it_is_required_by() -> None:
    """Undeclared ABIs: the packages that the failure names come first."""
    requires = ("scipy", "pandas", "other")
    a = image(package("numpy", "1.26"), *(package(name, "1", "numpy") for name in requires))
    b = image(package("numpy", "2.0"), *(package(name, "2", "numpy") for name in requires))
    found = changes(a, b)
    assert {tie.needs for tie in crossing(["numpy"], found)} == set(requires)
    assert {tie.needs for tie in crossing(["numpy"], found, ["pandas"])} == {"pandas"}
    assert crossing(["numpy", *requires], found) == ()


# Environments, as data


def side(name: str, contents: Contents, **config: Any) -> Side:
    made = Image(f"{name}:1", f"sha256:{name}", AMD64, workdir="/app", env=contents.env)
    return Side(name, contents, replace(made, **config))


def mixture(a: Contents, b: Contents, **other: Any) -> Mixture:
    return replace(Mixture(side("a", a), side("b", b), changes(a, b)), **other)


FIRST = image(
    package("x", "1"), package("y", "1"), project=(("f", "1"),), env=(("A", "1"),), workdir="/app",
    base=(("/lib/l", "1"),),
)  # fmt: skip
SECOND = image(
    package("x", "2"), package("z", "2"), project=(("f", "2"),), env=(("B", "2"),), workdir="/app",
    base=(("/lib/l", "2"),),
)  # fmt: skip


def test_nothing_is_a_and_everything_is_b() -> None:
    """Neither needs a build."""
    mixed = mixture(FIRST, SECOND)
    for names, name in ((frozenset(), "a"), (mixed.names, "b")):
        recipe = plan_recipe(mixed, names)
        assert (recipe.base.name, recipe.needs_build, recipe.env) == (name, False, ())


@pytest.mark.parametrize("names", [["x"], ["y"], ["z"], ["x", "y", "z", PROJECT]])
def test_packages_come_from_b_where_they_are_changed(names: list[str]) -> None:
    """Begun from A: what goes is A's, what comes is B's."""
    recipe = plan_recipe(mixture(FIRST, SECOND), names)
    assert recipe.base.name == "a"
    assert {each.name for each in recipe.drop} == {"x", "y"} & set(names)
    assert {each.name for each in recipe.take} == {"x", "z"} & set(names)
    assert {each.version for each in recipe.take} <= {"2"}
    assert recipe.project is (PROJECT in names)


def test_with_the_base_image_changed_all_else_comes_from_a() -> None:
    """Begun from B, with A's packages, code and variables put back."""
    recipe = plan_recipe(mixture(FIRST, SECOND), [BASE, "x"])
    assert (recipe.base.name, recipe.donor.name, recipe.project) == ("b", "a", True)
    assert {each.name for each in recipe.drop} == {"z"}
    assert [(each.name, each.version) for each in recipe.take] == [("y", "1")]
    assert (recipe.env, recipe.unset) == ((("A", "1"),), ("B",))
    assert dockerfile(recipe).startswith("FROM b:1\n")


def test_variables_are_given_to_the_run_and_the_entrypoints_own_win() -> None:
    """So that no secret is built in; what A has and B has not is taken away."""
    recipe = plan_recipe(mixture(FIRST, SECOND), [ENV])
    assert not recipe.needs_build
    entry = fitted(Entrypoint("e", ("python", "e.py")), recipe)
    assert (entry.entrypoint, entry.command) == (("env",), ("-u", "A", "python", "e.py"))
    assert entry.env == (("B", "2"),)
    entry = fitted(Entrypoint("e", ("python", "e.py"), env=(("A", "3"), ("B", "4"))), recipe)
    assert (entry.entrypoint, dict(entry.env)) == (None, {"A": "3", "B": "4"})


def test_how_an_image_starts_goes_with_the_project() -> None:
    """Its ENTRYPOINT, CMD and WORKDIR say how that code is run."""
    a = side("a", FIRST, command=("python", "old.py"))
    b = side("b", SECOND, entrypoint=("python",), command=("new.py",), workdir="/srv")
    mixed = Mixture(a, b, changes(FIRST, SECOND))
    entry = fitted(Entrypoint("e"), plan_recipe(mixed, [PROJECT]))
    assert (entry.entrypoint, entry.command, entry.workdir) == (("python",), ("new.py",), "/srv")
    entry = fitted(Entrypoint("e"), plan_recipe(mixed, ["x"]))
    assert (entry.entrypoint, entry.command, entry.workdir) == (None, (), None)


def test_what_was_compiled_for_another_python_is_installed_from_a_wheel() -> None:
    """Files of another minor version cannot be loaded; pure packages are moved all the same."""
    a = image(package("fast", "1", compiled=True), package("pure", "1"))
    b = image(package("fast", "2", compiled=True), package("pure", "2"))
    b = replace(b, python="3.11.9", cache_tag="cpython-311")
    wheels = (Wheels("wheels:1", (("fast", "/w/fast.whl"),)), Wheels())
    recipe = plan_recipe(mixture(a, b, wheels=wheels), ["fast", "pure"])
    assert recipe.install == ("/w/fast.whl",)
    assert [each.name for each in recipe.take] == ["pure"]
    assert '"/w/fast.whl"' in dockerfile(recipe)


# Moving files, in folders of this machine


def write(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def installed(site: Path, name: str, version: str, files: dict[str, str]) -> str:
    """A distribution as pip leaves it; returns the name of its metadata folder."""
    info = f"{name}-{version}.dist-info"
    files = {**files, f"{info}/METADATA": f"Name: {name}\nVersion: {version}\n"}
    for path, text in files.items():
        write(site / path, text)
    lines = [f"{path},sha256=x,{len(text)}" for path, text in files.items()]
    write(site / info / "RECORD", "\n".join([*lines, f"{info}/RECORD,,"]))
    return info


def test_a_distribution_moves_with_its_libraries_scripts_and_metadata(tmp_path: Path) -> None:
    """And nothing of the old one stays, byte code included; other packages are not touched."""
    site, donor = tmp_path / "lib" / "python" / "site-packages", tmp_path / "donor"
    there = Path(f"{donor}{site}")
    old = installed(site, "alpha", "1", {"alpha/a.py": "1", "alpha/gone.py": "1"})
    write(site / "alpha" / "__pycache__" / "gone.cpython-313.pyc", "stale")
    installed(site, "beta", "1", {"beta/b.py": "1", "shared/b.py": "1"})
    new = installed(there, "alpha", "2", {
        "alpha/a.py": "2", "alpha.libs/libx.so": "2", "shared/a.py": "2",
        "../../../bin/alpha": "#!/opt/donor/python\nrun",
    })  # fmt: skip
    transplant.apply({
        "donor": str(donor),
        "drop": [{"site": str(site), "info": old}],
        "take": [{"site": str(site), "info": new, "into": str(site)}],
        "folders": [], "cache_tag": "other", "python": "/opt/donor/python",
    })  # fmt: skip
    left = {str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").rglob("*")
            if path.is_file() and "alpha" in str(path)}  # fmt: skip
    assert {path.rpartition("site-packages/")[2] for path in left} == {
        "alpha/a.py", "alpha.libs/libx.so", f"{new}/METADATA", f"{new}/RECORD",
    }  # fmt: skip
    assert (site / "alpha" / "a.py").read_text() == "2"
    assert (site / "shared" / "a.py").exists()
    assert (site / "shared" / "b.py").exists()
    assert (tmp_path / "bin" / "alpha").read_text().splitlines()[0] == f"#!{sys.executable}"


def test_without_a_record_the_importable_folder_is_the_distribution(tmp_path: Path) -> None:
    """As the packages of a Linux distribution are."""
    info = tmp_path / "old_one-1.egg-info"
    write(info / "PKG-INFO", "Name: old.one\nVersion: 1\n")
    write(info / "top_level.txt", "old_module\n")
    write(tmp_path / "old_module" / "x.py", "")
    write(tmp_path / "elsewhere.py", "")
    files = transplant.owned_files("", str(tmp_path), info.name)
    assert "old_module/x.py" in files
    assert "elsewhere.py" not in files


def test_the_projects_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Files that only A has go; a virtual environment in it stays."""
    donor, here = tmp_path / "donor", tmp_path / "app"
    write(here / "old.py", "1")
    write(here / ".env" / "pyvenv.cfg", "")
    write(here / ".env" / "lib" / "x.py", "1")
    write(Path(f"{donor}{here}") / "pkg" / "new.py", "2")
    transplant.apply({
        "donor": str(donor), "drop": [], "take": [], "cache_tag": "", "python": "",
        "folders": [{"from": str(here), "into": str(here), "to": str(here)}],
    })  # fmt: skip
    found = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert found == {"pkg/new.py", ".env/pyvenv.cfg", ".env/lib/x.py"}


@pytest.mark.parametrize("size", [1000, (1 << 20) + 1, 5 << 20])
def test_a_change_anywhere_in_a_file_is_a_change(tmp_path: Path, size: int) -> None:
    """Weights that were trained further begin and end as before."""
    weights, further = (tmp_path / name for name in ("weights.bin", "further.bin"))
    content = bytearray(size)
    weights.write_bytes(content)
    content[size // 2] = 1
    further.write_bytes(content)

    assert transplant._digest(str(weights)) != transplant._digest(str(further))


def test_the_script_says_what_this_python_has() -> None:
    """The same list as importlib's, read without it, in the text that images are given."""
    from importlib import metadata

    text = Path(transplant.__file__).read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", text, "list-packages"], capture_output=True, text=True, check=True
    )
    import zlib

    packed = done.stdout.split(transplant.MARKER)[1]
    told = json.loads(zlib.decompress(base64.b64decode(packed)))
    seen = {each["name"]: each["version"] for each in told["distributions"]}
    known = {
        re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version
        for each in metadata.distributions()
    }
    assert seen == known
    assert next(each for each in told["distributions"] if each["name"] == "numpy")["bound"]


# With real images


def wheel(
    folder: Path, name: str, version: str, value: object, requires: Iterable[str] = ()
) -> None:
    """A pure wheel of one module; the same bytes every time."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"value = {value!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{path},sha256={digest.rstrip(b'=').decode()},{len(text)}\n"
            archive.writestr(zipfile.ZipInfo(path), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record)


Build = Callable[..., str]


@pytest.fixture(scope="module")
def build(engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Builds an image from the lines of a Dockerfile and files; all go at the end."""
    made: list[str] = []
    buildx = Buildx(None, os.environ, Processes())
    native = Platform("linux", engine.version()["Arch"])

    def build(
        dockerfile: str,
        files: dict[str, str],
        needs: dict[str, list[str]] | None = None,
        **values: object,
    ) -> str:
        folder = tmp_path_factory.mktemp("image")
        for name, text in files.items():
            write(folder / name, text)
        for name, value in values.items():
            package, version = name.rsplit("_", 1)
            wheel(folder, package, f"{version}.0", value, (needs or {}).get(package, ()))
        file = write(folder / "Dockerfile", dockerfile)
        tag = f"mlcontainer-test-{uuid.uuid4().hex[:12]}:1"
        settings = BuildSettings(folder, file)
        platform = Platform("linux", "arm64") if "arm64" in dockerfile else native
        made.append(tag)
        buildx.build(settings, platform, tag, (), lambda _line: None)
        return tag

    yield build
    for tag in made:
        engine.remove_image(tag, force=True)


INSTALL = f"""\
FROM {BASE_IMAGE}
WORKDIR /app
COPY *.whl /tmp/
RUN pip install --no-index --no-deps --root-user-action=ignore /tmp/*.whl
COPY *.py ./
"""
PREDICT = """\
import json, alpha, beta, gamma
both = beta.value == gamma.value == 2
json.dump({"alpha": alpha.value, "both": float(both)}, open("result.json", "w"))
"""


def explained(capsys: pytest.CaptureFixture[str], asked: ImageArgs) -> tuple[int, list[str]]:
    code = explain_images(asked)
    return code, capsys.readouterr().out.splitlines()


def test_the_packages_that_make_outputs_drift_are_named(
    build: Build, capsys: pytest.CaptureFixture[str], tmp_path: Path, leaves_nothing: None,
    engine: docker.APIClient,
) -> None:  # fmt: skip
    """One alone, and two of which neither does it alone; not what else differs."""
    files = {"predict.py": PREDICT}
    first = build(INSTALL, files, alpha_1=1.0, beta_1=1, gamma_1=1)
    second = build(INSTALL + "ENV NOTE=x\n", files, alpha_2=1.5, beta_2=2, gamma_2=2)
    asked = ImageArgs(
        (first, second), command="python predict.py", outputs=("*.json",), report=tmp_path / "r"
    )
    code, lines = explained(capsys, asked)
    assert code == 1
    assert sorted(lines[:2]) == [
        "alpha 1.0 → 2.0 makes result.json drift",
        "beta 1.0 → 2.0 and gamma 1.0 → 2.0 together make result.json drift",
    ]
    (result,) = json.loads((tmp_path / "r" / "report.json").read_text())["results"]
    assert sorted(cause["names"] for cause in result["causes"]) == [["alpha"], ["beta", "gamma"]]


def tags(engine: docker.APIClient) -> set[str]:
    return {tag for image in engine.images() for tag in image.get("RepoTags") or ()}


def test_code_and_variables_of_an_image_are_causes_too(
    build: Build,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaves_nothing: None,
    engine: docker.APIClient,
) -> None:
    """Each with what differs in it; and no image between the two is left behind."""
    script = (
        "import json, os, code_\n"
        "found = {'env': float('OMP_NUM_THREADS' in os.environ), 'code': code_.offset}\n"
        "json.dump(found, open('result.json', 'w'))\n"
    )
    dockerfile = f'FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY *.py ./\nCMD ["python", "run.py"]\n'
    first = build(
        f"{dockerfile}ENV OMP_NUM_THREADS=1\n", {"run.py": script, "code_.py": "offset = 0.0\n"}
    )
    second = build(dockerfile, {"run.py": script, "code_.py": "offset = 1.0\n"})
    project = tmp_path / "bikes"
    write(
        project / "pyproject.toml",
        '[tool.mlcontainer.entrypoints.predict]\noutputs = ["result.json"]\n',
    )
    monkeypatch.chdir(project)
    code, lines = explained(capsys, ImageArgs((first, second)))
    assert code == 1
    assert sorted(lines[:2]) == [
        "ENV (OMP_NUM_THREADS: 1 → unset) makes result.json drift",
        "the project's code (code_.py) makes result.json drift",
    ]
    assert not [tag for tag in tags(engine) if tag.startswith("pytest-mlcontainer/bikes")]


def test_a_package_without_which_a_program_fails_is_named(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """Image B does not work at all: what it fails with, and since which version."""
    script = "import alpha\nprint(1 // (2 - alpha.value))\n"
    first = build(INSTALL, {"run.py": script}, alpha_1=1)
    second = build(INSTALL, {"run.py": script}, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 1
    assert lines[0].startswith("alpha 1.0 → 2.0 makes command fail: ")
    assert "ZeroDivisionError" in lines[0]


def test_packages_that_only_work_together_are_changed_together(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """What fails alone is tried with what requires it; an ABI is seldom declared."""
    script = (
        "import json, alpha, beta\n"
        "assert int(alpha.value) == int(beta.value), 'site-packages/beta'\n"
        "json.dump({'sum': alpha.value + beta.value}, open('result.json', 'w'))\n"
    )
    needs = {"beta": ["alpha"]}
    first = build(INSTALL, {"run.py": script}, needs=needs, alpha_1=1.0, beta_1=1.0)
    second = build(INSTALL, {"run.py": script}, needs=needs, alpha_2=2.0, beta_2=2.0)
    asked = ImageArgs((first, second), command="python run.py", outputs=("result.json",))
    code, lines = explained(capsys, asked)
    assert code == 1
    assert lines[0] == "alpha 1.0 → 2.0 and beta 1.0 → 2.0 together make result.json drift"


def test_images_that_agree_say_so_in_three_runs(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """A, A again, and B; what differs between them is listed all the same."""
    files = {"run.py": "print(1.5)\n"}
    first, second = build(INSTALL, files, alpha_1=1), build(INSTALL, files, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 0
    assert lines[0] == f"{second} agrees with {first}, though 1 thing differs in them"
    assert lines[2:] == ["  differing: alpha=1.0 → 2.0", "  3 runs"]


def test_a_program_that_never_repeats_itself_says_nothing_of_images(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """No package is blamed for an unseeded generator."""
    files = {"run.py": "import random\nprint(random.random())\n"}
    first, second = build(INSTALL, files, alpha_1=1), build(INSTALL, files, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 1
    assert lines[0].startswith("command wrote something else in another run in ")
    assert "alpha 1.0 → 2.0 makes" not in "\n".join(lines)


def test_packages_of_this_machine_are_tried_in_the_container(
    build: Build,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaves_nothing: None,
) -> None:
    """`--image host`: the Python first on PATH is the donor, and runs the program, too. What the
    program imports is tried, and nothing else where that is the cause."""
    script = "import alpha\nprint(alpha.value)\n"
    first = build(INSTALL, {"run.py": script}, alpha_1=1.0)
    project, site = tmp_path / "project", tmp_path / "venv" / "lib" / "site-packages"
    write(project / "run.py", script)
    installed(site, "alpha", "2.0", {"alpha/__init__.py": "value = 2.0\n"})
    for number in range(3):
        installed(site, f"other{number}", "1.0", {f"other{number}/__init__.py": ""})
    python = write(
        tmp_path / "venv" / "bin" / "python3",
        f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n',
    )
    python.chmod(0o755)
    (python.parent / "python").symlink_to(python)
    monkeypatch.setattr(sys, "executable", str(python))  # what "this Python" is
    monkeypatch.chdir(project)
    code, lines = explained(capsys, ImageArgs((first, "host"), command="python run.py"))
    assert code == 1
    assert lines[0] == "alpha 1.0 → 2.0 makes stdout drift"
    text = " ".join(" ".join(lines).split())
    assert "other0, other1 and other2" in text or "other0 and other1 and other2" in text
    assert "(no program of the project imports it)" in text


# Bad input


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two entrypoints that write, and one that does not."""
    table = "tool.mlcontainer.entrypoints"
    write(
        tmp_path / "pyproject.toml",
        f'[{table}.train]\noutputs = ["a"]\n[{table}.infer]\noutputs = ["b"]\n[{table}.check]\n',
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (ImageArgs(("a:1",), command="x"), "two images are held against each other"),
        (ImageArgs(("host", "a:1"), command="x"), "image A cannot be this machine"),
        (ImageArgs(("a:1", "a:1"), command="x"), "both are the same image"),
        (ImageArgs(("a:1", "b:1"), command="x", budget=2), "the budget is too small"),
        (ImageArgs(("a:1", "b:1"), command="x 'y"), "the command cannot be read"),
        (
            ImageArgs(("a:1", "b:1"), command="x", entrypoint="train"),
            "both a command and an entry",
        ),
        (ImageArgs(("a:1", "b:1"), outputs=("x",)), "outputs are given without a command"),
        (ImageArgs(("a:1", "b:1")), "several entrypoints of pyproject.toml could be meant"),
        (ImageArgs(("a:1", "b:1"), entrypoint="tran"), "no entrypoint has this name"),
        (ImageArgs(("a:1", "b:1"), entrypoint="check"), "no entrypoint of this name writes"),
        (ImageArgs(("a:1", "b:1"), config=Path("none.toml")), ""),
        (ImageArgs(("0123456789ab", "b:1"), command="x"), "an image has to be named"),
        (
            ImageArgs((f"{BASE_IMAGE}", "no-such-image:1"), command="x"),
            "there is no such image",
        ),
        (
            ImageArgs((BASE_IMAGE, f"docker.io/library/{BASE_IMAGE}"), command="x"),
            "both are the same",
        ),
    ],
)
def test_bad_input_is_said_in_three_parts(
    asked: ImageArgs, what: str, project: Path, engine: docker.APIClient
) -> None:
    """What, the value, and what to do; before anything is run."""
    with pytest.raises(MlContainerError) as raised:
        explain_images(asked)
    assert raised.value.what.startswith(what)
    assert raised.value.value or raised.value.what.count("\n")


def test_without_a_project_a_command_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the error says how to give one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlContainerError, match="--command"):
        explain_images(ImageArgs(("a:1", "b:1")))


def test_images_without_python_or_of_another_platform_are_refused(
    build: Build, engine: docker.APIClient, native: str
) -> None:
    """The error names the image, and where to look instead."""
    bare = build("FROM scratch\nCOPY run.py /\n", {"run.py": ""})
    with pytest.raises(MlContainerError, match=f"no Python in the image {bare}"):
        explain_images(ImageArgs((BASE_IMAGE, bare), command="python run.py"))
    other = build("FROM scratch\n# linux/arm64\nCOPY run.py /\n", {"run.py": ""})
    with pytest.raises(MlContainerError, match="of different platforms"):
        explain_images(ImageArgs((bare, other), command="python run.py"))


def test_an_entrypoint_that_fails_in_image_a_ends_it(
    build: Build, engine: docker.APIClient
) -> None:
    """There is nothing to hold B against."""
    first = build(INSTALL, {"run.py": "raise SystemExit(3)\n"}, alpha_1=1)
    with pytest.raises(MlContainerError, match="command fails in image A"):
        explain_images(ImageArgs((first, BASE_IMAGE), command="python run.py"))
