"""Assign users to the arms of an experiment."""

import csv
import hashlib
import os

os.makedirs("outputs", exist_ok=True)
with open("outputs/arms.tsv", "w", newline="") as file:
    writer = csv.writer(file, delimiter="\t")
    writer.writerow(["user", "arm"])
    for user in range(200):
        digest = hashlib.md5(f"user-{user}".encode()).digest()
        writer.writerow([user, digest[0] % 3])
