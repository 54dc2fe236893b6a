"""Run the tutorial as it is written, and put what its commands print below them.

    python -m scripts.docs_tutorial     needs an engine; rewrites the page

A comment above a block says what it is: `file: NAME` is written, `replace in: NAME` is a diff of
lines to exchange, and `run` is a command with what it prints. `…` stands for what is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorial" / "a-drift-explained.md"
COLUMNS = 100
CUT = "…"
_BLOCK = re.compile(r"^<!-- (file|replace in|run)(?:: (.*?))? -->\n```\w+\n(.*?)^```", re.M | re.S)
# What pytest says of the machine that it runs on.
_OF_THE_MACHINE = re.compile(r"(platform|cachedir|rootdir|plugins|configfile|Using --randomly)\b.*")
# Which elements an item differs in: the order of a folder is another on each file system.
_ELEMENTS = re.compile(r"^outputs/\S+\n(?: {4}.*\n)+", re.MULTILINE)
_VARYING = (
    (re.compile(r"={3,}"), "==="),
    (re.compile(r"_{3,}"), "___"),
    # pytest cuts the reason to the width of the terminal, or not.
    (re.compile(r"^(FAILED \S+) - [^=]*", re.MULTILINE), r"\1 "),
    # pytest says more than a minute twice: 97.73s (0:01:37).
    (re.compile(r"(\d+(\.\d+)?)s \(\d+:\d\d:\d\d\)"), r"\1s"),
    (re.compile(r"\d+(\.\d+)?( ?s\b| seconds?\b)|\b\d+:\d\d\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8,}\b"), "DIGEST"),
    (re.compile(r"linux/(amd64|arm64)"), "PLATFORM"),
    (re.compile(r"[\w./-]*/(tmp|pytest-of)[\w./-]*|~?/[\w./-]*pytest-mlcontainer[\w./-]*"), "PATH"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Step:
    """One block of the page.

    Args:
        kind: `file`, `replace in` or `run`.
        name: the file, for the first two.
        text: the block's content.
    """

    kind: str
    name: str
    text: str

    @property
    def command(self) -> str:
        return self.text.partition("\n")[0].removeprefix("$ ")

    @property
    def printed(self) -> str:
        return self.text.partition("\n")[2]


def steps(page: str) -> tuple[Step, ...]:
    return tuple(Step(kind, name, text) for kind, name, text in _BLOCK.findall(page))


def carry_out(
    steps: Iterable[Step], folder: Path, environ: Mapping[str, str]
) -> Iterator[tuple[Step, str]]:
    """Do what the page says, in a folder; each command that was run, with what it printed."""
    environ = {**environ, "COLUMNS": str(COLUMNS)}
    for step in steps:
        path = folder / step.name
        if step.kind == "file":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif step.kind == "replace in":
            path.write_text(_exchanged(path.read_text("utf-8"), step.text), encoding="utf-8")
        else:
            done = subprocess.run(
                ["/bin/sh", "-c", step.command],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
            yield step, done.stdout.replace(str(folder), f"~/{folder.name}")


def shown(printed: str) -> str:
    """What the page shows of it: without what is another on each machine."""
    lines = [line.rstrip() for line in printed.splitlines()]
    kept = "\n".join(line for line in lines if not _OF_THE_MACHINE.match(line)).strip("\n")
    return _ELEMENTS.sub(f"{CUT}\n", kept)


def same(expected: str, printed: str) -> bool:
    """Whether the page shows what was printed, but for times, digests, paths and the platform."""
    there = _varying_out(shown(printed))
    pattern = re.escape(_varying_out(expected)).replace(re.escape(CUT), ".*")
    return re.fullmatch(pattern, there, re.DOTALL) is not None


def written(page: str, printed: Iterable[str]) -> str:
    """The page with what its commands have printed, in their order."""
    outputs = iter(printed)

    def block(found: re.Match[str]) -> str:
        step = Step(found[1], found[2] or "", found[3])
        if step.kind != "run":
            return found[0]
        return found[0].replace(found[3], f"$ {step.command}\n{shown(next(outputs))}\n")

    return _BLOCK.sub(block, page)


def _varying_out(text: str) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text.strip()


def _exchanged(text: str, diff: str) -> str:
    lines = diff.splitlines()
    old, new = ("\n".join(line[1:] for line in lines if line[0] == mark) for mark in "-+")
    if old not in text:
        raise ValueError(f"not there: {old}")
    return text.replace(old, new)


def program_environment(cache: Path) -> dict[str, str]:
    """Variables for the page's commands: this Python's programs, and a cache of their own.

    pytest-randomly, which a reader need not have, would give another order each time.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    ours = {"PATH": path, "MLCONTAINER_CACHE_DIR": str(cache), "MLCONTAINER_KEEP_IMAGES": "0"}
    quiet = {"MLCONTAINER_PROGRESS": "none", "PYTEST_ADDOPTS": "-p no:randomly"}
    return {**kept, **ours, **quiet}


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        project = Path(place, "iris")
        project.mkdir()
        environ = program_environment(Path(place, "cache"))
        printed = [each for _step, each in carry_out(steps(page), project, environ)]
    PAGE.write_text(written(page, printed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
