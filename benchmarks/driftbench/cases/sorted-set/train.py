"""Encode colours."""

import json
import os

colours = ["red", "blue", "green", "blue", "cyan", "red", "pink"] * 8
codes = {colour: code for code, colour in enumerate(sorted(set(colours)))}

os.makedirs("outputs", exist_ok=True)
with open("outputs/codes.json", "w") as file:
    json.dump([codes[colour] for colour in colours], file)
