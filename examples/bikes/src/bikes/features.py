"""Features of an hour: plain columns for the trees, smooth ones for the linear model."""

import numpy as np
from numpy.typing import NDArray

from bikes.data import Hours

Matrix = NDArray[np.float32]

TREE_FEATURES = (
    "hour",
    "weekday",
    "day_of_year",
    "season",
    "holiday",
    "workingday",
    "weather",
    "temperature",
    "humidity",
    "windspeed",
    "age_days",
)
FIRST_DAY = np.datetime64("2023-01-01", "D")


def calendar(hours: Hours) -> tuple[Matrix, Matrix, Matrix]:
    """Return hour of day (0 to 23), weekday (0 is Monday) and day of year (0 to 365)."""
    days = hours.timestamp.astype("datetime64[D]")
    hour = (hours.timestamp - days.astype("datetime64[h]")).astype(np.int64)
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    day_of_year = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    return hour.astype(np.float32), weekday.astype(np.float32), day_of_year.astype(np.float32)


def tree_features(hours: Hours) -> Matrix:
    """Return the columns of TREE_FEATURES, shape (hours, 11)."""
    hour, weekday, day_of_year = calendar(hours)
    age_days = (hours.timestamp.astype("datetime64[D]") - FIRST_DAY).astype(np.int64)
    columns = (
        hour,
        weekday,
        day_of_year,
        hours.season,
        hours.holiday,
        hours.workingday,
        hours.weather,
        hours.temperature,
        hours.humidity,
        hours.windspeed,
        age_days,
    )
    return np.column_stack(columns).astype(np.float32)


def linear_features(hours: Hours) -> Matrix:
    """Return cyclic time, weather flags and measurements, shape (hours, 17).

    Day, week and year are sines and cosines (three, one and one harmonics), so that
    23:00 is next to 00:00; measurements are scaled to about one.
    """
    hour, weekday, day_of_year = calendar(hours)
    turn = np.float32(2 * np.pi)
    angles = [hour * (turn * k / 24) for k in (1, 2, 3)]
    angles += [weekday * (turn / 7), day_of_year * (turn / 366)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    flags = [hours.workingday, hours.holiday, *(hours.weather == kind for kind in (2, 3, 4))]
    measures = [hours.temperature / 30, hours.humidity / 100]
    return np.column_stack([*waves, *flags, *measures]).astype(np.float32)
