"""Both sides of an image that differs, and where, as pictures inside the page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from pytest_mlcontainer.model import Pictures
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.tree import ReportLeaf, Tree

PICTURE_CHARACTERS = 600_000  # of all pictures of a page, as base64
_PNG = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]+={0,2}")


def choose_pictures(
    trees: Iterable[Tree], leaves: int, most: int = PICTURE_CHARACTERS
) -> frozenset[int]:
    """Identities of the leaves whose pictures a page has room for.

    The worst of each comparison come before the second of any.

    Args:
        trees: the worst first.
        leaves: of each tree that are shown.
    """
    with_pictures = [
        [leaf for leaf in tree.leaves[:leaves] if _of(leaf) is not None] for tree in trees
    ]
    chosen, room = set(), most
    for leaf in itertools.chain.from_iterable(itertools.zip_longest(*with_pictures)):
        pictures = None if leaf is None else _of(leaf)
        if pictures is None:
            continue
        size = sum(map(len, (pictures.actual, pictures.expected, pictures.difference)))
        if size <= room:
            room -= size
            chosen.add(id(leaf))
    return frozenset(chosen)


def pictures_html(pictures: Pictures, sides: tuple[str, str]) -> Iterator[str]:
    """Side by side; a script may lay them over one another.

    Args:
        sides: names of the actual and the expected side.
    """
    named = (
        ("actual", sides[0], pictures.actual),
        ("expected", sides[1], pictures.expected),
        ("difference", "where they differ: the redder, the more", pictures.difference),
    )
    yield '<div class="pictures">'
    for kind, name, png in named:
        # What a reader process or another machine's report says is a PNG may be anything.
        if _PNG.fullmatch(png):
            yield (
                f'<figure class="{kind}"><img alt="{t(name)}" src="data:image/png;base64,{png}">'
                f"<figcaption>{t(name)}</figcaption></figure>"
            )
    yield "</div>"
    size = f"{pictures.width:,} × {pictures.height:,} pixels"
    lone = "" if pictures.difference else "; of two sizes or modes no difference is drawn"
    yield f'<p class="quiet">Drawn small, of {size} that are expected{lone}.</p>'


def _of(leaf: ReportLeaf) -> Pictures | None:
    return None if leaf.difference.plots is None else leaf.difference.plots.pictures
