"""Hourly records read from CSV into arrays."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bikes.synthetic import COLUMNS


@dataclass(frozen=True)
class Hours:
    """Hourly records, one entry per hour in each array, in the file's order.

    ``season`` is 1 (winter) to 4 (autumn), ``weather`` 1 (clear) to 4 (storm),
    ``temperature`` in degrees Celsius, ``humidity`` in percent, ``windspeed`` in km/h,
    ``count`` in bikes per hour; ``count`` is None for hours still to come.
    """

    timestamp: NDArray[np.datetime64]
    season: NDArray[np.int32]
    holiday: NDArray[np.int32]
    workingday: NDArray[np.int32]
    weather: NDArray[np.int32]
    temperature: NDArray[np.float32]
    humidity: NDArray[np.float32]
    windspeed: NDArray[np.float32]
    count: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.timestamp)

    def split(self, last_days: int) -> "tuple[Hours, Hours]":
        """Return the hours before the last so many days, and those of the last days."""
        cut = self.timestamp[-1] + np.timedelta64(1, "h") - np.timedelta64(24 * last_days, "h")
        return self.where(self.timestamp < cut), self.where(self.timestamp >= cut)

    def where(self, chosen: NDArray[np.bool_]) -> "Hours":
        """Return the hours for which ``chosen`` is true."""
        return Hours(
            timestamp=self.timestamp[chosen],
            season=self.season[chosen],
            holiday=self.holiday[chosen],
            workingday=self.workingday[chosen],
            weather=self.weather[chosen],
            temperature=self.temperature[chosen],
            humidity=self.humidity[chosen],
            windspeed=self.windspeed[chosen],
            count=None if self.count is None else self.count[chosen],
        )


def read_hours(path: Path) -> Hours:
    """Read a CSV with the columns of COLUMNS and, for hours past, ``count``.

    Raises ValueError if the file has no rows or lacks a column.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise ValueError(f"{path} has no rows")
    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")

    def integers(name: str) -> NDArray[np.int32]:
        return np.array([int(row[name]) for row in rows], dtype=np.int32)

    def numbers(name: str) -> NDArray[np.float32]:
        return np.array([float(row[name]) for row in rows], dtype=np.float32)

    return Hours(
        timestamp=np.array([row["timestamp"] for row in rows], dtype="datetime64[h]"),
        season=integers("season"),
        holiday=integers("holiday"),
        workingday=integers("workingday"),
        weather=integers("weather"),
        temperature=numbers("temperature"),
        humidity=numbers("humidity"),
        windspeed=numbers("windspeed"),
        count=numbers("count") if "count" in rows[0] else None,
    )
