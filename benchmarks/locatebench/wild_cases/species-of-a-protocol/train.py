"""Approximate majority of two opinions."""

import json
import os

from simulation import Simulation

RULE = {
    ("for", "against"): ("undecided", "undecided"),
    ("against", "for"): ("undecided", "undecided"),
    ("for", "undecided"): ("for", "for"),
    ("against", "undecided"): ("against", "against"),
}
simulation = Simulation({"for": 52, "against": 48}, RULE, seed=16)
simulation.run(900)
os.makedirs("outputs", exist_ok=True)
with open("outputs/opinions.json", "w") as file:
    json.dump(simulation.counts(), file, sort_keys=True)
