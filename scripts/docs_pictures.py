"""Draw the tutorial's terminal pictures from what its commands print.

    python -m scripts.docs_pictures     needs an engine; writes docs/tutorial/*.svg

Each command of the page is run as `scripts/docs_tutorial.py` runs it, with colours; below one, the
page names the picture.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from scripts import docs_tutorial

ROOT = Path(__file__).resolve().parent.parent
# rich's own names a font on another server; each reader has a monospaced one.
FORMAT = re.sub(r"@font-face \{\{.*?\n    \}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture(command: str, printed: str, name: str) -> str:
    """An SVG of a terminal in which a command was run.

    Args:
        printed: with colours as a terminal takes them.
        name: the same name gives the same picture, to the byte.
    """
    text = Text.from_ansi(docs_tutorial.shown(printed))
    console = Console(
        width=docs_tutorial.COLUMNS, record=True, file=io.StringIO(), force_terminal=True
    )
    console.print(Text.assemble(("$ ", "bold green"), command))
    console.print(text)
    return console.export_svg(title="pytest-mlcontainer", code_format=FORMAT, unique_id=name)


def pictures(page: str) -> Mapping[str, int]:
    """Files of pictures, and after which command of the page each stands, counted from 0."""
    places = {}
    for found in re.finditer(r"!\[[^\]]*\]\((\S+\.svg)\)", page):
        before = docs_tutorial.steps(page[: found.start()])
        places[found[1]] = sum(step.kind == "run" for step in before) - 1
    return places


def main() -> int:
    page = docs_tutorial.PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        project = Path(place, "iris")
        project.mkdir()
        environ = {
            **docs_tutorial.program_environment(Path(place, "cache")),
            "PY_COLORS": "1",
            "FORCE_COLOR": "1",
        }
        printed = list(docs_tutorial.carry_out(docs_tutorial.steps(page), project, environ))
    for name, number in pictures(page).items():
        step, text = printed[number]
        svg = picture(step.command, text, Path(name).stem)
        (docs_tutorial.PAGE.parent / name).write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
