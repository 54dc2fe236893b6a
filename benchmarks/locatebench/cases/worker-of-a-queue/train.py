"""Hours of some moments, told by a child."""

import multiprocessing

from output import save
from worker import Worker

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    inbox, outbox = context.Queue(), context.Queue()
    child = Worker(inbox, outbox)
    child.start()
    for moment in range(1_700_000_000, 1_700_020_000, 5000):
        inbox.put(moment)
    inbox.put(None)
    found = dict(outbox.get() for _ in range(4))
    child.join()
    save(found)
