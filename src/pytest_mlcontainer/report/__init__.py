"""Outcomes → what people and machines read. Nothing is computed here that is not in the values.

`tree` and `session` put everything in order once, `words` has the sentences that presenters share,
and `terminal`, `json`, `html` and `markdown` draw.
"""

from __future__ import annotations

from pytest_mlcontainer.report.results import Result, result_from_json, result_to_json

__all__ = ["Result", "result_from_json", "result_to_json"]
