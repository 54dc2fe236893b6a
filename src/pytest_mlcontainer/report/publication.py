"""What was published, in a terminal, in Markdown's words and in HTML."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from pytest_mlcontainer.model import Publication, PublishedImage, Verdict
from pytest_mlcontainer.report.checks import megabytes
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.html_text import head_html, t
from pytest_mlcontainer.report.html_tree import verdict_html

_TEXT: Final = 2000
_WIDTH: Final = 100
_HEADS: Final = ("platform", "manifest", "configuration", "layers", "size", "attested")


def publication_headline(publication: Publication) -> str:
    """What came of it, in a sentence without the reference."""
    if publication.worked:
        count = len(publication.images)
        platforms = "1 platform" if count == 1 else f"{count} platforms"
        return f"published, and read back from the registry as it was tested, for {platforms}"
    if publication.failure is None:
        return f"nothing was pushed to {publication.asked}: {publication.held_back}"
    if publication.reference:
        return f"pushed to {publication.asked}, but {publication.failure.what}"
    return f"not published as {publication.asked}: {publication.failure.what}"


def publication_lines(publication: Publication) -> list[str]:
    """For the end of a session. The reference stands in a line of its own, whole."""
    if publication.held_back:
        said = escape(publication_headline(publication), _TEXT)
        return wrap(said, _WIDTH, subsequent_indent="  ", break_long_words=False)
    lines = [escape(publication_headline(publication), _TEXT)]
    if publication.failure is not None:
        lines += _failure(publication)
    if publication.reference:
        lines.append(escape(publication.reference, _TEXT))
    if publication.worked:
        lines += [_in_a_line(image) for image in publication.images]
    return lines + [f"note: {escape(note, 300)}" for note in publication.notes]


def publication_html(publication: Publication | None) -> Iterator[str]:
    """A section; nothing where nothing was to be published."""
    if publication is None:
        return
    yield '<section id="published">\n<h2>Published</h2>'
    label = "not as tested" if publication.reference else "not published"
    failed = "" if publication.worked else f"{verdict_html(Verdict.FAILED, label)} "
    yield f"<p>{failed}{t(publication_headline(publication), _TEXT)}</p>"
    if publication.reference:
        yield f'<pre tabindex="0"><code>{t(publication.reference, _TEXT)}</code></pre>'
    failure = publication.failure
    if failure is not None:
        yield f'<pre tabindex="0">{t(failure.value, _TEXT)}</pre>' if failure.value else ""
        yield f"<p>→ {t(failure.remedy, _TEXT)}</p>" if failure.remedy else ""
        yield f"<p>{t(_left(publication), _TEXT)}</p>"
    if publication.images:
        yield f'<div class="wide">\n<table class="facts">\n{head_html(_HEADS)}\n<tbody>'
        yield from map(_row, publication.images)
        yield "</tbody>\n</table>\n</div>"
    if publication.notes:
        yield f"<ul>{''.join(f'<li>{t(note, 1000)}</li>' for note in publication.notes)}</ul>"
    yield "</section>"


def _failure(publication: Publication) -> Iterator[str]:
    assert publication.failure is not None
    for line in publication.failure.value.splitlines():
        yield f"  {escape(line, _TEXT)}"
    if publication.failure.remedy:
        yield f"  → {escape(publication.failure.remedy, _TEXT)}"
    yield f"  {escape(_left(publication), _TEXT)}"


def _left(publication: Publication) -> str:
    """What a publication that failed has left in the registry."""
    if publication.reference:
        again = f"mlcontainer verify {publication.reference}"
        return f"that it is what was tested is not proven; to read it back once more: {again}"
    return f"{publication.asked} is as it was: the tag is set last"


def _in_a_line(image: PublishedImage) -> str:
    layers = "1 layer" if len(image.layers) == 1 else f"{len(image.layers)} layers"
    attested = f", with {' and '.join(image.attested)}" if image.attested else ""
    said = f"{layers}, {megabytes(image.size_bytes)}{attested}"
    return f"  {image.platform}  configuration {escape(image.config[:19], 40)}…, {said}"


def _row(image: PublishedImage) -> str:
    cells = (
        f"<code>{t(str(image.platform), 60)}</code>",
        f"<code>{t(image.manifest, 100)}</code>",
        f"<code>{t(image.config, 100)}</code>",
        t(f"{len(image.layers):,}"),
        t(megabytes(image.size_bytes)),
        t(", ".join(image.attested)),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
