"""Score records by their encoded features."""

import csv
import os

import encoders

records = [{"size": n % 7, "age": n % 13} for n in range(60)]
os.makedirs("outputs", exist_ok=True)
with open("outputs/scores.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["score"])
    writer.writerows([sum(encoders.encode(record))] for record in records)
