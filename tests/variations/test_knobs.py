"""Knobs of variations → what a container is created with, and what a run in it finds."""

from __future__ import annotations

import io
import json
import os
import posixpath
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.model import (
    Entrypoint,
    Facts,
    Image,
    Knobs,
    Limits,
    Output,
    Platform,
    Run,
    Target,
)
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.container import ContainerRun, execute
from pytest_mlcontainer.runs.inputs import Input, content_tar, folder_tar
from pytest_mlcontainer.runs.knobs import INTERNAL_NETWORK, KnobResources, outermost, turn
from pytest_mlcontainer.variations import preload

BASE = "python:3.13-slim"
AMD64 = Platform("linux", "amd64")
IMAGE = Image("app", "sha256:0", AMD64, 1, ("tini", "--"), ("serve",), "", "/app")
SPEC = ContainerSpec("app", AMD64, command=("python", "train.py"), env=(("SEED", "1"),))
Runs = Callable[..., Run]


def tell(expression: str, before: str = "") -> str:
    """Python code that writes an expression's value to `out/seen.json`."""
    return (
        f"import ctypes, json, os, pathlib, resource, socket\n{before}\n"
        "os.makedirs('out', exist_ok=True)\n"
        f"value = {expression}\njson.dump(value, open('out/seen.json', 'w'))"
    )


@pytest.fixture(scope="module")
def built(engine: docker.APIClient) -> Iterator[str]:
    """An image with a program of its own as ENTRYPOINT, a library that it preloads, and files."""
    tag = f"mlcontainer-test-{uuid.uuid4().hex[:12]}"
    files = {
        "Dockerfile": f"FROM {BASE}\nWORKDIR /app\nCOPY own /app/own\n"
        'ENV LD_PRELOAD=libresolv.so.2\nENTRYPOINT ["python"]\nCMD ["-c", "pass"]\n',
        "own/words.txt": "of the image",
        "own/a": "",
        "own/b": "",
        "own/c": "",
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    context.seek(0)
    said = list(
        engine.build(
            fileobj=context, custom_context=True, tag=tag, decode=True, rm=True, forcerm=True
        )
    )
    assert not any("error" in each for each in said), said
    yield tag
    engine.remove_image(tag, force=True)


@pytest.fixture
def own(engine: docker.APIClient) -> Iterator[DockerEngine]:
    """The engine, as a session of its own uses it; what that made is removed at the end."""
    made = DockerEngine(None, os.environ, current_owner(uuid.uuid4().hex))
    yield made
    made.remove_session(keep_containers=False)
    made.close()
    made.disconnect()


@pytest.fixture
def runs(own: DockerEngine, built: str, native: str, tmp_path: Path) -> Runs:
    """Runs Python code in the image under knobs: `runs(code, knobs, volumes=…, outputs=…)`."""
    image = own.find_image(built, Platform(*native.split("/")))
    assert image is not None

    def run(code: str, knobs: Knobs, /, **given: Any) -> Run:
        means, needs, files = (given.pop(name, ()) for name in ("means", "needs", "files"))
        volumes = given.pop("volumes", ())
        entry = Entrypoint("train", **{"command": ("-c", code), "outputs": ("out/*",), **given})
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return execute(
            ContainerRun(
                id=folder.name,
                engine=own,
                image=image,
                entry=entry,
                target=Target(image.platform),
                volumes=volumes,
                files=files,
                needs=needs,
                facts=Facts(),
                folder=folder,
                knobs=knobs,
                means=means or KnobResources(),
            )
        )

    return run


def seen(run: Run) -> Any:
    """What `tell` wrote."""
    printed = run.stderr.read_text()
    assert run.failure is None, (run.failure, printed)
    (output,) = (each for each in run.outputs if each.name == "out/seen.json")
    return json.loads(output.path.read_text())


def needed(tmp_path: Path) -> Run:
    """A finished run that wrote `out/model.txt` and `/cache/index.txt`."""
    outputs = []
    for name in ("out/model.txt", "/cache/index.txt"):
        file = tmp_path / name.replace("/", "_")
        file.write_text(f"needed {name}")
        outputs.append(Output(name, file, file.stat().st_size))
    log = tmp_path / "log"
    log.write_text("")
    return Run(
        id="needed",
        entrypoint="prepare",
        target=Target(AMD64),
        exit_code=0,
        duration_s=0.1,
        folder=tmp_path,
        stdout=log,
        stderr=log,
        outputs=tuple(outputs),
        workdir="/app",
    )


# What a container is created with


def test_no_knobs_change_nothing() -> None:
    """A run that is not varied is created just as it always was."""
    assert turn(SPEC, Knobs(), IMAGE, "/app", KnobResources("volume", "net"), ("/app/out",)) is SPEC


@pytest.mark.parametrize(
    ("spec", "entrypoint", "command"),
    [
        (replace(SPEC, command=()), ("nice",), ("-n", "5", "tini", "--", "serve")),
        (SPEC, ("nice",), ("-n", "5", "tini", "--", "python", "train.py")),
        (
            replace(SPEC, entrypoint=("sh", "-c")),
            ("nice",),
            ("-n", "5", "sh", "-c", "python", "train.py"),
        ),
        # An ENTRYPOINT that is replaced takes the image's CMD with it.
        (replace(SPEC, entrypoint=("run",), command=()), ("nice",), ("-n", "5", "run")),
        (replace(SPEC, entrypoint=()), ("nice",), ("-n", "5", "python", "train.py")),
    ],
)
def test_a_wrapper_goes_before_what_would_run(
    spec: ContainerSpec, entrypoint: tuple[str, ...], command: tuple[str, ...]
) -> None:
    """Whatever of image and configuration says what that is."""
    turned = turn(spec, Knobs(wrapper=("nice", "-n", "5")), IMAGE)
    assert (turned.entrypoint, turned.command) == (entrypoint, command)


@pytest.mark.parametrize(
    ("image", "configured", "expected"),
    [
        ((), (), ""),
        ((("LD_PRELOAD", "libjemalloc.so"),), (), ":libjemalloc.so"),
        ((("LD_PRELOAD", "libjemalloc.so"),), (("LD_PRELOAD", "libomp.so"),), ":libomp.so"),
    ],
)
def test_a_preloaded_library_is_the_first_of_all(
    image: tuple[tuple[str, str], ...], configured: tuple[tuple[str, str], ...], expected: str
) -> None:
    """What the image or, before it, the configuration preloads stays; the rest is as it was."""
    spec = replace(SPEC, env=(("SEED", "1"), *configured))
    knobs = Knobs(preload=True, env=(("STEER", "1"),))
    turned = turn(spec, knobs, replace(IMAGE, env=image), "/app", KnobResources(preload="volume"))
    ours = f"{preload.FOLDER}/{preload.NAME}"
    assert dict(turned.env) == {"SEED": "1", "STEER": "1", "LD_PRELOAD": ours + expected}
    assert turned.volumes == (("volume", preload.FOLDER),)


def test_what_is_not_turned_stays() -> None:
    """A configured limit holds until a knob says otherwise."""
    limits = Limits(memory_bytes=1 << 30, shm_size_bytes=1 << 26, user="7", network="bridge")
    spec = replace(SPEC, limits=limits)
    assert turn(spec, Knobs(hostname="x"), IMAGE).limits == limits
    assert turn(spec, Knobs(memory_bytes=1 << 28), IMAGE).limits == replace(
        limits, memory_bytes=1 << 28
    )
    assert turn(spec, Knobs(network="none"), IMAGE).limits == replace(limits, network="none")


def test_the_internal_network_is_the_sessions_own() -> None:
    """Families ask for one by a name that is no engine's; the session's takes its place."""
    turned = turn(
        SPEC, Knobs(network=INTERNAL_NETWORK), IMAGE, means=KnobResources(network="session-7")
    )
    assert turned.limits.network == "session-7"


folders = st.lists(st.sampled_from("ab"), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(folders, max_size=6))
def test_outermost_folders_hold_all_and_none_holds_another(given: list[str]) -> None:
    """Each folder given but the root is one of them or in just one, and none is in another."""
    kept = outermost(given)
    assert set(kept) <= set(given) - {"/"}
    for folder in set(given) - {"/"}:
        assert sum(posixpath.commonpath((folder, each)) == each for each in kept) == 1


# What a run finds


def test_each_knob_reaches_the_run(runs: Runs) -> None:
    """Name, processors, memory, shared memory, open files, user and variables, all of one run."""
    knobs = Knobs(
        hostname="gpu-node-17",
        cpuset="0",
        memory_bytes=300 << 20,
        shm_size_bytes=20 << 20,
        nofile=777,
        user="12345:12345",
        env=(("SEED", "2"),),
    )
    code = tell(
        "[socket.gethostname(), sorted(os.sched_getaffinity(0)), int(limit.read_text()), "
        "shm.f_blocks * shm.f_frsize, os.getuid(), os.getgid(), os.environ['SEED'], "
        "os.environ['KEPT'], list(resource.getrlimit(resource.RLIMIT_NOFILE))]",
        "shm = os.statvfs('/dev/shm'); limit = pathlib.Path('/sys/fs/cgroup/memory.max')\n"
        "if not limit.exists(): limit = limit.parent / 'memory/memory.limit_in_bytes'",
    )
    run = runs(code, knobs, env=(("SEED", "1"), ("KEPT", "yes")))
    assert seen(run) == [
        "gpu-node-17",
        [0],
        300 << 20,
        20 << 20,
        12345,
        12345,
        "2",
        "yes",
        [777, 777],
    ]


def test_the_internal_network_leads_nowhere_and_goes_with_the_session(
    runs: Runs, own: DockerEngine, engine: docker.APIClient
) -> None:
    """A run has an interface and no way out; there is one network until the session ends."""
    name = own.internal_network()
    assert own.internal_network() == name
    assert [each["Internal"] for each in engine.networks(names=[name])] == [True]
    code = tell(
        "[[name for _, name in socket.if_nameindex() if name.startswith('eth')], error]",
        "link = socket.socket(); link.settimeout(2); error = link.connect_ex(('192.0.2.1', 80))",
    )
    interfaces, error = seen(
        runs(code, Knobs(network=INTERNAL_NETWORK), means=KnobResources(network=name))
    )
    assert interfaces == ["eth0"]
    assert error == 101, "ENETUNREACH: there is no route, so nothing was waited for"
    own.remove_session(keep_containers=False)
    assert engine.networks(names=[name]) == []


READ_ONLY = tell(
    "read + [attempt(path) for path in ('own/new', '/etc/new', '/root/new', 'new')]",
    """
def attempt(path):
    try:
        pathlib.Path(path).write_text('')
    except OSError as error:
        return error.errno

os.makedirs('/result/deep', exist_ok=True)
pathlib.Path('/result/deep/x.txt').write_text('x')
pathlib.Path('/cache/own.txt').write_text('x')
pathlib.Path('/tmp/scratch').write_text('x')
places = 'own/words.txt', 'out/model.txt', '/cache/index.txt', '/given/file.txt', 'folder/f.txt'
read = [pathlib.Path(place).read_text() for place in places]
""",
)


@pytest.fixture
def given_files(own: DockerEngine, built: str, native: str, tmp_path: Path) -> dict[str, Any]:
    """A folder and a file as inputs, and a run that is needed, ready for `runs`."""
    image = own.find_image(built, Platform(*native.split("/")))
    assert image is not None
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f.txt").write_text("folder input")
    (tmp_path / "file.txt").write_text("file input")
    name = f"mlcontainer-test-{uuid.uuid4().hex[:12]}"
    own.volume(name, image, folder_tar(folder))
    return {
        "volumes": ((name, "/app/folder"),),
        "files": (Input("file.txt", tmp_path / "file.txt", "/given/file.txt"),),
        "needs": (needed(tmp_path),),
    }


@pytest.mark.parametrize(
    "more",
    [
        Knobs(),
        Knobs(user="12345:12345"),
        Knobs(workdir="/elsewhere"),
        Knobs(workdir="/elsewhere", user="12345:12345"),
    ],
    ids=["root", "user", "workdir", "workdir and user"],
)
def test_in_a_read_only_container_outputs_and_inputs_work_and_nothing_else_is_written(
    runs: Runs, given_files: dict[str, Any], more: Knobs
) -> None:
    """For root, for a user who owns nothing there, and at another place too."""
    outputs = ("out/*", "/result/**", "/cache/*")
    run = runs(READ_ONLY, Knobs(read_only=True) + more, outputs=outputs, **given_files)
    found = seen(run)
    assert found[:5] == [
        "of the image", "needed out/model.txt", "needed /cache/index.txt", "file input",
        "folder input",
    ]  # fmt: skip
    assert all(errno in (13, 30) for errno in found[5:]), found
    assert {each.name for each in run.outputs} == {
        "out/seen.json", "out/model.txt", "/result/deep/x.txt", "/cache/index.txt",
        "/cache/own.txt",
    }  # fmt: skip


def test_another_user_writes_outputs_where_needs_and_inputs_lie(
    runs: Runs, given_files: dict[str, Any]
) -> None:
    """Folders of outputs are opened to a user who owns nothing, what is put there as well."""
    code = tell("[open(path).read() for path in ('/given/file.txt', 'out/model.txt')]")
    run = runs(code, Knobs(user="12345:12345"), **given_files)
    assert seen(run) == ["file input", "needed out/model.txt"]
    assert {each.name: each.uid for each in run.outputs} == {
        "out/model.txt": 0, "out/seen.json": 12345,
    }  # fmt: skip


def test_another_folder_has_all_that_the_usual_one_has(
    runs: Runs, given_files: dict[str, Any], tmp_path: Path
) -> None:
    """Files of the image, inputs and what is needed; relative outputs are those written there.

    The usual folder stays, for what names it by its path.
    """
    (tmp_path / "inside.txt").write_text("inside")
    inside = Input("inside.txt", tmp_path / "inside.txt", "/app/conf/inside.txt")
    given_files["files"] += (inside,)
    code = tell(
        "[os.getcwd(), [open(os.path.join(root, name)).read() for root in ('', '/app') for name in "
        "('own/words.txt', 'folder/f.txt', 'conf/inside.txt', 'out/model.txt')]]",
        "open('/app/out/old.txt', 'w').close()",
    )
    run = runs(code, Knobs(workdir="/elsewhere"), **given_files)
    texts = ["of the image", "folder input", "inside", "needed out/model.txt"]
    assert seen(run) == ["/elsewhere", texts + texts]
    assert {each.name for each in run.outputs} == {"out/seen.json", "out/model.txt"}
    assert run.workdir == "/elsewhere"


def test_a_wrapper_starts_the_images_own_program(runs: Runs) -> None:
    """The ENTRYPOINT of the image, here Python, is what the shell that sets the umask becomes."""
    knobs = Knobs(wrapper=("/bin/sh", "-c", 'umask 0077; exec "$@"', "sh"))
    code = tell("[oct(os.umask(0)), os.getpid()]")
    assert seen(runs(code, knobs)) == ["0o77", 1]
    # Replaced by the configuration, it is that one, and the image's CMD goes.
    script = "mkdir out; umask > out/seen.json"
    run = runs("", knobs, entrypoint=("/bin/sh", "-c"), command=(script,))
    assert seen_text(run) == "0077\n"


def seen_text(run: Run) -> str:
    assert run.failure is None, run.failure
    (output,) = run.outputs
    return output.path.read_text()


# A user namespace, which needs no privilege of its own, and a mount namespace, by each of the calls
# that make one; numbers of clone(2) differ between processors, that of clone3(2) does not.
ADDRESSES = tell(
    "[libc.personality(0xFFFFFFFF) & 0x0040000 != 0, failed(libc.unshare(0x10000000)), "
    "failed(libc.unshare(0x20000)), failed(libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)), "
    "child(clone, 0x10000000 | 17), child(435, 0)]",
    """
libc = ctypes.CDLL(None, use_errno=True)
clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]

def failed(result):
    return ctypes.get_errno() if result == -1 else 0

def child(call, flags):
    result = libc.syscall(call, flags, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    return failed(result)
""",
)


def test_address_randomisation_can_be_switched_off_and_nothing_else_be_done(runs: Runs) -> None:
    """`setarch -R` works with the knob only; namespaces and mounts stay refused (EPERM), and a
    call whose arguments no filter can see is not there (ENOSYS).
    """
    wrapper = ("setarch", "-R")
    refused = runs(ADDRESSES, Knobs(wrapper=wrapper))
    assert refused.exit_code != 0
    assert "personality" in refused.stderr.read_text()
    assert seen(runs(ADDRESSES, Knobs(wrapper=wrapper, personality=True))) == [True, 1, 1, 1, 1, 38]


def test_a_library_is_preloaded_beside_the_images_own(
    runs: Runs, own: DockerEngine, built: str, native: str
) -> None:
    """Both are mapped into the process, and ours turns the order of folders round."""
    platform = Platform(*native.split("/"))
    image, library = own.find_image(built, platform), preload.library(platform.architecture)
    assert image is not None
    assert library is not None
    name = f"mlcontainer-test-{uuid.uuid4().hex[:12]}"
    own.volume(name, image, content_tar({preload.NAME: library}))
    code = tell(
        f"[os.listdir('own'), 'libresolv' in maps, '{preload.FOLDER}/{preload.NAME}' in maps]",
        "maps = open('/proc/self/maps').read()",
    )
    usual, *_mapped = seen(runs(code, Knobs()))
    knobs = Knobs(preload=True, env=((preload.FILE_ORDER, "reverse"),))
    found = seen(runs(code, knobs, means=KnobResources(preload=name)))
    assert found == [usual[::-1], True, True]
