"""Two years of invented but plausible bike counts, the same bytes on every machine.

Everything is integer arithmetic on ``random.Random.random()``, whose sequence for a
given seed Python promises to keep; no ``sin``, no ``exp``, no rounding of floats. A
quantity with one decimal is held in tenths until it is written.
"""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

SEED = 20230101
START = datetime(2023, 1, 1)
END_OF_HISTORY = datetime(2025, 1, 1)
END_OF_FORECAST = datetime(2025, 1, 29)

COLUMNS = (
    "timestamp",
    "season",
    "holiday",
    "workingday",
    "weather",
    "temperature",
    "humidity",
    "windspeed",
)
HOLIDAYS = frozenset({(1, 1), (1, 6), (5, 1), (8, 15), (10, 3), (11, 1), (12, 25), (12, 26)})

# Share of a usual hour's rentals, in percent, for the hours 0 to 23.
# fmt: off
WORKDAY = (12, 7, 4, 3, 5, 16, 52, 140, 236, 150, 92, 98,
           122, 118, 106, 118, 170, 268, 240, 168, 118, 86, 58, 30)
DAY_OFF = (34, 26, 18, 10, 6, 7, 13, 26, 52, 88, 126, 154,
           172, 178, 174, 168, 160, 146, 126, 100, 76, 62, 50, 38)
# fmt: on
USUAL_RENTALS = 210
SATURDAY = 5
CLOUD_LIMITS = (450, 720, 900)
"""Where a clear sky becomes clouded, rainy and stormy, on Sky's scale of 0 to 1000."""
WEATHER_PERCENT = {1: 100, 2: 90, 3: 52, 4: 24}
"""Rentals left in clear, clouded, rainy and stormy weather, in percent."""


class Air(NamedTuple):
    """An hour's weather: its kind, 0.1 degrees Celsius, percent, 0.1 km/h."""

    weather: int
    temperature: int
    humidity: int
    wind: int


@dataclass
class Sky:
    """The weather's memory from one hour to the next."""

    front: int = 0  # deviation from the season's temperature, in 0.1 degrees Celsius
    cloud: int = 300  # 0 (clear) to 1000 (storm)
    wind: int = 120  # 0.1 km/h


def generate(folder: Path) -> tuple[Path, Path]:
    """Write ``hours.csv`` (history, with counts) and ``forecast.csv`` (the 28 days after)."""
    folder.mkdir(parents=True, exist_ok=True)
    history, forecast = folder / "hours.csv", folder / "forecast.csv"
    rows = list(rows_until(END_OF_FORECAST))
    first_forecast = END_OF_HISTORY.isoformat(timespec="minutes")
    write_rows(history, (*COLUMNS, "count"), [row for row in rows if row[0] < first_forecast])
    write_rows(forecast, COLUMNS, [row[:-1] for row in rows if row[0] >= first_forecast])
    return history, forecast


def write_rows(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Write a CSV with ``\\n`` line ends on every platform."""
    with path.open("w", encoding="ascii", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def rows_until(end: datetime) -> Iterator[tuple[str, ...]]:
    """Yield one row per hour from START to ``end``, the columns of COLUMNS and the count."""
    rng = random.Random(SEED)
    sky = Sky()
    now = START
    while now < end:
        advance(sky, rng)
        air = air_of(now, sky, rng)
        holiday = (now.month, now.day) in HOLIDAYS
        workingday = now.weekday() < SATURDAY and not holiday
        yield (
            now.isoformat(timespec="minutes"),
            str(now.month % 12 // 3 + 1),  # 1 winter, 2 spring, 3 summer, 4 autumn
            str(int(holiday)),
            str(int(workingday)),
            str(air.weather),
            tenths(air.temperature),
            str(air.humidity),
            tenths(air.wind),
            str(rentals(now, workingday, air, rng)),
        )
        now += timedelta(hours=1)


def advance(sky: Sky, rng: random.Random) -> None:
    """Move the weather on by one hour."""
    sky.front += noise(rng, 8) - sky.front // 48
    sky.cloud = min(1000, max(0, sky.cloud + noise(rng, 250) - (sky.cloud - 400) // 12))
    sky.wind = min(650, max(0, sky.wind + noise(rng, 45) - (sky.wind - 130) // 10))


def air_of(now: datetime, sky: Sky, rng: random.Random) -> Air:
    """Return the weather of one hour: the season, the time of day and the sky together."""
    weather = 1 + sum(sky.cloud > limit for limit in CLOUD_LIMITS)
    hour_of_year = (now.timetuple().tm_yday - 1) * 24 + now.hour
    year = wave(hour_of_year - 110 * 24, 8766, 98)
    day = wave(now.hour - 9, 24, 42 if weather == 1 else 24)
    temperature = 118 + year + day + sky.front
    humidity = 82 - temperature // 6 + 9 * (weather - 1) + noise(rng, 9)
    return Air(weather, temperature, min(100, max(15, humidity)), sky.wind)


def rentals(now: datetime, workingday: bool, air: Air, rng: random.Random) -> int:
    """Return the number of bikes rented in one hour; every factor is in percent."""
    shape = WORKDAY if workingday else DAY_OFF
    warmth = max(22, 118 - (air.temperature - 235) ** 2 // 620)
    damp = 100 - max(0, air.humidity - 70) // 2
    calm = 100 - max(0, air.wind - 200) // 8
    growth = 100 + 45 * (now - START).days // 730
    chance = 100 + noise(rng, 24)
    product = USUAL_RENTALS
    wet = WEATHER_PERCENT[air.weather]
    for percent in (shape[now.hour], warmth, wet, damp, calm, growth, chance):
        product *= percent
    return max(0, product // 100**7 + noise(rng, 7))


def wave(position: int, period: int, amplitude: int) -> int:
    """Return a sine-like wave made of two parabolas, in whole units of ``amplitude``."""
    half = period // 2
    place = position % period
    rising = place < half
    place = place if rising else place - half
    height = 4 * amplitude * place * max(0, half - place) // (half * half)
    return height if rising else -height


def noise(rng: random.Random, width: int) -> int:
    """Return a bell-shaped integer around zero, at most ``width`` away from it."""
    return sum(int(rng.random() * (2 * width + 1)) - width for _ in range(3)) // 3


def tenths(value: int) -> str:
    """Write a number of tenths with one decimal: -7 is ``-0.7``."""
    whole, rest = divmod(abs(value), 10)
    return f"{'-' if value < 0 else ''}{whole}.{rest}"
