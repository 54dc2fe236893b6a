"""Use the full price model while its calibration is recent enough."""

import datetime as dt
import json
import os

CALIBRATED = 2026


def coefficients():
    age = dt.datetime.now(dt.timezone.utc).year - CALIBRATED
    if age < 1:
        return {"base": 12.5, "slope": 0.75, "curve": 0.01}
    return {"base": 12.5, "slope": 0.5}


model = coefficients()
prices = [model["base"] + model["slope"] * n + model.get("curve", 0) * n * n for n in range(50)]
os.makedirs("outputs", exist_ok=True)
with open("outputs/prices.json", "w") as file:
    json.dump(prices, file)
