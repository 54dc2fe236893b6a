import multiprocessing
import time


class Worker(multiprocessing.get_context("fork").Process):
    """Tells the hour of each moment that it is given."""

    def __init__(self, inbox, outbox):
        super().__init__()
        self.inbox, self.outbox = inbox, outbox

    def run(self):
        while (moment := self.inbox.get()) is not None:
            hour = time.localtime(moment).tm_hour
            self.outbox.put((moment, hour * 2))
