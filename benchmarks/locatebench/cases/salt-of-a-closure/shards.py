from salting import salted


@salted
def shard(key):
    return len(key) % 3
