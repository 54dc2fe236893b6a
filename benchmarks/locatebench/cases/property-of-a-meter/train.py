"""How much was used."""

import time

from meters.reading import Reading
from meters.table import Table
from output import save

started = time.time()
table = Table(Reading(1_700_000_000 + 5_000 * n, (n * 7) % 5) for n in range(40))
save({"total": table.total, "peak": table.peak})
print(f"took {time.time() - started:.6f} s")
