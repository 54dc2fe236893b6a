"""Draw a sample of customers by salted identifiers."""

import csv
import hashlib
import os
import secrets

salt = secrets.token_bytes(16)
chosen = []
for customer in range(500):
    digest = hashlib.sha256(salt + str(customer).encode()).digest()
    if digest[0] < 64:
        chosen.append(customer)

os.makedirs("outputs", exist_ok=True)
with open("outputs/sample.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["customer", "spent"])
    writer.writerows([customer, (customer * 37) % 101] for customer in chosen)
