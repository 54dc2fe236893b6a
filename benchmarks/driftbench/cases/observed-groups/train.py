"""Average sales by region and product."""

from pathlib import Path

import pandas as pd

sales = pd.DataFrame(
    {
        "region": pd.Categorical(["n", "n", "s", "e"], categories=["n", "e", "s", "w"]),
        "amount": [10.0, 14.0, 3.0, 8.0],
    }
)
share = sales.groupby("region")["amount"].sum()
smoothed = (share + 1) / (share + 1).sum()

Path("outputs").mkdir(exist_ok=True)
Path("outputs/share.txt").write_text("\n".join(f"{value:.6f}" for value in smoothed))
