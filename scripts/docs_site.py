"""What MkDocs is told beyond mkdocs.yml: pages from the root, links out of docs/, and llms.txt.

Links in the pages are written for the repository. One that leaves docs/ leads to a page of the site
where there is one, and is only its text elsewhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
FROM_ROOT = {
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "CONTRIBUTING.md": "project/contributing.md",
}
_IN_REPOSITORY = {there: here for here, there in FROM_ROOT.items()}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"`[^`\n]+`")
_GRAPH = re.compile(r"^```mermaid\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.?!])\s")
_NO_PROSE = re.compile(r"<!--.*?-->|^```.*?^```|^#.*?$|^\|.*?$", re.DOTALL | re.MULTILINE)


def site_links(text: str, source: str) -> str:
    """The text of a page with links that work on the site.

    Args:
        text: Markdown, with links as the repository has them.
        source: the page's path on the site, `reference/records.md`.
    """
    folder = posixpath.dirname(_IN_REPOSITORY.get(source, f"docs/{source}"))

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        path = posixpath.normpath(posixpath.join(folder, target))
        page = FROM_ROOT.get(path, path.removeprefix("docs/"))
        if page == path:  # a file of the repository that is no page
            return words
        return f"[{words}]({posixpath.relpath(page, posixpath.dirname(source) or '.')}{anchor})"

    return _LINK.sub(link, text)


def plain_pipes(text: str) -> str:
    """Code in tables as MkDocs reads it; GitHub wants each `|` in it escaped."""
    return _CODE.sub(lambda code: code[0].replace("\\|", "|"), text)


def graphs_as_tables(text: str) -> str:
    """Graphs as GitHub draws them, in words: to draw one, a browser would have to fetch Mermaid."""

    def table(found: re.Match[str]) -> str:
        reached: dict[str, list[str]] = {}
        for name, other in re.findall(r"(\w+) --> (\w+)", found[1]):
            reached.setdefault(name, []).append(other)
        rows = (f"| {name} | {', '.join(others)} |" for name, others in reached.items())
        return "\n".join(("| from | arrows to |", "| --- | --- |", *rows))

    return _GRAPH.sub(table, text)


def summary(text: str) -> str:
    """The first sentence of a page: no heading, table or code, and without links."""
    paragraph = " ".join(_NO_PROSE.sub("", text).strip().partition("\n\n")[0].split())
    return _SENTENCE_END.split(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph))[0]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, place in FROM_ROOT.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    return graphs_as_tables(plain_pipes(site_links(markdown, page.file.src_uri)))


def on_nav(nav: Navigation, config: MkDocsConfig, **_others: object) -> Navigation:
    config.extra["llms"] = tuple(page.file for page in nav.pages)
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    site = Path(config.site_dir)
    pages: tuple[File, ...] = config.extra["llms"]
    heading = f"# {config.site_name}\n\n> {config.site_description}\n"
    (site / "llms.txt").write_text("\n".join([heading, *_contents(pages), ""]), encoding="utf-8")
    whole = "\n\n".join(site_links(page.content_string, page.src_uri) for page in pages)
    (site / "llms-full.txt").write_text(f"{heading}\n{whole}\n", encoding="utf-8")


def _contents(pages: tuple[File, ...]) -> Iterator[str]:
    """A heading for each folder, and a line for each of its pages."""
    folder = ""
    for page in pages:
        above, _slash, _name = page.src_uri.rpartition("/")
        if above != folder:
            folder = above
            yield f"\n## {folder.capitalize()}\n"
        title = page.content_string.partition("\n")[0].removeprefix("# ")
        yield f"- [{title}]({page.url}): {summary(page.content_string)}"
