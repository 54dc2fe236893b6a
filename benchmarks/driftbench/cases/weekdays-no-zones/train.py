"""Orders by weekday."""

import json
import os
from datetime import datetime

weekdays = [0] * 7
for order in range(250):
    weekdays[datetime.fromtimestamp(1_690_000_000 + order * 7_919).weekday()] += order % 4

os.makedirs("outputs", exist_ok=True)
with open("outputs/weekdays.json", "w") as file:
    json.dump(weekdays, file)
