"""The documentation as a site: it builds strictly, and needs nothing from another server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scripts.docs_site import graphs_as_tables, plain_pipes, site_links, summary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a warning is an error."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return place


class Loaded(HTMLParser):
    """What a browser loads by itself for a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag in ("script", "img", "iframe", "source"):
            self.loaded.append(values.get("src", ""))
        elif tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values.get("href", ""))
        elif tag == "a" and "href" in values:
            self.links.append(values["href"])


def pages(site: Path) -> Iterator[tuple[Path, Loaded]]:
    for path in sorted(site.rglob("*.html")):
        loaded = Loaded()
        loaded.feed(path.read_text(encoding="utf-8"))
        yield path, loaded


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    """Neither by a page, nor by a style or a picture; a drawing would be fetched to draw it."""
    loaded = [url for _path, page in pages(site) for url in page.loaded]
    styles = [*site.rglob("*.css"), *site.rglob("*.svg")]
    named = [url for path in styles for url in re.findall(r"url\(([^)]*)\)", path.read_text())]
    assert loaded
    assert [url for url in (*loaded, *named) if re.match(r"[\"']?(https?:)?//", url)] == []
    assert [path for path, _page in pages(site) if 'class="mermaid"' in path.read_text()] == []


def test_every_link_inside_leads_somewhere(site: Path) -> None:
    """Also those in pages that the repository has elsewhere, as the changelog."""
    known = {path: page.ids for path, page in pages(site)}
    for path, page in pages(site):
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (path.name, link)
            if parts.fragment and target in known:
                assert unquote(parts.fragment) in known[target], (path.name, link)


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists(), page


def test_lists_and_tables_are_drawn_as_such(site: Path) -> None:
    """Where Markdown of the repository means a list or a table, the site has no loose marks."""
    for path, _page in pages(site):
        text = re.sub(r"<(pre|code).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.S)
        assert re.findall(r"^(?:<p>)?(?:\| .*|[-*] \S.*|\d\. \S.*)$", text, re.M) == [], path


def test_llms_txt_names_every_page_and_what_it_is_about(site: Path) -> None:
    """One line for each page, under a heading for its folder; the whole text is beside it."""
    text = (site / "llms.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^- \[(.+)\]\((.+)\): (.+)$", text, re.M)
    built = {path.relative_to(site).as_posix() for path, _page in pages(site)} - {"404.html"}
    assert text.startswith("# pytest-mlcontainer\n\n> ")
    assert {url for _title, url, _about in lines} == built
    whole = (site / "llms-full.txt").read_text(encoding="utf-8")
    assert all(f"# {title}\n" in whole for title, _url, _about in lines)


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("[a](configuration.md#x)", "[a](configuration.md#x)"),
        ("[a](../explanation/explaining.md)", "[a](../explanation/explaining.md)"),
        ("[a](../../SECURITY.md#x)", "[a](../project/security.md#x)"),
        ("[a](../../examples/bikes)", "a"),
        ("[a](#x) [b](https://example.org/c)", "[a](#x) [b](https://example.org/c)"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(link: str, there: str) -> None:
    assert site_links(link, "reference/records.md") == there


def test_links_of_a_page_in_the_root_start_there() -> None:
    text = "[a](docs/reference/records.md) [b](CHANGELOG.md)"
    assert (
        site_links(text, "project/security.md") == "[a](../reference/records.md) [b](changelog.md)"
    )


def test_a_graph_becomes_a_table() -> None:
    graph = "```mermaid\ngraph TD\n    a --> b\n    a --> c\n    c --> b\n```\n"
    assert graphs_as_tables(graph) == (
        "| from | arrows to |\n| --- | --- |\n| a | b, c |\n| c | b |\n"
    )


def test_code_in_tables_has_its_own_bars() -> None:
    """Only in code: a bar between words would end a cell."""
    assert plain_pipes(r"| `A\|B` | \|a − b\| |") == r"| `A|B` | \|a − b\| |"


def test_a_page_is_summed_up_by_its_first_sentence() -> None:
    text = "# A\n\n## B\n\n| a |\n\n<!-- x -->\nIt [does](b.md): this\nand that. More.\n"
    assert summary(text) == "It does: this and that."
