"""Scaling of columns."""

VERSION = "1.0"


def scale(values):
    top = max(abs(value) for value in values)
    return [value / top for value in values]
