"""WAV: the rate and the samples, of one row for each point of time; tags do not count."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from pytest_mlcontainer.compare.formats.kind import Format, need
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

_HEADS = (b"RIFF", b"RIFX", b"RF64")
_KIND = b"WAVE"


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two recordings."""
    actual, expected = read_both(pair, _read)
    yield from compare_items(pair.name, actual, expected, book)


def _read(side: ComparedFile) -> dict[str, Leaf]:
    wavfile = need(side, "scipy.io.wavfile", "scipy")
    try:
        with side.open() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rate, samples = wavfile.read(stream)
    except Exception as error:  # of many kinds: the library checks little of what it reads
        raise side.unreadable(f"cannot be read as WAV ({error!s:.200})") from error
    return {"rate": int(rate), "samples": array_of(samples)}


def _has_content(side: ComparedFile) -> bool:
    with side.open() as stream:
        head = stream.read(12)
    return head[:4] in _HEADS and head[8:12] == _KIND


FORMAT = Format("WAV", compare, _has_content)
