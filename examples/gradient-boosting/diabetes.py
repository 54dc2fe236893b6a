"""How far a diabetes has progressed a year later: boosted trees with LightGBM."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.datasets import load_diabetes

OUTPUTS = Path("outputs")
MODEL = OUTPUTS / "model.txt"
SETTINGS = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "num_threads": 1,
    "seed": 0,
    "verbose": -1,
}


def main(command: str) -> None:
    OUTPUTS.mkdir(exist_ok=True)
    {"train": train, "infer": infer}[command]()


def train() -> None:
    rows, targets, _, _ = split()
    model = lightgbm.train(SETTINGS, lightgbm.Dataset(rows, targets), num_boost_round=80)
    model.save_model(MODEL)


def infer() -> None:
    _, _, rows, targets = split()
    predicted = lightgbm.Booster(model_file=MODEL).predict(rows)
    np.savetxt(
        OUTPUTS / "predictions.csv", predicted, fmt="%.4f", header="progression", comments=""
    )
    error = float(np.abs(predicted - targets).mean())
    (OUTPUTS / "metrics.json").write_text(json.dumps({"mae": error}))


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and targets for training, then unseen ones."""
    rows, targets = load_diabetes(return_X_y=True)
    return rows[:350], targets[:350], rows[350:], targets[350:]


if __name__ == "__main__":
    main(sys.argv[1])
