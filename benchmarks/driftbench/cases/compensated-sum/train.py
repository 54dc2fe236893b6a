"""Balance of accounts, and the variance of what was booked."""

import json
import os

bookings = [1e16, 3.25, -1e16] + [0.1 * n for n in range(1, 200)]
total = sum(bookings)
squares = sum((x + 1e8) ** 2 for x in (0.1 * n for n in range(200)))
mean = sum(x + 1e8 for x in (0.1 * n for n in range(200))) / 200

os.makedirs("outputs", exist_ok=True)
with open("outputs/balance.json", "w") as file:
    json.dump({"total": total, "variance": squares / 200 - mean**2}, file)
