"""Text of anyone's, as text in HTML, alone and in the head of a table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as escape_html

from pytest_mlcontainer.report.escape import escape


def t(text: str, limit: int = 200) -> str:
    """Text of anyone's, on one line, as text in HTML or in a quoted attribute."""
    return escape_html(escape(text, limit))


def head_html(heads: Iterable[str]) -> str:
    """The first row of a table."""
    cells = "".join(f'<th scope="col">{t(head)}</th>' for head in heads)
    return f"<thead><tr>{cells}</tr></thead>"
