"""Weigh old sales less than new ones."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
sales = pd.DataFrame(
    {
        "day": pd.Timestamp("2024-01-01", tz="UTC")
        + pd.to_timedelta(rng.integers(0, 365, 300), "D"),
        "amount": rng.gamma(2, 50, 300),
    }
)
age = (pd.Timestamp.now(tz="UTC").normalize() - sales["day"]).dt.days
sales["weight"] = 0.5 ** (age / 180)

Path("outputs").mkdir(exist_ok=True)
sales.to_csv("outputs/weighted.csv", index=False)
