"""The main job on real input: examples/bikes on two platforms and on this machine.

What it does is what a user does: a virtual environment with the project and the plugin in it, then
`pytest --container`. Drift between the architectures is the expected outcome, so that it ends with
0 as long as everything could be built, run and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "bikes"
WORK = ROOT / ".demo"
VENV = WORK / "venv"
STAMP = VENV / ".installed"
UV = Path(sys.executable).with_name("uv")
PLATFORMS = "linux/amd64,linux/arm64,host"


def main() -> int:
    started = time.monotonic()
    install()
    command = [
        str(VENV / "bin" / "python"),
        "-m",
        "pytest",
        str(PROJECT / "pyproject.toml"),
        "--container",
        f"--container-platform={PLATFORMS}",
        f"--container-report={WORK / 'report'}",
        "-v",
        "-p",
        "no:cacheprovider",
    ]
    say("pytest --container examples/bikes/pyproject.toml --container-platform=" + PLATFORMS)
    ended = subprocess.run(command, cwd=ROOT, check=False, env=_environment()).returncode
    return conclude(ended, time.monotonic() - started)


def install() -> None:
    """The project, what it needs, and this plugin, in an environment of their own."""
    wanted = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    say("installing examples/bikes and the plugin into .demo/venv")
    python = str(VENV / "bin" / "python")
    for words in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)],
        [*_pip(python), "--require-hashes", "-r", str(PROJECT / "requirements.txt")],
        [*_pip(python), "-e", str(ROOT), "uv"],
        [*_pip(python), "--no-deps", "-e", str(PROJECT)],
    ):
        subprocess.run([str(UV), *words], check=True, env=_environment())
    STAMP.write_text(wanted)


def conclude(ended: int, seconds: float) -> int:
    """Say in a few words what came of it.

    Args:
        ended: pytest's exit code; 1 means that tests failed, which drift does.
    """
    report = WORK / "report" / "report.json"
    if ended not in (0, 1) or not report.is_file():
        say("the demo did not get as far as comparing; the reason is above")
        return 1
    results = json.loads(report.read_text())["results"]
    compared = [result for result in results if result["differences"]]
    broken = [result for result in results if result["verdict"] == "failed"]
    if broken or len(compared) < 4:
        say("something could not be built or run; the reason is above")
        return 1
    drifting = [result for result in compared if result["verdict"] == "drift"]
    say(f"{len(compared)} comparisons in {seconds:.0f} s, {len(drifting)} with drift.")
    if drifting:
        say(
            "The drift is real: an unconverged float32 solver turns the last bit of a matrix "
            "product, which differs between CPUs and BLAS kernels, into other weights."
        )
    say(f"all numbers: {report.relative_to(ROOT)}")
    return 0


def say(line: str) -> None:
    print(f"demo: {line}", flush=True)


def _pip(python: str) -> list[str]:
    return ["pip", "install", "--quiet", "--python", python]


def _environment() -> dict[str, str]:
    # The company's certificates, where the machine has some of its own.
    return {**os.environ, "UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true"}


def _fingerprint() -> str:
    files = (PROJECT / "requirements.txt", PROJECT / "pyproject.toml", ROOT / "pyproject.toml")
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
