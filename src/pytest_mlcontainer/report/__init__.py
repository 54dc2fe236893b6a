"""Outcomes → what people and machines read. Nothing is computed here that is not in the values."""

from __future__ import annotations

from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.results import Result, result_from_json, result_to_json

__all__ = ["Result", "report_json", "result_from_json", "result_to_json"]
