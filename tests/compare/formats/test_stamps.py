"""Documents that note when they were made: that alone is no drift, and anything else is."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import NAMED_PATTERNS, Comparator, Tolerance, Verdict
from tests.fixture_types import Compare, Only

PDF = (
    "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nstream\n{drawn} 10 l\nendstream\n"
    "<< /Producer (Plot) /CreationDate (D:{day}101500+01'00') /ModDate(D:{day}101500Z) >>\n"
    "<x:xmpmeta><xmp:CreateDate>{day}T10:15:00</xmp:CreateDate></x:xmpmeta>\n"
    "trailer\n<< /Size 9 /ID [<{id}> <{id}>] >>\n%%EOF\n"
)
SVG = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n'
    '  "svg11.dtd">\n<!-- by a program -->\n<svg xmlns="http://www.w3.org/2000/svg">\n'
    "<dc:date>{day}T10:15:00.1</dc:date>\n"
    '<defs><path id="m{id}" d="M 0 {drawn}"/><clipPath id="p{id}"/></defs>\n'
    '<g clip-path="url(#p{id})"><use xlink:href="#m{id}" fill="#1f77b4"/></g>\n</svg>\n'
)
EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%Title: a.eps\n%%CreationDate: {day}\n0 {drawn} lineto\n{id:.0}"
CORE = (
    '<?xml version="1.0"?><cp:coreProperties><dc:creator>me</dc:creator><dcterms:created '
    'xsi:type="dcterms:W3CDTF">{day}T10:15:00Z</dcterms:created><dcterms:modified>{day}'
    "</dcterms:modified></cp:coreProperties>"
)
MAT = "MATLAB 5.0 MAT-file Platform: posix, Created on: {day:<24}"
DAYS = {"day": "20261128"}, {"day": "20261129"}


def read_properties(path: Path) -> dict[str, object]:
    """What a plugin reads that is about documents themselves."""
    (day,) = re.findall(r"/CreationDate \(D:([0-9]{8})", path.read_text())
    return {"created": day, "pages": 1}


def book(day: str, cell: str) -> bytes:
    """A workbook as its writers make it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(zipfile.ZipInfo("docProps/core.xml"), CORE.format(day=day))
        file.writestr(zipfile.ZipInfo("xl/sheet.xml"), f"<c><v>{cell}</v></c>")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "text"), [("a.pdf", PDF), ("a.svg", SVG), ("a.eps", EPS), ("plot", PDF)]
)
def test_when_it_was_made_does_not_count(only: Only, name: str, text: str) -> None:
    actual, expected = (
        text.format(drawn=7, id=random, **day).encode()
        for day, random in zip(DAYS, ("0a1b2c3d4e", "55aa66bb77"), strict=True)
    )
    found = only(name, actual, expected)
    assert (found.verdict, found.differing) == (Verdict.EQUIVALENT, 0)
    assert "the same but for when" in found.note

    assert only(name, actual, expected, Tolerance(exact=True)).verdict is Verdict.DRIFT


@pytest.mark.parametrize("name", ["a.pdf", "a.svg", "a.eps"])
def test_what_is_drawn_counts(only: Only, name: str) -> None:
    text = {"a.pdf": PDF, "a.svg": SVG, "a.eps": EPS}[name]
    actual, expected = (
        text.format(drawn=drawn, id="0a1b2c3d4e", **day).encode()
        for drawn, day in zip((7, 8), DAYS, strict=True)
    )
    assert only(name, actual, expected).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('<use href="#m0a1b2c3d"/>', '<use href="#p0a1b2c3d"/>'),
        ('<rect fill="#aabbcc"/>', '<rect fill="#aabbcd"/>'),
        ('<text>run 0a1b2c3d</text>', '<text>run 0a1b2c3e</text>'),
        ('<use href="#gone12345"/>', '<use href="#gone12346"/>'),
    ],
    ids=["what an id stands for", "a colour", "a text", "an id that is defined nowhere"],
)  # fmt: skip
def test_ids_of_an_svg_are_told_by_what_they_name(only: Only, one: str, other: str) -> None:
    svg = '<svg><path id="m0a1b2c3d"/><path id="p0a1b2c3d"/>{}</svg>'
    found = only("a.svg", svg.format(one).encode(), svg.format(other).encode())
    assert found.verdict is Verdict.DRIFT


def test_a_workbook_is_what_its_cells_are(compare: Compare) -> None:
    agreeing, _notes = compare("a.xlsx", book("2026-11-28", "0.5"), book("2026-11-29", "0.5"))
    assert verdict_of(agreeing) is Verdict.EQUIVALENT
    drifting, _notes = compare("a.xlsx", book("2026-11-28", "0.5"), book("2026-11-29", "0.6"))
    assert [each.item for each in drifting if each.verdict is Verdict.DRIFT] == ["xl/sheet.xml"]


def test_when_a_model_of_keras_was_saved_does_not_count(compare: Compare) -> None:
    def saved(day: str, version: str) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            about = f'{{"keras_version": "{version}", "date_saved": "{day}@10:15:00"}}'
            file.writestr(zipfile.ZipInfo("metadata.json"), about)
        return stream.getvalue()

    agreeing, _notes = compare("m.keras", saved("2026-11-28", "3"), saved("2026-11-29", "3"))
    assert verdict_of(agreeing) is Verdict.EQUIVALENT
    drifting, _notes = compare("m.keras", saved("2026-11-28", "3"), saved("2026-11-29", "2"))
    assert verdict_of(drifting) is Verdict.DRIFT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("report.xml", "<report><dc:date>{}</dc:date></report>"),
        ("results_meta.xml", "<results><dc:date>{}</dc:date></results>"),
        ("core.xml", "<dcterms:created>{}</dcterms:created>"),
        ("page.html", '<html><svg/><tr id="a{}"><a href="#a{}"/></tr></html>'),
        ("page.xml", "<?xml version='1.0'?><page><svg><dc:date>{}</dc:date></svg></page>"),
        ("metadata.json", '{{"date_saved": "{}"}}'),
    ],
)
def test_a_date_or_id_elsewhere_is_one_of_the_content(only: Only, name: str, text: str) -> None:
    one, other = (text.format(day["day"], day["day"]).encode() for day in DAYS)
    assert only(name, one, other).verdict is Verdict.DRIFT


def test_the_head_of_a_matlab_file_is_no_content(only: Only) -> None:
    one, other = (MAT.format(**day).encode().ljust(128, b" ") for day in DAYS)
    assert only("a.mat", one, other).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("actual", "expected", "said"),
    [
        ("Sat Nov 28 10:15:00 2026 loss 0.5000000001", "Sun Nov 29 11:15:00 2026 loss 0.5",
         "only dates and times differ beyond the tolerance"),
        ("2026-11-28 10:15:00 loss 0.5", "2026-11-29 10:15:00 loss 0.5",
         "only dates and times differ, which"),
    ],
)  # fmt: skip
def test_dates_beside_numbers_that_agree_are_told_and_the_rule_passes(
    only: Only, actual: str, expected: str, said: str
) -> None:
    sides = (f"{actual}\n".encode(), f"{expected}\n".encode())
    found = only("a.log", *sides)
    assert found.verdict is Verdict.DRIFT
    assert said in found.note
    assert only("a.log", *sides, Tolerance(patterns=(NAMED_PATTERNS["time"],))).verdict.passes


def test_dates_beside_numbers_that_do_not_agree_excuse_nothing(only: Only) -> None:
    found = only("a.log", b"2026-11-28 10:15:00 loss 0.51\n", b"2026-11-29 10:15:00 loss 0.5\n")
    assert found.verdict is Verdict.DRIFT
    assert "only dates" not in found.note


@pytest.mark.parametrize("by_content", [True, False])
def test_a_plugins_format_judges_what_it_reads_dates_too(
    compare: Compare, by_content: bool
) -> None:
    """It is asked before anything of this package, stamps among it."""
    recognises = (lambda _path, head: head.startswith(b"%PDF")) if by_content else None
    plugin = Comparator("pdf-properties", read_properties, (".pdf",), recognises)
    sides = [PDF.format(drawn=7, id="0a", **day).encode() for day in DAYS]
    differences, _notes = compare("a.pdf", *sides, comparators=(plugin,))
    verdicts = {each.item: each.verdict for each in differences}
    assert verdicts == {"created": Verdict.DRIFT, "pages": Verdict.IDENTICAL}
