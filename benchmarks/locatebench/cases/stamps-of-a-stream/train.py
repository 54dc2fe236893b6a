"""Totals of each day."""

from output import save
from stream import stamped

readings = [(1_700_000_000 + 7200 * n, 10 + n % 5) for n in range(40)]
totals = {}
for day, value in stamped(readings):
    totals[day] = totals.get(day, 0) + value
save(totals)
