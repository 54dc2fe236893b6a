"""Give tickets to queues."""

import argparse

from output import save
from strategies import STRATEGIES

parser = argparse.ArgumentParser()
parser.add_argument("--queues", type=int, default=5)
parser.add_argument("--strategy", choices=sorted(STRATEGIES), default="sticky")
given = parser.parse_args()
tickets = ["net-1", "net-2", "disk-7", "cpu-3", "mail-9", "mail-10"]
assigned = STRATEGIES[given.strategy](tickets, given.queues)
save(assigned)
