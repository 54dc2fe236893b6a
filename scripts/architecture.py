"""Draw the structure table of CONTRIBUTING.md as a Mermaid graph: docs/explanation/architecture.md.

    python scripts/architecture.py         write it
    python scripts/architecture.py --check fail where it is not what the table says

An arrow says "imports". One that follows from two others is left out, so that layers show.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
_BEGIN, _END = "<!-- drawing: made by scripts/architecture.py -->", "<!-- end of drawing -->"


def read_table(text: str, title: str = "structure") -> dict[str, frozenset[str]]:
    """Each row's name and the rows that it may import.

    Args:
        text: of CONTRIBUTING.md.
        title: of the table, as in the comment above it.

    Raises:
        ValueError: there is no such table, or a row says nothing of what it is for.
    """
    found = re.search(rf"<!-- {title}:.*?-->\n(.*?)\n<!-- end", text, re.DOTALL)
    if found is None:
        raise ValueError(f"CONTRIBUTING.md has no table {title}")
    table: dict[str, frozenset[str]] = {}
    for line in found[1].splitlines()[2:]:
        name, responsibility, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        if not responsibility:
            raise ValueError(f"{name} has no responsibility")
        table[name.strip("`")] = _allowed(allowed, table)
    return table


def _allowed(cell: str, above: Mapping[str, frozenset[str]]) -> frozenset[str]:
    if cell == "–":
        return frozenset()
    if found := re.fullmatch(r"all above(?: but (\w+))?", cell):
        return frozenset(above) - {found[1]}
    return frozenset(re.split(r",\s*", cell))


def essential(table: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """Pairs of which one imports the other, but for those that follow from others."""
    for name, allowed in table.items():
        reached = frozenset().union(*(_reached(other, table) for other in allowed))
        yield from ((name, other) for other in sorted(allowed - reached))


def _reached(name: str, table: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """All that it imports, and what those import."""
    return table[name].union(*(_reached(other, table) for other in table[name]))


def drawing(text: str) -> str:
    """The graph, for a CONTRIBUTING.md with this text."""
    arrows = (f"    {name} --> {other}" for name, other in essential(read_table(text)))
    return "\n".join(("```mermaid", "graph TD", *arrows, "```"))


def page(text: str, drawn: str) -> str:
    """The text of a page with this drawing between its marks."""
    before, _begin, rest = text.partition(_BEGIN)
    _old, _end, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{drawn}\n{_END}{after}"


def main() -> int:
    old = PAGE.read_text(encoding="utf-8")
    new = page(old, drawing((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
    return int(old != new and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
