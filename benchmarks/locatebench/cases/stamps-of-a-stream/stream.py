"""Readings, with the day of each."""

from datetime import datetime


def stamped(readings):
    return ((datetime.fromtimestamp(t).date().isoformat(), value) for t, value in readings)
