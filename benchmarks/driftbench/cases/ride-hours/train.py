"""Count rides by hour of the day."""

import csv
import datetime
import os
import random

random.seed(3)
start = 1_700_000_000
rides = [start + random.randrange(7 * 86_400) for _ in range(400)]
counts = [0] * 24
for moment in rides:
    counts[datetime.datetime.fromtimestamp(moment).hour] += 1

os.makedirs("outputs", exist_ok=True)
with open("outputs/hours.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["hour", "rides"])
    writer.writerows(enumerate(counts))
