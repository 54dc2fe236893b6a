"""What documents note of their own making: when, and under which random ids. No result is in it.

A plot saved twice is the same plot, and its PDF says another time. Files that are the same without
such stamps agree, unless a rule wants them exact.

    PDF        CreationDate, ModDate and ID (ISO 32000-1, 14.3.3 and 14.4), dates of XMP
    EPS, PS    %%CreationDate (Document Structuring Conventions, 5.1)
    SVG        the date in its RDF, and ids of hexadecimal digits, by the order of their definition
    MAT        the text that files of MATLAB 5 begin with
    Keras      date_saved in the metadata.json of a `.keras` file
    Stata      the time in a .dta file's head (releases 113 to 119)
    Avro       the 16 random bytes behind the head and each block (1.11, Object Container Files)
    FITS       DATE, when the header was written (4.0, 4.4.2.1)
    PMML       Timestamp in the Header (4.4, Header)
    HTML       ids of Plotly's, Bokeh's and folium's plots, and of pandas's styled tables
    xlsx, …    created and modified in docProps/core.xml (Dublin Core terms), and ODF's meta.xml
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.compare.sources import ComparedFile, Pair

_MOST_BYTES: Final = 1 << 26
_HEAD_BYTES: Final = 4096
_DATES: Final = rb"(?:xmp:(?:Create|Modify|Metadata)Date|xmpMM:(?:Document|Instance)ID)"
_PDF: Final = re.compile(
    rb"/(?:CreationDate|ModDate)\s*\([^()]{0,80}\)"
    rb"|/ID\s*\[\s*<[0-9A-Fa-f]{0,128}>\s*<[0-9A-Fa-f]{0,128}>\s*\]"
    rb"|<(" + _DATES + rb")>[^<]{0,200}</\1>"
)
_POSTSCRIPT: Final = re.compile(rb"^%%CreationDate:[^\r\n]*", re.MULTILINE)
_SVG_DATE: Final = re.compile(rb"<dc:date>[^<]{0,80}</dc:date>")
_SVG_ID: Final = re.compile(rb"""\bid\s*=\s*["']([A-Za-z_-]{0,20}[0-9a-f]{6,40})["']""")
_SVG_REFERENCE: Final = re.compile(rb"""(?<=["'#(])[A-Za-z_-]{0,20}[0-9a-f]{6,40}(?=["')])""")
_MAT: Final = re.compile(rb"\AMATLAB 5\.0 MAT-file[^\0]{0,60}?Created on: [^\0]{24}")
_OFFICE: Final = re.compile(
    rb"<(dcterms:(?:created|modified)|meta:creation-date|dc:date)\b[^>]{0,200}>[^<]{0,80}</\1>"
)

# Its root: a page or a report that holds a drawing somewhere is none.
_SVG_ROOT: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*"
    rb"(?:(?:<\?xml[^>]{0,200}\?>|<!--.{0,2000}?-->|<!DOCTYPE svg[^>]{0,500}>)\s*){0,5}<svg\b",
    re.DOTALL,
)
_DTA: Final = re.compile(rb"(?<=<timestamp>)[^<]{0,40}(?=</timestamp>)")
_DTA_HEAD: Final = re.compile(rb"(?<=\A.{91}).{18}", re.DOTALL)  # behind the label of 81 bytes
_OLD_DTA: Final = re.compile(rb"[\x71-\x73][\x01\x02]\x01\x00")
_UUID: Final = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Where a page of a known library defines an id that it drew at random.
_HTML_ID: Final = re.compile(
    rb'<div id="(?P<plotly>%b)" class="plotly-graph-div"'
    rb'|\bid="(?P<bokeh>%b)"(?= data-root-id|>)|"docid":"(?P<document>%b)"'
    rb'|\b(?P<folium>[a-z_]{2,40}_[0-9a-f]{32})\b|<table id="(?P<pandas>T_[0-9a-f]{5})"'
    % (_UUID, _UUID, _UUID)
)
_HTML_REFERENCE: Final = re.compile(
    rb"\b(?:%b|[a-z_]{2,40}_[0-9a-f]{32}|T_[0-9a-f]{5}(?=_|\b))" % _UUID
)
_HTML: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|style|div|table)\b", re.IGNORECASE
)
_DRAWN_BY: Final = re.compile(rb"plotly-graph-div|data-root-id=|folium-map|#T_[0-9a-f]{5}[ _]")
_FITS_CARD: Final = re.compile(rb"DATE    = '[0-9:T.+Z-]{8,30} *'[^\0\x7f-\xff]{0,68}")
_CARD_BYTES, _CARDS_MOST = 80, 36 * 100
_PMML: Final = re.compile(rb"(<Timestamp\b[^>]{0,200}>)[^<]{0,80}(?=</Timestamp>\s*</Header>)")
_PMML_ROOT: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<PMML\b")
_AVRO: Final = b"Obj\x01"
_MARKER_BYTES: Final = 16
_KERAS: Final = re.compile(rb'"date_saved"\s*:\s*"[^"]{0,40}"')


@dataclass(frozen=True)
class _Stamped:
    """A kind of document.

    Args:
        is_it: given a file's name and its first bytes.
        without: the bytes with nothing in place of the stamps.
    """

    name: str
    is_it: Callable[[str, bytes], bool]
    without: Callable[[bytes], bytes]


def _svg(data: bytes) -> bytes:
    data = _SVG_DATE.sub(b"", data)
    names = dict.fromkeys(_SVG_ID.findall(data))
    numbered = {name: b"\0%d" % number for number, name in enumerate(names)}
    return _SVG_REFERENCE.sub(lambda found: numbered.get(found[0], found[0]), data)


def _html(data: bytes) -> bytes:
    if not _DRAWN_BY.search(data):
        return data
    names = (name for found in _HTML_ID.finditer(data) for name in found.groups() if name)
    numbered = {name: b"\0%d" % number for number, name in enumerate(dict.fromkeys(names))}
    return _HTML_REFERENCE.sub(lambda found: numbered.get(found[0], found[0]), data)


def _avro(data: bytes) -> bytes:
    """Without the marker of this file, where the head says that one and the file ends with it."""
    end = _end_of_avro_head(data)
    marker = data[end : end + _MARKER_BYTES]
    if not end or len(marker) < _MARKER_BYTES or not data.endswith(marker):
        return data
    return data.replace(marker, b"")


def _end_of_avro_head(data: bytes) -> int:
    """Where the map of metadata ends: blocks of pairs of byte strings; 0 where it is no map."""
    place = len(_AVRO)
    while True:
        count, place = _zigzag(data, place)
        if count < 0:
            _bytes, place = _zigzag(data, place)
        if not count or place >= len(data):
            return place if not count else 0
        for _string in range(2 * min(abs(count), len(data))):
            length, place = _zigzag(data, place)
            if length < 0 or place + length > len(data):
                return 0
            place += length


def _zigzag(data: bytes, place: int) -> tuple[int, int]:
    """Avro's whole number at that place, and where it ends."""
    value = shift = 0
    while place < len(data):
        byte, place = data[place], place + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            break
    else:
        place += 1
    return (value >> 1) ^ -(value & 1), place


def _fits(data: bytes) -> bytes:
    """Without the DATE of the first header, which ends with the card END."""
    cards = [
        data[start : start + _CARD_BYTES]
        for start in range(0, min(len(data), _CARDS_MOST * _CARD_BYTES), _CARD_BYTES)
    ]
    end = next((at for at, card in enumerate(cards) if card.rstrip() == b"END"), 0)
    kept = [card for card in cards[:end] if not _FITS_CARD.fullmatch(card)]
    return b"".join(kept) + data[end * _CARD_BYTES :]


def _begins(magic: bytes) -> Callable[[str, bytes], bool]:
    return lambda _name, head: head.startswith(magic)


def _pmml(data: bytes) -> bytes:
    return _PMML.sub(rb"\1", data, count=1)


def _removed(pattern: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pattern.sub(b"", data)


_KINDS: Final = (
    _Stamped("PDF", _begins(b"%PDF-"), _removed(_PDF)),
    _Stamped("PostScript", _begins(b"%!PS"), _removed(_POSTSCRIPT)),
    _Stamped("MATLAB", _begins(b"MATLAB 5.0 MAT-file"), _removed(_MAT)),
    _Stamped(
        "a document's properties",
        lambda name, head: (
            (name.endswith("docProps/core.xml") and b"coreProperties" in head)
            or (name.endswith("meta.xml") and b"office:document-meta" in head)
        ),
        _removed(_OFFICE),
    ),
    _Stamped(
        "Keras",
        lambda name, head: name.endswith("metadata.json") and b'"keras_version"' in head,
        _removed(_KERAS),
    ),
    _Stamped("Stata", _begins(b"<stata_dta>"), _removed(_DTA)),
    _Stamped("Stata", lambda _name, head: _OLD_DTA.match(head) is not None, _removed(_DTA_HEAD)),
    _Stamped("Avro", _begins(_AVRO), _avro),
    _Stamped("FITS", _begins(b"SIMPLE  ="), _fits),
    _Stamped("PMML", lambda _name, head: _PMML_ROOT.match(head) is not None, _pmml),
    _Stamped("HTML", lambda _name, head: _HTML.match(head) is not None, _html),
    _Stamped("SVG", lambda _name, head: _SVG_ROOT.match(head) is not None, _svg),
)


def same_but_stamps(pair: Pair) -> str:
    """The kind of two documents that differ in nothing but how they note their making; "" where
    anything else differs, or may."""
    sizes = pair.actual.size_bytes(), pair.expected.size_bytes()
    if max(sizes) > _MOST_BYTES:
        return ""
    kind = _kind_of(pair.expected)
    if kind is None or _kind_of(pair.actual) is not kind:
        return ""
    actual, expected = (kind.without(side.read()) for side in (pair.actual, pair.expected))
    return kind.name if actual == expected else ""


def _kind_of(side: ComparedFile) -> _Stamped | None:
    with side.open() as stream:
        head = stream.read(_HEAD_BYTES)
    return next((kind for kind in _KINDS if kind.is_it(side.name, head)), None)
