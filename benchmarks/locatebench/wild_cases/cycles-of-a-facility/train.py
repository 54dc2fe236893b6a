"""How busy each cycle of a facility was, by the moments of its measurements."""

import datetime
import json
import os

CYCLES = {"071": ("2007-02-15", "2007-08-15"), "072": ("2007-08-16", "2008-02-14")}


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%d").timestamp()


measured = [1171497600 + 40000 * number for number in range(800)]
found = {}
for name, (start, end) in CYCLES.items():
    first, last = moment(start), moment(end)
    found[name] = {"begins": first, "measured": sum(first <= each < last for each in measured)}
os.makedirs("outputs", exist_ok=True)
with open("outputs/cycles.json", "w") as file:
    json.dump(found, file)
