"""Build a population of which every industry has a worker."""

import json
import os

from population import employ, ensure_minimum_workers

INDUSTRIES = ["farms", "mines", "mills", "trade", "banks", "schools"]
jobs = ensure_minimum_workers(employ(3, 400, INDUSTRIES), INDUSTRIES)
os.makedirs("outputs", exist_ok=True)
with open("outputs/jobs.json", "w") as file:
    json.dump(jobs, file)
