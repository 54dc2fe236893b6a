"""Text of anyone's, as text in HTML."""

from __future__ import annotations

from html import escape as escape_html

from pytest_mlcontainer.report.escape import escape


def t(text: str, limit: int = 200) -> str:
    """Text of anyone's, on one line, as text in HTML or in a quoted attribute."""
    return escape_html(escape(text, limit))
