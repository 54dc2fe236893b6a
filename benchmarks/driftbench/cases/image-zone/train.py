"""Count calls by hour."""

import csv
import os
import time

hours = [0] * 24
for call in range(300):
    hours[time.localtime(1_700_000_000 + call * 4_567).tm_hour] += call % 5

os.makedirs("outputs", exist_ok=True)
with open("outputs/calls.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["hour", "calls"])
    writer.writerows(enumerate(hours))
