"""Write the standings of a season."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(8)
table = pd.DataFrame(
    {"team": [f"team-{number:04d}" for number in range(3000)], "points": rng.integers(0, 60, 3000)}
)
standings = table.sort_values("points")

Path("results").mkdir(exist_ok=True)
standings.to_csv("results/standings.csv", index=False)
