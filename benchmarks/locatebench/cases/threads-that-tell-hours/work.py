import threading
import time

_LOCAL = threading.local()


def hour_of(moment):
    _LOCAL.count = getattr(_LOCAL, "count", 0) + 1
    return time.localtime(moment).tm_hour
