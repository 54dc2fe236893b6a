"""Opening one pickle inside the project's own image, where loading it can do no harm.

What a pickle does when it is loaded is up to whoever wrote it. So it is loaded in a container
without network, without privileges, with limits on time, memory and what comes back, and with
nothing to write to but folders that go with the container. `inside/pickle_reader.py` is what runs
there; what comes back is files, to be read by `compare/formats/opened.py`.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mlcontainer.engines import Container, ContainerSpec, Exit, Runner
from pytest_mlcontainer.errors import OutputError, RunError
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.model import Entrypoint, Failure, Image, Limits, Output, Target
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, collect_tar
from pytest_mlcontainer.runs.emulation import with_cpu
from pytest_mlcontainer.runs.inputs import Input, file_tar, folders_tar
from pytest_mlcontainer.secrets import NOTHING, Disclosed, Redactor

FAILURE, ABOUT = "failure.json", "about.json"
TIMEOUT_S = 120.0
_EMULATED_TIMES = 10  # importing scikit-learn takes 5 to 9 times as long under QEMU
_MEMORY_BYTES = 4 << 30
_MEMORY_TIMES = 6  # of the file's size: unpacked, turned into arrays, written out
_RESULT_BYTES = 2 << 30
_FAILURE_BYTES = 1 << 16
_LOG_BYTES = 1 << 20
_SHOWN = 500
_FOLDER = "/mlcontainer-pickle"
_PICKLE, _RESULT, _TREE = "pickle", "result", "tree.jsonl"
_INSTEAD = "save arrays (npz, safetensors) beside it and ignore this output in the rules"
_MORE_MEMORY = f'give its entrypoint more memory (memory = "16g"), or {_INSTEAD}'
_NO_PYTHON = "mlcontainer: no python in this image"
_ENVIRONMENT = {
    "HOME": "/tmp",
    "MPLCONFIGDIR": "/tmp",
    "NUMBA_CACHE_DIR": "/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONHASHSEED": "0",
    # Nothing is computed; threads only take memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_SCRIPT = r"""
program=$1 source=$2; shift 2
case "$program" in
*python*) ;;
*)  file=$(command -v "$program" 2>/dev/null) && IFS= read -r first <"$file" 2>/dev/null
    first=${first#'#!'}; program=${first%% *} ;;
esac
for python in "$program" python3 python; do
    case "$python" in *python*) ;; *) continue ;; esac
    if command -v "$python" >/dev/null 2>&1; then exec "$python" -c "$source" "$@"; fi
done
echo "MARKER" >&2
exit 127
""".replace("MARKER", _NO_PYTHON)


@dataclass(frozen=True)
class Opening:
    """One pickle, and where to open it.

    Args:
        engine, image, target: of the run that wrote it.
        entry: of the same run: its environment variables, and how it finds Python and modules.
        folder: receives what is found; made, and there as a whole or not at all.
        note: what to know about the place, kept with what is found.
        timeout_s: on a native platform; emulated ones get more.
        memory_bytes: None for as much as its size asks for.
        result_bytes: the most that is taken over.
        hidden: values of secrets, which are not taken over.
    """

    engine: Runner
    image: Image
    target: Target
    entry: Entrypoint
    output: Output
    folder: Path
    note: str = ""
    timeout_s: float = TIMEOUT_S
    memory_bytes: int | None = None
    result_bytes: int = _RESULT_BYTES
    hidden: Redactor = NOTHING

    @property
    def workdir(self) -> str:
        return posixpath.normpath(posixpath.join("/", self.image.workdir, self.entry.workdir or ""))

    @property
    def limits(self) -> Limits:
        memory = self.memory_bytes or max(
            _MEMORY_BYTES,
            _MEMORY_TIMES * self.output.size_bytes,
            self.entry.limits.memory_bytes or 0,
        )
        times = _EMULATED_TIMES if self.target.emulated else 1
        return Limits(
            timeout_s=self.timeout_s * times,
            memory_bytes=memory,
            gpus=self.target.gpus,
            user=self.entry.limits.user,
        )


def open_pickle(job: Opening) -> None:
    """Open it. `folder` then holds what was found, or `failure.json`: why it cannot be opened.

    Raises:
        EngineError: the engine could not do what was asked.
    """
    if job.folder.is_dir():
        return
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.folder.parent, prefix=".opening-") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        failure = _open(job, made)
        if failure is not None:
            shutil.rmtree(made)
            made.mkdir()
            (made / FAILURE).write_text(json.dumps(vars(failure)), encoding="utf-8")
        about = {"image": job.image.digest, "platform": str(job.image.platform), "note": job.note}
        (made / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        made.replace(job.folder)


def _open(job: Opening, into: Path) -> Failure | None:
    program = source("pickle_reader.py")
    words = _command(job)
    arguments = (f"{_FOLDER}/{_PICKLE}", f"{_FOLDER}/{_RESULT}", *_module_folders(job, words))
    attempts = (
        ("/bin/sh", "-c", _SCRIPT, "open", words[0] if words else "", program, *arguments),
        ("python3", "-c", program, *arguments),
    )
    for program, *rest in attempts:
        try:
            return _run(job, _spec(job, program, tuple(rest)), into)
        except _UnstartedError:
            continue
    return _no_python(job)


class _UnstartedError(Exception):
    """The image does not have this program."""


def _run(job: Opening, spec: ContainerSpec, into: Path) -> Failure | None:
    with job.engine.container(spec) as container:
        container.failed = False
        container.put(_FOLDER, folders_tar((_RESULT,)))
        container.put(_FOLDER, file_tar(Input(job.output.name, job.output.path, _PICKLE)))
        try:
            container.start()
        except RunError as error:
            raise _UnstartedError from error
        ended = container.wait(spec.limits.timeout_s)
        if ended is None:
            container.kill(0)
            return _too_slow(job)
        said = _last_words(container, into)
        if _NO_PYTHON in said:
            return _no_python(job)
        try:
            return _collect(job, container, into) or _check(job, container, ended, said, into)
        except OutputError as error:
            return Failure(f"what was found in it cannot be taken over: {error.what}", error.value,
                           _INSTEAD)  # fmt: skip


def _spec(job: Opening, program: str, command: tuple[str, ...]) -> ContainerSpec:
    spec = ContainerSpec(
        image=job.image.reference,
        platform=job.image.platform,
        entrypoint=(program,),
        command=command,
        env=tuple({**dict(job.entry.env), **_ENVIRONMENT}.items()),
        workdir=job.entry.workdir and job.workdir,
        limits=job.limits,
        scratch=(_FOLDER,),
        confined=True,
        passing=True,
        secrets=Disclosed(hidden=job.hidden),
    )
    return with_cpu(spec, job.target)


def _command(job: Opening) -> tuple[str, ...]:
    """The words that the run was started with."""
    entrypoint = job.image.entrypoint if job.entry.entrypoint is None else job.entry.entrypoint
    own = job.entry.entrypoint is not None
    return (*entrypoint, *(job.entry.command or (() if own else job.image.command)))


def _module_folders(job: Opening, words: tuple[str, ...]) -> tuple[str, ...]:
    """The folders of scripts among the words: Python finds modules beside its script."""
    folders = (
        posixpath.dirname(posixpath.join(job.workdir, word))
        for word in words
        if word.endswith(".py")
    )
    return tuple(dict.fromkeys(folders))


def _last_words(container: Container, beside: Path) -> str:
    stdout, stderr = beside.with_name("stdout"), beside.with_name("stderr")
    container.write_logs(stdout, stderr)
    with stderr.open("rb") as file:
        file.seek(max(0, stderr.stat().st_size - _LOG_BYTES))
        return file.read().decode("utf-8", "replace")


def _collect(job: Opening, container: Container, into: Path) -> Failure | None:
    """Take over what the reader wrote, or the reason that it gives."""
    root = f"{_FOLDER}/{_RESULT}"
    collected = Collected(hidden=job.hidden)
    stream = container.get(root)
    if stream is not None:
        with closing(stream):
            bounded = _bounded(stream, job.result_bytes)
            collect_tar(bounded, root, DeclaredOutputs(("*",), root), into, collected)
    failure = collected.outputs.get(FAILURE)
    if failure is None and collected.refused and _TREE not in collected.outputs:
        return Failure("what was found in it is not taken over", collected.refused[0], _INSTEAD)
    return None if failure is None else _explain(_read(failure.path))


def _bounded(stream: Iterator[bytes], limit: int) -> Iterator[bytes]:
    left = limit
    for chunk in stream:
        left -= len(chunk)
        if left < 0:
            raise OutputError("it is too much", f"more than {limit} bytes")
        yield chunk


def _check(
    job: Opening, container: Container, ended: Exit, said: str, into: Path
) -> Failure | None:
    if (into / _TREE).is_file() and ended.code == 0:
        return None
    if ended.code == 137 and container.inspect_exit().oom_killed:
        return _too_large(job)
    lines = said.strip().splitlines() or ["it printed nothing"]
    return Failure(
        f"the Python that opened it ended with exit code {ended.code}",
        lines[-1][:_SHOWN],
        f"load it by hand in the image, with pickle or joblib, to see more; or {_INSTEAD}",
    )


def _read(file: Path) -> dict[str, Any]:
    """The reader's `failure.json`, which may be anything."""
    try:
        if file.stat().st_size > _FAILURE_BYTES:
            raise ValueError("it is too long")
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return {"error": f"an unreadable reason ({error})"}
    return raw if isinstance(raw, dict) else {"error": raw}


def _explain(raw: dict[str, Any]) -> Failure:
    """What the reader ran into, in our words and its own."""
    error = str(raw.get("error"))[:_SHOWN]
    module = raw.get("module")
    if isinstance(module, str) and error.startswith("ModuleNotFoundError"):
        package = module.partition(".")[0][:_SHOWN]
        return Failure(
            f"loading it needs the module {package}, which the image's Python does not find",
            error,
            f"install {package} in the image, or {_INSTEAD}",
        )
    if error.startswith("MemoryError"):
        return Failure("loading it needs more memory than there is", error, _MORE_MEMORY)
    where = f" (at {str(raw['at'])[:_SHOWN]})" if raw.get("at") else ""
    return Failure(
        "loading it in the image failed",
        f"{error}{where}",
        "the file may be damaged or no pickle, or its classes may have changed since it was "
        f"written; load it by hand in the image to see more, or {_INSTEAD}",
    )


def _too_slow(job: Opening) -> Failure:
    return Failure(
        f"opening it took longer than {job.limits.timeout_s:.0f} s",
        "the container was ended",
        _INSTEAD,
    )


def _too_large(job: Opening) -> Failure:
    return Failure(
        "opening it needs more memory than it was given",
        f"{(job.limits.memory_bytes or 0) / (1 << 30):.1f} GiB",
        _MORE_MEMORY,
    )


def _no_python(job: Opening) -> Failure:
    return Failure(
        "there is no Python in the image to open it with",
        job.image.reference,
        _INSTEAD,
    )
