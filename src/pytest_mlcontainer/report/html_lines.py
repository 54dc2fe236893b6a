"""Where two texts differ, line by line, with the words that do marked."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as escape_html

from pytest_mlcontainer.model import TextLine, TextLines
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.word_diff import Parts, word_diff

_CHARACTERS = 300
_TAGS = {"removed": ("−", "del"), "added": ("+", "ins")}


def lines_html(text: TextLines, sides: tuple[str, str]) -> Iterator[str]:
    """The lines as one block; a sign before each tells whose it is.

    Args:
        sides: names of the actual and the expected side.
    """
    yield f'<figure class="lines">\n<figcaption>− {t(sides[1])}, + {t(sides[0])}</figcaption>'
    yield '<pre tabindex="0">' + "\n".join(_lines(text.lines)) + "</pre>"
    if text.is_cut:
        yield '<p class="quiet">The first places that differ; there may be more behind them.</p>'
    yield "</figure>"


def _lines(lines: tuple[TextLine, ...]) -> Iterator[str]:
    width = max((len(str(line.number)) for line in lines), default=1)
    marked = _marked(lines)
    for at, line in enumerate(lines):
        if line.kind == "gap":
            yield f'<span class="same">{" " * width}   …</span>'
            continue
        number = f'<span class="same">{line.number:>{width}}</span>'
        if line.kind in _TAGS:
            sign, tag = _TAGS[line.kind]
            yield f"{number} <{tag}>{sign} {parts_html(marked[at])}</{tag}>"
        else:
            yield f"{number}   {escape_html(escape(line.text, _CHARACTERS))}"


def _marked(lines: tuple[TextLine, ...]) -> dict[int, Parts]:
    """The parts of lines that only one side has, by their place: each removed line of a change is
    held against the added one that stands where it stood."""
    found: dict[int, Parts] = {
        at: ((False, line.text),) for at, line in enumerate(lines) if line.kind in _TAGS
    }
    removed: list[int] = []
    added: list[int] = []
    for at, line in enumerate((*lines, TextLine("same", 0, ""))):
        if line.kind == "removed" and not added:
            removed.append(at)
        elif line.kind == "added":
            added.append(at)
        else:
            for left, right in zip(removed, added, strict=False):
                texts = (escape(lines[each].text, _CHARACTERS) for each in (left, right))
                found[left], found[right] = word_diff(*texts)
            removed, added = ([at] if line.kind == "removed" else []), []
    return found


def parts_html(parts: Parts) -> str:
    """The text, with what differs marked."""
    return "".join(
        f"<mark>{escape_html(escape(text, _CHARACTERS))}</mark>"
        if differs
        else escape_html(escape(text, _CHARACTERS))
        for differs, text in parts
    )
