"""Apply all steps."""

from output import save
from plugins import load
from registry import STEPS

load("steps")
values = [1.0, 2.0, 5.0]
for step in STEPS:
    values = [step(value) for value in values]
save({"values": values})
